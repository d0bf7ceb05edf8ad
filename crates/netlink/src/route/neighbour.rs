//! Static neighbours, so that a first packet does not wait for address resolution.

use std::net::IpAddr;

use super::{family, link, octets, order};
use crate::Error;
use crate::message::{CREATE, Message, REPLACE};

const RTM_NEWNEIGH: u16 = 28;
const NDA_DST: u16 = 1;
const NDA_LLADDR: u16 = 2;
/// `NUD_PERMANENT`.
const PERMANENT: u16 = 0x80;

/// Sets a permanent neighbour.
pub fn set(iface: &str, address: IpAddr, mac: [u8; 6]) -> Result<(), Error> {
    // struct ndmsg: family, 3 bytes padding, i32 ifindex, u16 state, flags, type
    let mut fixed = [0; 12];
    fixed[0] = family(address);
    fixed[4..8].copy_from_slice(&link::index(iface)?.to_ne_bytes());
    fixed[8..10].copy_from_slice(&PERMANENT.to_ne_bytes());
    let m = Message::new(RTM_NEWNEIGH, CREATE | REPLACE, &fixed).attr(NDA_DST, &octets(address)).attr(NDA_LLADDR, &mac);
    order(&format!("set the neighbour {address} on {iface}"), m)
}
