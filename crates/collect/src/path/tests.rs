//! Paths of hosts in memory.

use std::collections::BTreeMap;
use std::net::IpAddr;

use lowlat_model::facts::TcpSocket;
use lowlat_model::{NotSeen, PathRole, Reading};
use lowlat_sys::Sys as _;
use lowlat_sys::query::{
    DriverInfo, InterfaceAddress, LinkInfo, Login, Neighbour, NetQuery, NextHop, Redirects, RouteEntry as Entries,
    RouteReply, Stacked, TunnelPeer,
};
use lowlat_testkit::FakeSys;

use super::{Found, Towards, find, leads_over, path_changed, walk};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn to(text: &str) -> Towards {
    ip(text).into()
}

/// A host that is put together link by link; the place in the list is the index.
#[derive(Default, Clone)]
struct Host {
    links: Vec<LinkInfo>,
    stack: Vec<Stacked>,
    routes: Vec<(String, RouteReply)>,
    neighbours: Vec<Neighbour>,
    forwarding: Vec<Neighbour>,
    redirects: BTreeMap<String, Vec<Redirects>>,
}

impl Host {
    fn link(mut self, name: &str, kind: Option<&str>, stacked: &Stacked) -> Self {
        let index = u32::try_from(self.links.len()).unwrap() + 1;
        self.links.push(LinkInfo {
            index,
            name: name.into(),
            up: true,
            operstate: "up".into(),
            mtu: 1500,
            mac: Some(format!("02:00:00:00:00:{index:02x}")),
            kind: kind.map(str::to_owned),
            xdp: "none".into(),
        });
        self.stack.push(Stacked { index, kind: kind.map(str::to_owned), ..stacked.clone() });
        self
    }

    fn device(self, name: &str) -> Self {
        self.link(name, None, &Stacked::default())
    }

    fn slave(self, name: &str, master: u32) -> Self {
        self.link(name, None, &Stacked { master: Some(master), ..Stacked::default() })
    }

    fn on(self, name: &str, kind: &str, link: u32) -> Self {
        self.link(name, Some(kind), &Stacked { link: Some(link), ..Stacked::default() })
    }

    fn route(mut self, target: &str, oifs: &[u32], gateway: Option<&str>) -> Self {
        let hops = oifs.iter().map(|oif| NextHop { oif: Some(*oif), gateway: gateway.map(ip) }).collect();
        self.routes.push((target.to_owned(), RouteReply { hops, ..RouteReply::default() }));
        self
    }

    fn neighbour(mut self, index: u32, address: &str, mac: &str) -> Self {
        self.neighbours.push(Neighbour { index, address: Some(ip(address)), mac: Some(mac.into()), master: None });
        self
    }

    fn forwards(mut self, index: u32, mac: &str, master: Option<u32>, address: Option<&str>) -> Self {
        self.forwarding.push(Neighbour { index, address: address.map(ip), mac: Some(mac.into()), master });
        self
    }

    fn filter(mut self, iface: &str, kind: &str, to: &[u32]) -> Self {
        let filter = Redirects {
            kind: kind.into(),
            to: to.to_vec(),
            opaque: kind == "bpf",
            program_id: None,
            program_name: None,
        };
        self.redirects.entry(iface.into()).or_default().push(filter);
        self
    }

    fn sys(&self) -> FakeSys {
        let mut sys = FakeSys::new()
            .net(&NetQuery::Links, &self.links)
            .net(&NetQuery::Stack, &self.stack)
            .net(&NetQuery::Neighbours, &self.neighbours)
            .net(&NetQuery::Forwarding, &self.forwarding);
        for link in &self.links {
            let filters = self.redirects.get(&link.name).cloned().unwrap_or_default();
            sys = sys.net(&NetQuery::Redirects(link.name.clone()), filters);
        }
        for (target, reply) in &self.routes {
            sys = sys.net(&NetQuery::RouteTo { to: ip(target), oif: None, from: None, mark: None }, reply);
        }
        sys
    }

