//! Whether the target is reached over the interface that is to be tuned: what is measured elsewhere says nothing about it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use lowlat_sys::query::{LinkInfo, Route};
use lowlat_sys::{Sys, query};

use crate::failure::Failure;

/// The table of this host's own addresses (`RT_TABLE_LOCAL`, linux/rtnetlink.h).
const LOCAL: u32 = 255;
/// Devices stacked on one another, at most: a vlan on a bridge on a bond is three.
const STACK: usize = 8;

/// Refuses when no route to the target leaves by the interface, or by what is stacked on it (a bond, a bridge, a vlan).
/// Where the routes cannot be read nothing is known, and nothing refused.
pub fn leads_over(iface: &str, target: IpAddr, sys: &dyn Sys) -> Result<(), Failure> {
    let (Some(routes), Some(links)) = (query::routes(sys).into_value(), query::links(sys).into_value()) else {
        return Ok(());
    };
    let addresses = query::addresses(sys).into_value().unwrap_or_default();
    let is_it = |text: &str| text.split('/').next().and_then(|a| a.parse().ok()) == Some(target);
    if target.is_loopback() || addresses.iter().any(|a| is_it(&a.address)) {
        let why = "it is an address of this host, so its packets never leave";
        let next = "name a far end on another host, or use --iface lo";
        let here = iface == "lo";
        return if here { Ok(()) } else { Err(Failure::new(format!("reach {target} over {iface}: {why}; {next}"))) };
    }
    let out = outgoing(&routes, &links, target);
    let stack = stacked_on(iface, sys);
    let Some(first) = out.first() else { return Ok(()) };
    if out.iter().any(|o| stack.contains(o)) {
        return Ok(());
    }
    let by = out.iter().map(String::as_str).collect::<Vec<_>>().join(" and ");
    Err(Failure::new(format!(
        "reach {target} over {iface}: the route to it leaves by {by}; use --iface {first}, or a target behind {iface}"
    )))
}

/// The interface and all that is stacked on it, by the links that the kernel keeps (net/core/dev.c,
/// `netdev_adjacent_sysfs_add`).
fn stacked_on(iface: &str, sys: &dyn Sys) -> Vec<String> {
    let mut stack = vec![iface.to_owned()];
    for at in 0..STACK {
        let Some(name) = stack.get(at) else { break };
        let entries = sys.list(&format!("/sys/class/net/{name}")).into_value().unwrap_or_default();
        let upper: Vec<String> = entries.iter().filter_map(|e| e.strip_prefix("upper_")).map(str::to_owned).collect();
        for name in upper {
            if !stack.contains(&name) {
                stack.push(name);
            }
        }
    }
    stack
}

/// The interfaces by which packets to the target may leave: of each table the longest prefix, for which table counts is
/// said by rules that may ask for more than an address (ip-rule(8)).
fn outgoing(routes: &[Route], links: &[LinkInfo], target: IpAddr) -> BTreeSet<String> {
    let of = |table: u32| -> BTreeSet<String> {
        let fits: Vec<(u8, u32)> = routes
            .iter()
            .filter(|r| r.table == table)
            // The prefix tells a default route of IPv4 from one of IPv6.
            .map(|r| (if r.prefix.is_empty() { &r.destination } else { &r.prefix }, r.oif))
            .filter_map(|(to, oif)| Some((covers(to, target)?, oif?)))
            .collect();
        let longest = fits.iter().map(|(prefix, _)| *prefix).max();
        let best = fits.into_iter().filter(|(prefix, _)| Some(*prefix) == longest);
        best.filter_map(|(_, oif)| links.iter().find(|l| l.index == oif).map(|l| l.name.clone())).collect()
    };
    let tables: BTreeSet<u32> = routes.iter().map(|r| r.table).filter(|t| *t != LOCAL).collect();
    tables.into_iter().flat_map(of).collect()
}

