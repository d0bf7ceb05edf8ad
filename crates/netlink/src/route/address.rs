//! Addresses of links.

use std::net::IpAddr;

use super::{dump, family, ip, link, octets, order, read_all};
use crate::attr::{Attrs, tail, u32_at};
use crate::message::{CREATE, Message, REPLACE};
use crate::{Error, Malformed};

const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
/// Length of `struct ifaddrmsg`.
const IFADDR: usize = 8;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
/// `IFA_F_NODAD`: usable at once; a private link has nobody to collide with.
const NODAD: u8 = 0x02;

/// One address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressMessage {
    /// Interface index.
    pub index: u32,
    /// Address.
    pub ip: IpAddr,
    /// Prefix length.
    pub prefix: u8,
}

/// All addresses of the namespace.
pub fn addresses() -> Result<Vec<AddressMessage>, Error> {
    let what = "list the addresses";
    let replies = dump(what, &Message::new(RTM_GETADDR, 0, &[0; IFADDR]))?;
    Ok(read_all(what, &replies, RTM_NEWADDR, parse)?.into_iter().flatten().collect())
}

/// Reads one `RTM_NEWADDR` after its netlink header; `None` for a family other than IPv4 and IPv6.
pub fn parse(payload: &[u8]) -> Result<Option<AddressMessage>, Malformed> {
    let (Some(&[family, prefix]), Some(index)) = (payload.get(..2), u32_at(payload, 4)) else {
        return Err(Malformed::new("an address message shorter than its header"));
    };
    if !matches!(family, 2 | 10) {
        return Ok(None);
    }
    let attrs = Attrs::parse(tail(payload, IFADDR))?;
    // On a point-to-point link IFA_ADDRESS is the far end; IFA_LOCAL is ours wherever it is given.
    let own = attrs.get(IFA_LOCAL).or_else(|| attrs.get(IFA_ADDRESS));
    let ip = own.and_then(|a| ip(a.data)).ok_or_else(|| Malformed::new("an address message without its address"))?;
    Ok(Some(AddressMessage { index, ip, prefix }))
}

/// Adds an address with its prefix length to a link.
pub fn add(iface: &str, address: IpAddr, prefix: u8) -> Result<(), Error> {
    let mut fixed = [0; IFADDR];
    fixed[0] = family(address);
    fixed[1] = prefix;
    fixed[2] = NODAD;
    fixed[4..8].copy_from_slice(&link::index(iface)?.to_ne_bytes());
    let bytes = octets(address);
    let m = Message::new(RTM_NEWADDR, CREATE | REPLACE, &fixed).attr(IFA_LOCAL, &bytes).attr(IFA_ADDRESS, &bytes);
    order(&format!("add {address}/{prefix} to {iface}"), m)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_not_address_or_one(mut bytes in proptest::collection::vec(any::<u8>(), 0..60), f in 0u8..12) {
            if let Some(b) = bytes.first_mut() {
                *b = f;
            }
            let _ = parse(&bytes);
        }
    }
}
