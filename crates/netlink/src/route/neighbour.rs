//! Neighbours: set, so that a first packet does not wait for address resolution, or asked for without a packet.

use std::net::IpAddr;

use super::{family, link, octets, order};
use crate::Error;
use crate::message::{CREATE, Message, REPLACE};

const RTM_NEWNEIGH: u16 = 28;
const NDA_DST: u16 = 1;
const NDA_LLADDR: u16 = 2;
/// `NUD_PERMANENT`.
const PERMANENT: u16 = 0x80;
/// `NTF_USE`.
const USE: u8 = 0x01;

/// Sets a permanent neighbour.
pub fn set(iface: &str, address: IpAddr, mac: [u8; 6]) -> Result<(), Error> {
    let mut fixed = header(link::index(iface)?, address, 0);
    fixed[8..10].copy_from_slice(&PERMANENT.to_ne_bytes());
    let m = Message::new(RTM_NEWNEIGH, CREATE | REPLACE, &fixed).attr(NDA_DST, &octets(address)).attr(NDA_LLADDR, &mac);
    order(&format!("set the neighbour {address} on {iface}"), m)
}

/// Has the kernel resolve `address` as if a packet had been sent to it (`NTF_USE`, net/core/neighbour.c `neigh_add`):
/// no datagram reaches the far end, which may take a stray one badly.
pub fn resolve(index: u32, address: IpAddr) -> Result<(), Error> {
    let m = Message::new(RTM_NEWNEIGH, CREATE, &header(index, address, USE)).attr(NDA_DST, &octets(address));
    order(&format!("resolve the neighbour {address}"), m)
}

/// `struct ndmsg`: family, 3 bytes padding, i32 ifindex, u16 state, flags, type.
pub(super) fn header(index: u32, address: IpAddr, flags: u8) -> [u8; 12] {
    let mut fixed = [0; 12];
    fixed[0] = family(address);
    fixed[4..8].copy_from_slice(&index.to_ne_bytes());
    fixed[10] = flags;
    fixed
}