    fn path(&self, target: &str) -> Found {
        find(&self.sys(), None, Some(to(target))).unwrap()
    }
}

/// `eth0 (route), bond0 < eth0` and so on.
fn words(found: &Found) -> Vec<String> {
    let one = |l: &lowlat_model::PathLink| match &l.above {
        Some(above) => format!("{above} > {} {:?}", l.name, l.role),
        None => format!("{} {:?}", l.name, l.role),
    };
    found.links.iter().map(one).collect()
}

fn facts_of(found: &Found) -> Vec<&str> {
    found.not_seen.iter().map(|n| n.fact.as_str()).collect()
}

#[test]
fn a_vlan_on_a_bond_leads_to_both_slaves() {
    let host = Host::default()
        .device("lo")
        .link("bond0", Some("bond"), &Stacked::default())
        .slave("eth0", 2)
        .slave("eth1", 2)
        .device("eth2")
        .on("bond0.77", "vlan", 2)
        .route("10.1.2.3", &[6], None);
    let found = host.path("10.1.2.3");
    assert_eq!(words(&found), ["bond0.77 Route", "bond0.77 > bond0 Lower", "bond0 > eth0 Lower", "bond0 > eth1 Lower"]);
    assert!(found.not_seen.is_empty(), "{:?}", found.not_seen);
    // Each of them is the path's, and the one next to it is not.
    for iface in ["bond0.77", "bond0", "eth1"] {
        assert_eq!(leads_over(&host.sys(), iface, to("10.1.2.3")), Ok(()));
    }
    let refused = leads_over(&host.sys(), "eth2", to("10.1.2.3")).unwrap_err().to_string();
    assert_eq!(
        refused,
        "reach 10.1.2.3 over eth2: the route to it leaves by bond0.77; use --iface bond0.77, or a target behind eth2"
    );
}

#[test]
fn sysfs_reports_where_the_link_dump_does_not_and_another_namespaces_sysfs_is_not_heeded() {
    let host = Host::default().device("lo").device("eth0").link("bond0", Some("bond"), &Stacked::default());
    let old = |index: &str| {
        FakeSys::new()
            .net(&NetQuery::Links, &host.links)
            .file("/sys/class/net/bond0/lower_eth0/mtu", "1500\n")
            .file("/sys/class/net/bond0/ifindex", index)
    };
    assert_eq!(words(&find(&old("3\n"), Some("bond0"), None).unwrap()), ["bond0 Route", "bond0 > eth0 Lower"]);
    let other = find(&old("9\n"), Some("bond0"), None).unwrap();
    assert_eq!(words(&other), ["bond0 Route"]);
    assert_eq!(facts_of(&other), ["path beneath bond0"], "what is not known is said");
}

#[test]
fn of_a_bridge_the_port_behind_which_the_next_hop_is() {
    let host = Host::default()
        .device("lo")
        .link("br0", Some("bridge"), &Stacked::default())
        .slave("eth0", 2)
        .slave("eth1", 2)
        .route("203.0.113.9", &[2], Some("192.0.2.254"));
    let all = host.path("203.0.113.9");
    assert_eq!(words(&all), ["br0 Route", "br0 > eth0 Lower", "br0 > eth1 Lower"]);
    assert!(all.not_seen[0].why.contains("neighbour table") && all.not_seen[0].why.contains("all 2 ports"), "{all:?}");
    let learned = host.clone().neighbour(2, "192.0.2.254", "02:aa:00:00:00:01");
    assert!(learned.path("203.0.113.9").not_seen[0].why.contains("forwarding table"));
    let known = learned.forwards(4, "02:aa:00:00:00:01", Some(2), None).path("203.0.113.9");
    assert_eq!(words(&known), ["br0 Route", "br0 > eth1 Lower"]);
    assert!(known.not_seen.is_empty());
}

