//! One flow's way and its headers, for an engine that moves frames by other means.

use std::net::{SocketAddr, UdpSocket};

use lowlat_netlink::route::link::Link;
use lowlat_transport::{Endpoint, EngineError};

use crate::frame::{ETH_LEN, Flow, IPV6_LEN, UDP_LEN};

/// One flow's way out.
#[derive(Debug)]
pub struct Way {
    /// The interface of the route.
    pub link: Link,
    /// Its address.
    pub mac: [u8; 6],
    /// Where frames go first.
    pub next_hop: [u8; 6],
    /// Our address and port.
    pub local: SocketAddr,
    /// Holds the local port: the kernel gives it to nobody else, and reports refusals of the far end on it.
    pub reserved: UdpSocket,
}

/// Finds the way of an endpoint's flow, as the AF_XDP engine does.
pub fn find(endpoint: &Endpoint) -> Result<Way, EngineError> {
    let path = crate::path::find(endpoint)?;
    Ok(Way { link: path.link, mac: path.mac, next_hop: path.next_hop, local: path.local, reserved: path.reserved })
}

/// Longest headers, bytes: without a tag.
pub const MAX_HEADER: usize = ETH_LEN + IPV6_LEN + UDP_LEN;

/// The Ethernet, IP and UDP headers of one flow.
#[derive(Debug, Clone)]
pub struct FlowHeaders(Flow);

impl FlowHeaders {
    /// Headers for `local` → `remote`; `None` when the two are not of one family.
    pub fn new(local: SocketAddr, remote: SocketAddr, source: [u8; 6], next_hop: [u8; 6], dscp: u8) -> Option<Self> {
        Flow::new(local, remote, source, next_hop, dscp).map(Self)
    }

    /// Length of the headers in front of a message, bytes.
    pub fn len(&self) -> usize {
        self.0.header_len()
    }

    /// Never: a flow has headers.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the headers of an answer hold, and the mask of the bits that do, both as long as the headers.
    pub fn pattern(&self) -> (Vec<u8>, Vec<u8>) {
        self.0.pattern()
    }

    /// Writes the frame that carries `message` and returns its length; `None` when it does not fit.
    pub fn write(&self, message: &[u8], frame: &mut [u8]) -> Option<usize> {
        self.0.write(message, frame)
    }

    /// The message inside a received frame of this flow; `None` where it is another's, or damaged. Looks at nothing
    /// outside `frame`, whatever its bytes.
    pub fn payload<'a>(&self, frame: &'a [u8]) -> Option<&'a [u8]> {
        self.0.payload(frame).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer to a frame has its addresses and ports the other way round, and nothing else fits.
    #[test]
    fn the_pattern_fits_the_answer_alone() {
        for (near, far) in [("10.0.0.1:1000", "10.0.0.2:2000"), ("[fd00::1]:1000", "[fd00::2]:2000")] {
            let (near, far): (SocketAddr, SocketAddr) = (near.parse().unwrap(), far.parse().unwrap());
            let flow = |from, to| FlowHeaders::new(from, to, [1; 6], [2; 6], 0).unwrap();
            let mut frame = [0; 200];
            let (pattern, mask) = flow(near, far).pattern();
            let mut fits = |from, to| {
                flow(from, to).write(b"message", &mut frame).unwrap();
                (0..pattern.len()).all(|i| (frame[i] ^ pattern[i]) & mask[i] == 0)
            };
            assert!(fits(far, near) && !fits(near, far));
            for (port, other) in [(1000, 2001), (1001, 2000)] {
                let (from, to) = (SocketAddr::new(far.ip(), other), SocketAddr::new(near.ip(), port));
                assert!(!fits(from, to), "{from} {to}");
            }
            let third = if near.is_ipv4() { "10.0.0.3:2000" } else { "[fd00::3]:2000" };
            assert!(!fits(third.parse().unwrap(), near) && !fits(far, third.parse().unwrap()));
        }
    }
}