/// The length of a route's prefix, if it covers the address.
fn covers(destination: &str, target: IpAddr) -> Option<u8> {
    if destination == "default" {
        return Some(0);
    }
    let (network, prefix) = destination.split_once('/')?;
    let (network, prefix): (IpAddr, u8) = (network.parse().ok()?, prefix.parse().ok()?);
    let bits = |a: IpAddr| match a {
        IpAddr::V4(a) => (32, u128::from(u32::from(a))),
        IpAddr::V6(a) => (128, u128::from(a)),
    };
    let ((width, a), (other, b)) = (bits(network), bits(target));
    let rest = u32::from(u8::try_from(width).ok()?.checked_sub(prefix)?);
    // A shift by the whole width is no shift in Rust, and all addresses are alike then.
    let same = width == other && (rest >= 128 || a >> rest == b >> rest);
    same.then_some(prefix)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may end by panic
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    use lowlat_sys::query::{Address, NetQuery};
    use lowlat_testkit::FakeSys;

    fn host() -> FakeSys {
        let link = |index: u32, name: &str| LinkInfo {
            index,
            name: name.into(),
            up: true,
            operstate: "up".into(),
            mtu: 1500,
            mac: None,
            kind: None,
            xdp: "none".into(),
        };
        let route = |destination: &str, oif: u32, table: u32| Route {
            destination: destination.into(),
            oif: Some(oif),
            gateway: None,
            table,
            prefix: if destination == "default" { "0.0.0.0/0".into() } else { String::new() },
            multipath: false,
            metrics: BTreeMap::new(),
        };
        let links = vec![link(1, "lo"), link(2, "eth0"), link(3, "eth1"), link(4, "bond0"), link(5, "bond0.7")];
        let routes = vec![
            route("default", 2, 254),
            route("10.1.0.0/16", 3, 254),
            route("10.1.2.0/24", 5, 254),
            route("192.0.2.0/24", 2, 254),
            route("192.0.2.0/24", 3, 254),
            route("198.51.100.0/24", 3, 77),
            route("2001:db8::/32", 3, 254),
        ];
        FakeSys::new()
            .net(&NetQuery::Links, links)
            .net(&NetQuery::Routes, routes)
            .net(&NetQuery::Addresses, vec![Address { index: 2, address: "10.9.9.1/24".into() }])
            .file("/sys/class/net/eth7/upper_bond0/x", "")
            .file("/sys/class/net/bond0/upper_bond0.7/x", "")
    }

    fn over(iface: &str, target: &str) -> Result<(), String> {
        leads_over(iface, target.parse().unwrap(), &host()).map_err(|e| e.to_string())
    }

    #[test]
    fn the_longest_prefix_of_any_table_says_the_way() {
        for (iface, target) in [
            ("eth0", "8.8.8.8"),
            ("eth1", "10.1.9.9"),
            ("bond0.7", "10.1.2.3"),
            ("bond0", "10.1.2.3"),
            ("eth7", "10.1.2.3"),
            ("eth0", "192.0.2.9"),
            ("eth1", "192.0.2.9"),
            ("eth1", "198.51.100.7"),
            ("eth0", "198.51.100.7"),
            ("eth1", "2001:db8::9"),
            ("lo", "10.9.9.1"),
            ("lo", "::1"),
            // No route at all: the sending says so.
            ("eth0", "2001:db9::9"),
            ("eth1", "2001:db9::9"),
        ] {
            assert_eq!(over(iface, target), Ok(()), "{target} over {iface}");
        }
        for (iface, target, way) in [
            ("eth1", "8.8.8.8", "leaves by eth0;"),
            ("eth0", "10.1.9.9", "leaves by eth1;"),
            ("eth1", "10.1.2.3", "leaves by bond0.7;"),
            ("lo", "192.0.2.9", "leaves by eth0 and eth1;"),
            ("eth0", "10.9.9.1", "an address of this host"),
            ("eth0", "127.0.0.1", "an address of this host"),
        ] {
            assert!(
                over(iface, target).is_err_and(|e| e.contains(way)),
                "{target} over {iface}: {:?}",
                over(iface, target)
            );
        }
    }
}