#[test]
fn macvlan_and_ipvlan_stand_on_their_device_and_a_veth_on_nothing() {
    let host = Host::default()
        .device("eth0")
        .on("mv0", "macvlan", 1)
        .on("iv0", "ipvlan", 1)
        .on("veth0", "veth", 1)
        .route("10.0.0.2", &[2], None)
        .route("10.0.0.3", &[3], None)
        .route("10.0.0.4", &[4], None);
    assert_eq!(words(&host.path("10.0.0.2")), ["mv0 Route", "mv0 > eth0 Lower"]);
    assert_eq!(words(&host.path("10.0.0.3")), ["iv0 Route", "iv0 > eth0 Lower"]);
    assert_eq!(words(&host.path("10.0.0.4")), ["veth0 Route"]);
}

#[test]
fn a_pair_goes_on_elsewhere_and_an_unknown_kind_is_said() {
    let away = Stacked { link: Some(9), link_elsewhere: true, ..Stacked::default() };
    let host = Host::default()
        .link("eth0", Some("veth"), &away)
        .link("x0", Some("unheard-of"), &Stacked::default())
        .link("d0", Some("dummy"), &Stacked::default())
        .route("10.0.0.1", &[1], None)
        .route("10.0.0.2", &[2], None)
        .route("10.0.0.3", &[3], None);
    let said = |target: &str| {
        let found = host.path(target);
        found.not_seen.iter().map(|n| format!("{}: {}", n.fact, n.why)).collect::<Vec<_>>()
    };
    let beyond = "path beyond eth0: unsupported: the other end of this veth is in another network namespace, where the path \
                  goes on; look there too";
    assert_eq!(said("10.0.0.1"), [beyond]);
    let unknown = "path beneath x0: unsupported: nothing is known about links of the kind unheard-of; what is beneath is not \
                   looked at";
    assert_eq!(said("10.0.0.2"), [unknown]);
    assert!(said("10.0.0.3").is_empty());
}

#[test]
fn a_device_in_another_namespace_is_said() {
    let below = Stacked { link: Some(1), link_elsewhere: true, ..Stacked::default() };
    let host = Host::default().device("eth0").link("mv0", Some("macvlan"), &below).route("10.0.0.2", &[2], None);
    let found = host.path("10.0.0.2");
    assert_eq!(words(&found), ["mv0 Route"]);
    assert!(found.not_seen[0].why.contains("another network namespace"), "{found:?}");
}

#[test]
fn a_tunnel_leads_to_the_route_of_its_far_end() {
    let tunnel = |kind: &str| {
        let remote = Stacked { remote: Some(ip("192.0.2.9")), ..Stacked::default() };
        Host::default()
            .device("eth0")
            .device("eth1")
            .link("t0", Some(kind), &remote)
            .route("10.9.0.1", &[3], None)
            .route("192.0.2.9", &[2], None)
    };
    for kind in ["vxlan", "geneve", "gre", "ipip"] {
        assert_eq!(words(&tunnel(kind).path("10.9.0.1")), ["t0 Route", "t0 > eth1 Lower"], "{kind}");
    }
    // A vxlan without a far end of its own has those of its table.
    let host = Host::default()
        .device("eth0")
        .device("eth1")
        .link("vx0", Some("vxlan"), &Stacked::default())
        .route("10.9.0.1", &[3], None)
        .route("192.0.2.8", &[1], None)
        .route("192.0.2.9", &[2], None)
        .forwards(3, "00:00:00:00:00:00", None, Some("192.0.2.8"));
    assert_eq!(words(&host.path("10.9.0.1")), ["vx0 Route", "vx0 > eth0 Lower"]);
    let known = host
        .neighbour(3, "10.9.0.1", "02:bb:00:00:00:01")
        .forwards(3, "02:bb:00:00:00:01", None, Some("192.0.2.9"))
        .path("10.9.0.1");
    assert_eq!(words(&known), ["vx0 Route", "vx0 > eth1 Lower"]);
    let nowhere = Host::default().link("g0", Some("gre"), &Stacked::default()).route("10.9.0.1", &[1], None);
    assert_eq!(facts_of(&nowhere.path("10.9.0.1")), ["path beneath g0"]);
}

