//! What a path is made of, asked of the running host: its route, what links stand on, who is behind them.

use std::net::IpAddr;

use lowlat_model::Reading;
use lowlat_netlink::route::{link, lookup, neighbours, stack as stacked};
use lowlat_netlink::tc::redirects as filters;
use lowlat_netlink::{Error, wireguard};

use crate::query::{Login, Neighbour, NextHop, Redirects, RouteReply, Stacked, TunnelPeer};

/// Where filters hang: what comes in by `ingress` or `clsact` (`TC_H_CLSACT` with `TC_H_MIN_INGRESS`), what goes out by
/// `clsact` (`TC_H_MIN_EGRESS`), and the root (include/uapi/linux/pkt_sched.h).
const PLACES: [u32; 3] = [0xffff_fff2, 0xffff_fff3, 0];

pub(super) fn route_to(
    to: IpAddr,
    oif: Option<&str>,
    from: Option<IpAddr>,
    mark: Option<u32>,
) -> Result<RouteReply, Error> {
    let found = lookup::lookup(to, oif, from, mark)?;
    let hops = found.hops.into_iter().map(|h| NextHop { oif: h.oif, gateway: h.gateway }).collect();
    Ok(RouteReply { local: found.local, hops, refused: found.refused })
}

pub(super) fn stack() -> Result<Vec<Stacked>, Error> {
    let from = |s: stacked::StackedMessage| Stacked {
        index: s.index,
        master: s.master,
        link: s.link,
        link_elsewhere: s.link_elsewhere,
        kind: s.kind,
        remote: s.remote,
        bound: s.bound,
    };
    Ok(stacked::stack()?.into_iter().map(from).collect())
}

pub(super) fn entries(all: Vec<neighbours::NeighbourMessage>) -> Vec<Neighbour> {
    let from = |e: neighbours::NeighbourMessage| Neighbour {
        index: e.index,
        address: e.address,
        mac: e.mac,
        master: e.master,
    };
    all.into_iter().map(from).collect()
}

pub(super) fn redirects(iface: &str) -> Result<Vec<Redirects>, Error> {
    let index = link::index(iface)?;
    let mut all = Vec::new();
    for place in PLACES {
        for f in filters::at(index, place)? {
            let one = Redirects {
                kind: f.kind,
                to: f.to,
                opaque: f.opaque,
                program_id: f.program_id,
                program_name: f.program_name,
            };
            // `ingress` has one list of filters, which each place of it shows.
            if !all.contains(&one) {
                all.push(one);
            }
        }
    }
    Ok(all)
}

pub(super) fn peers(all: Vec<wireguard::WireguardPeer>) -> Vec<TunnelPeer> {
    let from = |p: wireguard::WireguardPeer| TunnelPeer {
        endpoint: p.endpoint,
        allowed: p.allowed.into_iter().map(|(net, bits)| format!("{net}/{bits}")).collect(),
        mark: p.mark,
    };
    all.into_iter().map(from).collect()
}

/// `SSH_CONNECTION`: the peer's address and port, then this host's (sshd(8), ENVIRONMENT of ssh(1)). sudo(8) drops it
/// unless it is told to keep it.
pub(super) fn login() -> Reading<Login> {
    match std::env::var("SSH_CONNECTION") {
        Ok(text) => parse_login(&text),
        Err(_) => Reading::Absent("SSH_CONNECTION is not set".to_owned()),
    }
}

fn parse_login(text: &str) -> Reading<Login> {
    // A link-local address carries its interface: fe80::1%eth0.
    let address = |word: &str| word.split('%').next().and_then(|a| a.parse().ok());
    let words: Vec<&str> = text.split_whitespace().collect();
    match words[..] {
        [peer, _, local, _] => match (address(peer), address(local)) {
            (Some(peer), Some(local)) => Reading::Value(Login { peer, local }),
            _ => Reading::Garbled("SSH_CONNECTION holds no addresses".to_owned()),
        },
        _ => Reading::Garbled("SSH_CONNECTION does not hold two addresses and two ports".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_two_addresses_and_two_ports() {
        let login = |peer: &str, local: &str| {
            Reading::Value(Login { peer: peer.parse().unwrap(), local: local.parse().unwrap() })
        };
        assert_eq!(parse_login("192.0.2.9 50123 192.0.2.1 22"), login("192.0.2.9", "192.0.2.1"));
        assert_eq!(parse_login("fe80::9%eth0 50123 fe80::1%eth0 22"), login("fe80::9", "fe80::1"));
        for text in ["", "192.0.2.9 50123", "here 1 there 22", "UNKNOWN 65535 UNKNOWN 65535"] {
            assert!(matches!(parse_login(text), Reading::Garbled(_)), "{text}");
        }
    }
}
