//! Frames as they come from an AF_XDP ring, of both families.

use std::net::SocketAddr;

use lowlat_transport_xdp::testing;

use crate::byte;

/// `kind u8 | bytes`.
pub fn run(mut data: &[u8]) {
    let kind = byte(&mut data);
    let pair = if kind & 1 == 0 { ["10.0.0.1:1024", "10.0.0.2:8620"] } else { ["[fd00::1]:1024", "[fd00::2]:8620"] };
    let [local, remote] = pair.map(|a| a.parse::<SocketAddr>());
    if let (Ok(local), Ok(remote)) = (local, remote) {
        testing::frame(local, remote, data);
    }
}