#[test]
fn wireguard_leads_to_the_peer_that_the_address_belongs_to() {
    let host = Host::default()
        .device("eth0")
        .device("eth1")
        .link("wg0", Some("wireguard"), &Stacked::default())
        .route("10.9.0.1", &[3], None)
        .route("192.0.2.8", &[1], None)
        .route("192.0.2.9", &[2], None);
    let peer =
        |endpoint: &str, net: &str| TunnelPeer { endpoint: Some(ip(endpoint)), allowed: vec![net.to_owned()], mark: 0 };
    let peers = vec![peer("192.0.2.8", "0.0.0.0/0"), peer("192.0.2.9", "10.9.0.0/16")];
    let sys = host.sys().net(&NetQuery::Peers("wg0".into()), &peers);
    let found = find(&sys, None, Some(to("10.9.0.1"))).unwrap();
    assert_eq!(words(&found), ["wg0 Route", "wg0 > eth1 Lower"]);
    // Without leave to ask, the path ends there, and says so.
    let denied = host.sys().net_reading(&NetQuery::Peers("wg0".into()), Reading::Denied("needs root".into()));
    let found = find(&denied, None, Some(to("10.9.0.1"))).unwrap();
    assert_eq!((words(&found).len(), facts_of(&found)), (1, vec!["path beneath wg0"]));
    assert_eq!(walk::endpoints(&peers, Some(ip("203.0.113.1"))), [(ip("192.0.2.8"), 0)]);
    assert_eq!(walk::endpoints(&peers, None).len(), 2);
}

/// As wg-quick(8) sets a tunnel up for everything: what has no mark goes into it, and its own packets have one.
#[test]
fn a_tunnel_for_everything_stands_on_the_way_of_its_own_packets() {
    let host = Host::default()
        .device("eth0")
        .link("wg0", Some("wireguard"), &Stacked::default())
        .route("203.0.113.1", &[2], None)
        .route("192.0.2.8", &[2], None);
    let peers =
        |mark| [TunnelPeer { endpoint: Some(ip("192.0.2.8")), allowed: vec!["0.0.0.0/0".to_owned()], mark }].to_vec();
    let sys = |mark| host.sys().net(&NetQuery::Peers("wg0".into()), peers(mark));
    let marked = NetQuery::RouteTo { to: ip("192.0.2.8"), oif: None, from: None, mark: Some(51_820) };
    let reply = RouteReply { hops: vec![NextHop { oif: Some(1), gateway: None }], ..RouteReply::default() };
    let full = sys(51_820).net(&marked, reply);
    assert_eq!(words(&find(&full, None, Some(to("203.0.113.1"))).unwrap()), ["wg0 Route", "wg0 > eth0 Lower"]);
    // Where the rules ask for something else than a mark, that is said.
    let found = find(&sys(0), None, Some(to("203.0.113.1"))).unwrap();
    assert_eq!(
        (words(&found), facts_of(&found)),
        (vec!["wg0 Route".to_owned()], vec!["route to 192.0.2.8, the far end of wg0"])
    );
    // What is beneath a tunnel is beneath it without a target too, for whoever comes in by it.
    let facts = crate::gather(&full, None, None);
    assert_eq!(facts.interfaces["wg0"].lower, Reading::Value(vec!["eth0".to_owned()]));
    let names: Vec<String> = facts.beneath("wg0").into_iter().map(|l| l.name).collect();
    assert_eq!(names, ["wg0", "eth0"]);
}

