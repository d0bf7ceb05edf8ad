//! What the kernel answers over netlink and by the ethtool ioctls: each parser, on the same bytes.

use lowlat_netlink::attr::Attrs;
use lowlat_netlink::diag::Transport;
use lowlat_netlink::{diag, ethtool, message, netdev, nft, nl80211, route, tc, traffic, wireguard};

use crate::byte;

/// `parser u8 | payload`.
pub fn run(mut data: &[u8]) {
    const PAIRS: &[(&str, u16)] = &[("autoneg", 2), ("rx", 3), ("tx", 4)];
    const TRIPLES: &[(&str, u16, u16)] = &[("rx", 1, 5), ("tx", 4, 8)];
    match byte(&mut data) % 17 {
        0 => {
            for received in message::split(data).unwrap_or_default() {
                let _ = (message::status(&received, false), message::status(&received, true));
            }
        }
        1 => drop((route::link::parse(data), route::address::parse(data), route::routes::parse(data))),
        2 => drop(tc::qdisc::parse(data)),
        3 => {
            let kinds =
                ["pfifo", "pfifo_fast", "fq", "fq_codel", "netem", "tbf", "htb", "mq", "mqprio", "etf", "taprio"];
            let kind = kinds[usize::from(byte(&mut data)) % kinds.len()];
            let _ = tc::options::decode(kind, data);
            let _ = tc::options::as_request(kind, data);
        }
        4 => drop(diag::parse(data)),
        5 => drop(nft::parse(data, 1, 2)),
        6 => drop((netdev::parse_xdp_features(data), netdev::parse_napi(data))),
        7 => drop(ethtool::ioctl::parse_driver(data)),
        8 => {
            let (names, values) = data.split_at(data.len() / 2);
            let _ = ethtool::ioctl::parse_statistics(names, values);
        }
        12 => drop((diag::parse_inet(Transport::Tcp, data), diag::parse_inet(Transport::Udp, data))),
        13 => drop(diag::parse_xsk(data)),
        14 => {
            let tcp = traffic::parse_traffic(Transport::Tcp, data);
            let udp = traffic::parse_traffic(Transport::Udp, data);
            assert_eq!(tcp.is_ok(), udp.is_ok(), "the two differ in what they hold, not in what can be read");
            assert!(udp.is_ok_and(|m| m.tcp.is_none()) || tcp.is_err());
        }
        15 => drop(nl80211::parse_power_save(data)),
        16 => drop(wireguard::parse([data])),
        n => {
            let Ok(attrs) = Attrs::parse(data) else { return };
            match n {
                9 => drop((ethtool::features::parse(attrs), ethtool::bitset::parse(attrs))),
                10 => drop((ethtool::coalesce::parse(attrs), ethtool::tsinfo::parse(attrs))),
                _ => {
                    let _ = ethtool::flags::parse(attrs, PAIRS);
                    let _ = ethtool::sizes::parse(attrs, TRIPLES);
                    let _ = ethtool::linkmodes::parse(attrs);
                }
            }
        }
    }
}
