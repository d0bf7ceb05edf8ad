//! WireGuard: the peers of an interface, without their keys.

use std::net::IpAddr;

use crate::attr::{Attr, Attrs};
use crate::genl::GenericFamily;
use crate::route::ip;
use crate::{Error, Malformed};

// include/uapi/linux/wireguard.h
const GET_DEVICE: u8 = 0;
const DEVICE_IFNAME: u16 = 2;
const DEVICE_FWMARK: u16 = 7;
const DEVICE_PEERS: u16 = 8;
const PEER_PUBLIC_KEY: u16 = 1;
const PEER_ENDPOINT: u16 = 4;
const PEER_ALLOWED_IPS: u16 = 9;
const ALLOWED_ADDRESS: u16 = 2;
const ALLOWED_MASK: u16 = 3;

/// One peer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WireguardPeer {
    /// Where packets for it go; `None` before it has been heard of.
    pub endpoint: Option<IpAddr>,
    /// Destinations that go to it: address and prefix length.
    pub allowed: Vec<(IpAddr, u8)>,
    /// Mark of the packets to it, which policy rules may ask for; 0 for none. The interface has one for all its peers.
    pub mark: u32,
}

/// The peers of a WireGuard interface. Needs CAP_NET_ADMIN in its namespace.
pub fn peers(iface: &str) -> Result<Vec<WireguardPeer>, Error> {
    let what = format!("list the peers of {iface}");
    let mut family = GenericFamily::open("wireguard", 1)?;
    let replies = family.dump(&what, GET_DEVICE, |m| m.text(DEVICE_IFNAME, iface))?;
    parse(replies.iter().map(Vec::as_slice)).map_err(|e| Error::malformed(&what, e))
}

/// Reads the attributes of all replies. A peer whose allowed addresses do not fit one message goes on in the next one,
/// under the same key and without its endpoint.
pub fn parse<'a>(replies: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<WireguardPeer>, Malformed> {
    let mut peers: Vec<(Vec<u8>, WireguardPeer)> = Vec::new();
    let mut mark = 0;
    for reply in replies {
        let device = Attrs::parse(reply)?;
        // Only the first message has what is the interface's (drivers/net/wireguard/netlink.c, `wg_get_device_dump`).
        mark = device.u32(DEVICE_FWMARK).unwrap_or(mark);
        for attr in device.nested(DEVICE_PEERS)?.iter() {
            let attrs = attr.nested()?;
            let key = attrs.get(PEER_PUBLIC_KEY).map(|a| a.data.to_vec()).unwrap_or_default();
            let allowed = allowed(attrs)?;
            match peers.last_mut().filter(|(last, _)| *last == key && !key.is_empty()) {
                Some((_, peer)) => peer.allowed.extend(allowed),
                None => {
                    peers.push((
                        key,
                        WireguardPeer { endpoint: attrs.get(PEER_ENDPOINT).and_then(endpoint), allowed, mark },
                    ));
                }
            }
        }
    }
    Ok(peers.into_iter().map(|(_, peer)| peer).collect())
}

fn allowed(peer: Attrs<'_>) -> Result<Vec<(IpAddr, u8)>, Malformed> {
    let mut all = Vec::new();
    for one in peer.nested(PEER_ALLOWED_IPS)?.iter() {
        let one = one.nested()?;
        if let (Some(address), Some(mask)) = (one.get(ALLOWED_ADDRESS).and_then(|a| ip(a.data)), one.u8(ALLOWED_MASK)) {
            all.push((address, mask));
        }
    }
    Ok(all)
}

/// `struct sockaddr_in`: u16 family, u16 port, address. `struct sockaddr_in6`: the same with u32 flow information
/// before the address.
fn endpoint(attr: Attr<'_>) -> Option<IpAddr> {
    match i32::from(attr.u16()?) {
        libc::AF_INET => ip(attr.data.get(4..8)?),
        libc::AF_INET6 => ip(attr.data.get(8..24)?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::Message;

    #[test]
    fn a_peer_has_an_endpoint_and_what_goes_to_it() {
        let address: Vec<u8> = [&2_u16.to_ne_bytes()[..], &[0xca, 0x6c], &[192, 0, 2, 9], &[0; 8]].concat();
        let to = |net: [u8; 4], bits: u8| {
            move |m: Message| {
                m.nest(PEER_ALLOWED_IPS, |m| m.nest(0, |m| m.attr(ALLOWED_ADDRESS, &net).u8(ALLOWED_MASK, bits)))
            }
        };
        let first = crate::message::attrs(|m| {
            m.u32(DEVICE_FWMARK, 51_820).nest(DEVICE_PEERS, |m| {
                m.nest(0, |m| to([10, 9, 0, 0], 16)(m.attr(PEER_PUBLIC_KEY, &[7; 32]).attr(PEER_ENDPOINT, &address)))
            })
        });
        let second = crate::message::attrs(|m| {
            m.nest(DEVICE_PEERS, |m| {
                m.nest(0, |m| to([10, 8, 0, 0], 24)(m.attr(PEER_PUBLIC_KEY, &[7; 32])))
                    .nest(0, |m| m.attr(PEER_PUBLIC_KEY, &[8; 32]))
            })
        });
        let peers = parse([first.as_slice(), second.as_slice()]).unwrap();
        assert_eq!(peers.len(), 2, "the second message goes on with the first peer");
        assert_eq!(peers[0].endpoint, Some("192.0.2.9".parse().unwrap()));
        assert_eq!(peers[0].allowed, [("10.9.0.0".parse().unwrap(), 16), ("10.8.0.0".parse().unwrap(), 24)]);
        assert_eq!(peers[1], WireguardPeer { mark: 51_820, ..WireguardPeer::default() });
        assert_eq!(peers[0].mark, 51_820);
    }

    proptest! {
        #[test]
        fn any_bytes_are_not_peers_or_some(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse([bytes.as_slice()]);
        }
    }
}