#[test]
fn the_virtual_function_beneath_a_hyper_v_interface() {
    let driver = |name: &str, driver: &str| {
        let info =
            DriverInfo { driver: driver.into(), version: String::new(), firmware: String::new(), bus: String::new() };
        (NetQuery::Driver(name.into()), info)
    };
    let with = |host: &Host| {
        let (eth0, vf) = (driver("eth0", "hv_netvsc"), driver("vf0", "mlx5_core"));
        host.sys().net(&eth0.0, eth0.1).net(&vf.0, vf.1)
    };
    let joined = Host::default().device("eth0").slave("vf0", 1).device("eth1");
    assert_eq!(words(&find(&with(&joined), Some("eth0"), None).unwrap()), ["eth0 Route", "eth0 > vf0 Vf"]);
    let mut alone = Host::default().device("eth0").device("vf0").device("eth1");
    let mac = alone.links[0].mac.clone();
    alone.links[1].mac = mac;
    assert_eq!(words(&find(&with(&alone), Some("eth0"), None).unwrap()), ["eth0 Route", "eth0 > vf0 Vf"]);
}

#[test]
fn an_ifb_is_on_the_path_where_a_filter_of_the_path_leads_to_it() {
    let ifb = || Stacked::default();
    let host = Host::default()
        .device("eth0")
        .device("eth1")
        .link("ifb0", Some("ifb"), &ifb())
        .link("ifb1", Some("ifb"), &ifb())
        .route("10.0.0.2", &[1], None);
    let found = host.clone().filter("eth0", "u32", &[3]).filter("eth1", "u32", &[4]).path("10.0.0.2");
    assert_eq!(words(&found), ["eth0 Route", "eth0 > ifb0 Redirect"]);
    assert!(found.not_seen.is_empty());
    // Next to it without a filter: not on the path, and nothing to say.
    let beside = host.path("10.0.0.2");
    assert_eq!((words(&beside), facts_of(&beside)), (vec!["eth0 Route".to_owned()], vec![]));
    // A program decides, or nobody may ask: not on the path, and said.
    let program = host.clone().filter("eth0", "bpf", &[]).path("10.0.0.2");
    assert_eq!(facts_of(&program), ["redirection to ifb0", "redirection to ifb1"]);
    let denied = host.sys().net_reading(&NetQuery::Redirects("eth0".into()), Reading::Denied("needs root".into()));
    let found = find(&denied, None, Some(to("10.0.0.2"))).unwrap();
    assert_eq!((words(&found).len(), found.not_seen.len()), (1, 2));
    assert!(found.not_seen[0].why.starts_with("denied: needs root"), "{found:?}");
}

#[test]
fn loops_end_and_many_ports_are_cut() {
    let mut host = Host::default().on("a", "vlan", 2).on("b", "vlan", 1).route("10.0.0.2", &[1], None);
    assert_eq!(words(&host.path("10.0.0.2")), ["a Route", "a > b Lower"]);
    host = Host::default().link("br0", Some("bridge"), &Stacked::default()).route("10.0.0.2", &[1], None);
    for n in 0..400 {
        host = host.slave(&format!("p{n}"), 1);
    }
    let found = host.path("10.0.0.2");
    assert_eq!(found.links.len(), 256);
    assert!(found.not_seen.iter().any(|n| n.why.contains("256")), "{:?}", found.not_seen);
}

#[test]
fn every_next_hop_is_on_the_path_and_a_local_target_is_by_lo() {
    let mut host = Host::default().device("lo").device("eth0").device("eth1").route("10.0.0.2", &[2, 3], None);
    assert_eq!(words(&host.path("10.0.0.2")), ["eth0 Route", "eth1 Route"]);
    host.routes.push(("10.0.0.1".into(), RouteReply { local: true, ..RouteReply::default() }));
    assert_eq!(words(&host.path("10.0.0.1")), ["lo Route"]);
    let refused = leads_over(&host.sys(), "eth0", to("10.0.0.1")).unwrap_err().to_string();
    assert!(refused.contains("an address of this host") && refused.contains("--iface lo"), "{refused}");
    // Without a route nothing is refused here: the sending says so.
    let none = RouteReply { refused: Some("network is unreachable".into()), ..RouteReply::default() };
    host.routes.push(("10.0.0.3".into(), none));
    assert_eq!(leads_over(&host.sys(), "eth0", to("10.0.0.3")), Ok(()));
    let found = find(&host.sys(), Some("eth0"), Some(to("10.0.0.3"))).unwrap();
    assert_eq!((words(&found), facts_of(&found)), (vec!["eth0 Route".to_owned()], vec!["route to 10.0.0.3"]));
}

/// The tables of a capture that is older than the question for one route.
fn tables() -> FakeSys {
    let link = |name: &str| LinkInfo {
        index: match name {
            "lo" => 1,
            "eth0" => 2,
            "eth1" => 3,
            "bond0" => 4,
            _ => 5,
        },
        name: name.into(),
        up: true,
        operstate: "up".into(),
        mtu: 1500,
        mac: None,
        kind: None,
        xdp: "none".into(),
    };
    let route = |destination: &str, oif: u32, table: u32| Entries {
        destination: destination.into(),
        oif: Some(oif),
        gateway: None,
        table,
        prefix: if destination == "default" { "0.0.0.0/0".into() } else { String::new() },
        multipath: false,
        metrics: BTreeMap::new(),
    };
    FakeSys::new()
        .net(&NetQuery::Links, ["lo", "eth0", "eth1", "bond0", "bond0.7"].map(link))
        .net(
            &NetQuery::Routes,
            [
                route("default", 2, 254),
                route("10.1.0.0/16", 3, 254),
                route("10.1.2.0/24", 5, 254),
                route("192.0.2.0/24", 2, 254),
                route("192.0.2.0/24", 3, 254),
                route("198.51.100.0/24", 3, 77),
                route("2001:db8::/32", 3, 254),
            ],
        )
        .net(&NetQuery::Addresses, [InterfaceAddress { index: 2, address: "10.9.9.1/24".into() }])
        .file("/sys/class/net/bond0.7/lower_bond0/x", "")
}

#[test]
fn without_the_kernels_answer_the_tables_tell_and_it_is_said() {
    for (iface, target) in [
        ("eth0", "8.8.8.8"),
        ("eth1", "10.1.9.9"),
        ("bond0.7", "10.1.2.3"),
        ("bond0", "10.1.2.3"),
        ("eth0", "192.0.2.9"),
        ("eth1", "192.0.2.9"),
        ("eth1", "198.51.100.7"),
        ("eth0", "198.51.100.7"),
        ("eth1", "2001:db8::9"),
        ("lo", "10.9.9.1"),
        ("lo", "::1"),
        ("eth0", "2001:db9::9"),
    ] {
        assert_eq!(leads_over(&tables(), iface, to(target)), Ok(()), "{target} over {iface}");
    }
    for (iface, target, way) in [
        ("eth1", "8.8.8.8", "leaves by eth0;"),
        ("eth0", "10.1.9.9", "leaves by eth1;"),
        ("lo", "192.0.2.9", "leaves by eth0 and eth1;"),
        ("eth0", "127.0.0.1", "an address of this host"),
    ] {
        let answer = leads_over(&tables(), iface, to(target)).unwrap_err().to_string();
        assert!(answer.contains(way), "{target} over {iface}: {answer}");
    }
    let found = find(&tables(), None, Some(to("8.8.8.8"))).unwrap();
    assert!(found.not_seen.iter().any(|n| n.why.contains("without policy rules")), "{:?}", found.not_seen);
}

#[test]
fn a_path_that_changed_is_reported_in_one_line() {
    let host = Host::default()
        .device("lo")
        .link("bond0", Some("bond"), &Stacked::default())
        .slave("eth0", 2)
        .slave("eth1", 2)
        .device("eth2")
        .route("10.0.0.2", &[2], None);
    let before = host.path("10.0.0.2").links;
    let now = |host: &Host| path_changed(&host.sys(), &before, Some(to("10.0.0.2")));
    assert_eq!(now(&host), None);
    let with = |change: &dyn Fn(&mut Host)| {
        let mut host = host.clone();
        change(&mut host);
        now(&host).unwrap()
    };
    assert_eq!(with(&|h| h.links[3].name = "eth9".into()), "interface eth1 is gone");
    assert_eq!(with(&|h| h.links[1].up = false), "interface bond0 was set down");
    assert_eq!(with(&|h| h.stack[2].master = None), "interface eth0 is no longer beneath bond0");
    let other = with(&|h| h.routes[0].1.hops[0].oif = Some(5));
    assert_eq!(other, "the route to 10.0.0.2 leaves by eth2 now, and left by bond0 before");
    let none = with(&|h| {
        h.routes[0].1 = RouteReply { refused: Some("network is unreachable".into()), ..RouteReply::default() };
    });
    assert_eq!(none, "there is no route to 10.0.0.2 any more: network is unreachable");
}

fn login_ifaces(sys: &FakeSys) -> Vec<String> {
    super::login_ifaces(sys, &sys.tcp_sockets())
}

#[test]
fn a_login_session_is_known_by_its_variable_and_by_its_socket() {
    let session = |local: &str, remote: &str, state: &str| TcpSocket {
        local: local.into(),
        remote: remote.into(),
        state: state.to_owned().into(),
        srtt_ns: 0,
        rttvar_ns: 0,
        min_rtt_ns: 0,
        retransmits: 0,
        cwnd: 0,
        notsent_bytes: 0,
        congestion: "".into(),
        timeouts: None,
    };
    let host = Host::default()
        .device("eth0")
        .device("eth1")
        .device("eth2")
        .route("192.0.2.7", &[1], None)
        .route("192.0.2.8", &[2], None)
        .route("192.0.2.9", &[3], None);
    let base = || {
        host.sys().net(&NetQuery::Addresses, [InterfaceAddress { index: 1, address: "10.0.0.1/24".into() }]).net(
            &NetQuery::TcpSockets,
            [
                session("[::ffff:10.0.0.1]:22", "[::ffff:192.0.2.8]:50000", "established"),
                session("10.0.0.1:5001", "192.0.2.9:50000", "established"),
                session("0.0.0.0:22", "0.0.0.0:0", "listen"),
            ],
        )
    };
    assert_eq!(login_ifaces(&base()), ["eth1"]);
    let login = |local: &str| Login { peer: ip("192.0.2.7"), local: ip(local) };
    assert_eq!(login_ifaces(&base().net(&NetQuery::Login, login("10.0.0.1"))), ["eth0", "eth1"]);
    assert_eq!(login_ifaces(&base().net(&NetQuery::Login, login("10.0.7.7"))), ["eth1"], "another namespace's");
}

#[test]
fn the_facts_hold_the_path_and_the_route_brings_the_focus() {
    let host = Host::default().device("eth0").on("eth0.5", "vlan", 1).route("10.0.0.2", &[2], None);
    let facts = crate::gather_path(&host.sys(), None, Some(to("10.0.0.2")), None);
    assert_eq!((facts.iface.as_deref(), facts.target.as_deref()), (Some("eth0.5"), Some("10.0.0.2")));
    assert_eq!(
        facts.path.iter().map(|l| (l.name.as_str(), l.role)).collect::<Vec<_>>(),
        [("eth0.5", PathRole::Route), ("eth0", PathRole::Lower)]
    );
    assert_eq!(facts.interfaces["eth0.5"].lower, Reading::Value(vec!["eth0".to_owned()]));
    let none = crate::gather(&host.sys(), None, None);
    assert!(none.path.is_empty() && none.path_not_seen.is_empty() && none.iface.is_none());
    // A route that leads elsewhere leaves the path of the interface that was named, and says so.
    let other = crate::gather_path(&host.device("eth9").sys(), Some("eth9"), Some(to("10.0.0.2")), None);
    assert_eq!(other.path.len(), 1);
    let said = NotSeen {
        fact: "path".into(),
        why: "absent: reach 10.0.0.2 over eth9: the route to it leaves by eth0.5; use --iface eth0.5, or a target behind eth9".into(),
    };
    assert_eq!(other.path_not_seen, [said]);
}
