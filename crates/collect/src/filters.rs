//! Packet filters and taps on the path.

use std::collections::{BTreeMap, BTreeSet};

use lowlat_model::Reading;
use lowlat_model::facts::{Filters, HookProgram, TcFilter, XdpSocket};
use lowlat_sys::query::QdiscReply;
use lowlat_sys::{Sys, query};

use crate::text::garbled;

crate::collector! {
    /// What looks at each packet before an application does: nf_tables rules per chain, legacy iptables tables that
    /// were ever used in this namespace, connection tracking, packet sockets (tcpdump, DHCP clients, LLDP), traffic
    /// control filters, programs of the newer hook `tcx` (Linux 6.6), the names of the BPF programs at both, and AF_XDP sockets with the programs that hold them.
    ///
    /// A packet socket is counted when it is bound to a protocol; one with protocol 0 receives nothing (packet(7)).
    pub FILTERS = "filters";
    reads [
        "net:nft-rules",
        "net:qdiscs",
        "net:IF/redirects",
        "net:tcx-programs",
        "net:xsk-sockets",
        "/proc/net/ip_tables_names",
        "/proc/net/ip6_tables_names",
        "/proc/sys/net/netfilter/nf_conntrack_count",
        "/proc/sys/net/netfilter/nf_conntrack_max",
        "/proc/net/packet",
    ];
    sources [
        "man 7 packet (ETH_P_ALL; protocol 0 receives nothing)",
        "net/sched/cls_api.c in linux 6.12: tc_dump_tfilter",
        "kernel/bpf/tcx.c in linux 6.12: tcx_prog_query",
        "man 8 bpftool-prog (what it shows of each program: id, name)",
        "net/xdp/xsk_diag.c in linux 6.12: xsk_diag_put_umem (XDP_DU_F_ZEROCOPY)",
        "net/packet/af_packet.c in linux 6.12: packet_seq_show",
        "Documentation/networking/nf_conntrack-sysctl.rst in linux 6.12: nf_conntrack_count, nf_conntrack_max",
    ];
}

/// All of it.
pub(crate) fn read(sys: &dyn Sys) -> Filters {
    let (tc, tcx) = (tc(sys), query::tcx_programs(sys));
    Filters {
        nft_rules: query::nft_rules(sys),
        iptables_tables: legacy_tables(sys),
        conntrack_count: sys.sysctl("net.netfilter.nf_conntrack_count").parse("nf_conntrack_count"),
        conntrack_max: sys.sysctl("net.netfilter.nf_conntrack_max").parse("nf_conntrack_max"),
        packet_sockets: sys.read("/proc/net/packet").and_then(|text| packet_sockets(&text)),
        programs: programs(&tc, &tcx),
        tc: tc.map(|all| all.into_iter().map(|(filter, _)| filter).collect()),
        tcx: tcx.map(|all| {
            all.into_iter()
                .map(|(iface, programs)| (iface, u32::try_from(programs.len()).unwrap_or(u32::MAX)))
                .collect()
        }),
    }
}

/// The programs at both hooks. A kernel without one of them has those of the other.
fn programs(
    tc: &Reading<Vec<(TcFilter, Option<HookProgram>)>>,
    tcx: &Reading<BTreeMap<String, Vec<query::TcxProgram>>>,
) -> Reading<Vec<HookProgram>> {
    let missing = |kind: Option<&str>| matches!(kind, Some("absent" | "unsupported"));
    let of_tc = tc.as_ref().map(|all| all.iter().filter_map(|(_, program)| program.clone()).collect::<Vec<_>>());
    let of_tcx = tcx.as_ref().map(|all| {
        let at = |iface: &str, p: &query::TcxProgram| HookProgram {
            iface: iface.to_owned(),
            hook: format!("tcx {}", p.hook),
            id: Some(p.id),
            name: p.name.clone(),
            owner: p.owner.clone(),
        };
        all.iter().flat_map(|(iface, programs)| programs.iter().map(move |p| at(iface, p))).collect::<Vec<_>>()
    });
    match (of_tcx, of_tc) {
        (Reading::Value(first), Reading::Value(then)) => Reading::Value([first, then].concat()),
        (tcx, tc) if missing(tcx.why_not().map(|(kind, _)| kind)) => tc,
        (tcx, tc) if missing(tc.why_not().map(|(kind, _)| kind)) => tcx,
        (Reading::Value(_), tc) => tc,
        (tcx, _) => tcx,
    }
}

/// Filters hang at a hook for what comes in or goes out, or at a discipline with classes; only interfaces that have one of
/// these are asked.
fn tc(sys: &dyn Sys) -> Reading<Vec<(TcFilter, Option<HookProgram>)>> {
    query::qdiscs(sys).and_then(|all| {
        let hooks = |q: &&QdiscReply| {
            matches!(q.qdisc.kind.as_str(), "ingress" | "clsact")
                || q.exact.carries.iter().any(|c| c.starts_with("filters"))
        };
        let ifaces: BTreeSet<&str> = all.iter().filter(hooks).map(|q| q.qdisc.iface.as_str()).collect();
        let mut filters = Vec::new();
        for iface in ifaces {
            match query::redirects(sys, iface) {
                Reading::Value(found) => {
                    filters.extend(found.into_iter().map(|f| {
                        let program = (f.kind == "bpf").then(|| HookProgram {
                            iface: iface.to_owned(),
                            hook: "tc".to_owned(),
                            id: f.program_id,
                            name: f.program_name,
                            owner: None,
                        });
                        (TcFilter { iface: iface.to_owned(), kind: f.kind }, program)
                    }));
                }
                other => return other.map(|_| Vec::new()),
            }
        }
        Reading::Value(filters)
    })
}

/// The AF_XDP sockets, with the names of their interfaces.
pub(crate) fn xdp_sockets(sys: &dyn Sys) -> Reading<Vec<XdpSocket>> {
    query::xsk_sockets(sys).and_then(|all| {
        if all.is_empty() {
            return Reading::Value(Vec::new());
        }
        query::links(sys).map(|links| {
            let name = |index: u32| {
                links.iter().find(|l| l.index == index).map_or_else(|| format!("link {index}"), |l| l.name.clone())
            };
            let from = |s: query::XskSocket| XdpSocket {
                iface: name(s.index),
                queue: s.queue,
                zero_copy: s.zero_copy,
                owner: s.owner,
            };
            all.into_iter().map(from).collect()
        })
    })
}

/// Names of the legacy tables, those for IPv6 as `ip6 filter`. A kernel without one of the two has no such file.
fn legacy_tables(sys: &dyn Sys) -> Reading<Vec<String>> {
    let names = |file: &str, prefix: &str| {
        sys.read(&format!("/proc/net/{file}")).map(|text| {
            text.lines().map(str::trim).filter(|l| !l.is_empty()).map(|l| format!("{prefix}{l}")).collect::<Vec<_>>()
        })
    };
    match (names("ip_tables_names", ""), names("ip6_tables_names", "ip6 ")) {
        (Reading::Value(four), Reading::Value(six)) => Reading::Value([four, six].concat()),
        (Reading::Absent(_), six) => six,
        (four, Reading::Absent(_)) => four,
        (Reading::Value(_), six) => six,
        (four, _) => four,
    }
}

/// Counts the sockets of `/proc/net/packet` that receive: `sk RefCnt Type Proto Iface R Rmem User Inode`, the protocol
/// in hexadecimal.
fn packet_sockets(text: &str) -> Reading<u64> {
    let mut lines = text.lines();
    let Some(header) = lines.next() else { return Reading::Value(0) };
    let Some(column) = header.split_whitespace().position(|name| name == "Proto") else {
        return garbled("/proc/net/packet", header);
    };
    let mut count = 0;
    for line in lines {
        match line.split_whitespace().nth(column).map(|p| u32::from_str_radix(p, 16)) {
            Some(Ok(0)) => {}
            Some(Ok(_)) => count += 1,
            _ => return garbled("/proc/net/packet", line),
        }
    }
    Reading::Value(count)
}

#[cfg(test)]
mod tests {
    use lowlat_model::op::QdiscState;
    use lowlat_sys::NetQuery;
    use lowlat_sys::query::Redirects;
    use lowlat_testkit::FakeSys;

    use super::*;

    #[test]
    fn filters_are_asked_where_a_hook_is() {
        let qdisc = |iface: &str, kind: &str, carries: &[&str]| QdiscReply {
            qdisc: lowlat_testkit::facts::qdisc(iface, kind, "root", "1:"),
            exact: QdiscState {
                kind: kind.into(),
                handle: "1:".into(),
                options_hex: String::new(),
                summary: String::new(),
                carries: carries.iter().map(|c| (*c).to_owned()).collect(),
            },
        };
        let filter = |kind: &str| Redirects {
            kind: kind.into(),
            to: vec![],
            opaque: false,
            program_id: Some(7),
            program_name: None,
        };
        let sys = FakeSys::new()
            .net(
                &NetQuery::Qdiscs,
                vec![qdisc("a", "clsact", &[]), qdisc("b", "htb", &["filters (u32)"]), qdisc("c", "fq", &[])],
            )
            .net(&NetQuery::Redirects("a".into()), vec![filter("bpf")])
            .net(&NetQuery::Redirects("b".into()), vec![filter("u32"), filter("u32")]);
        let found = tc(&sys).into_value().unwrap();
        let got: Vec<_> = found.iter().map(|(f, _)| (f.iface.as_str(), f.kind.as_str())).collect();
        assert_eq!(
            found.iter().filter_map(|(_, p)| p.as_ref()?.id).collect::<Vec<_>>(),
            [7],
            "a program alone has one"
        );
        assert_eq!(got, [("a", "bpf"), ("b", "u32"), ("b", "u32")]);
        assert!(!sys.reads().contains_key("c/redirects"), "{:?}", sys.reads());
        let denied = sys.net_reading(&NetQuery::Redirects("a".into()), Reading::Denied("x".into()));
        assert!(matches!(tc(&denied), Reading::Denied(_)));
    }

    #[test]
    fn a_kernel_without_one_of_the_hooks_has_the_programs_of_the_other() {
        let one = |hook: &str| HookProgram {
            iface: "a".into(),
            hook: hook.into(),
            id: Some(7),
            name: Some("x".into()),
            owner: None,
        };
        let bpf = || TcFilter { iface: "a".into(), kind: "bpf".into() };
        let tc = Reading::Value(vec![(bpf(), Some(one("tc")))]);
        let program = query::TcxProgram { hook: "egress".into(), id: 7, name: Some("x".into()), owner: None };
        let tcx = Reading::Value(BTreeMap::from([("a".to_owned(), vec![program])]));
        assert_eq!(programs(&tc, &tcx), Reading::Value(vec![one("tcx egress"), one("tc")]), "tcx comes first");
        assert_eq!(programs(&tc, &Reading::Unsupported("6.1".into())), Reading::Value(vec![one("tc")]));
        assert_eq!(programs(&Reading::Absent("x".into()), &tcx), Reading::Value(vec![one("tcx egress")]));
        assert_eq!(programs(&tc, &Reading::Denied("x".into())), Reading::Denied("x".into()));
        assert_eq!(programs(&Reading::Garbled("x".into()), &tcx), Reading::Garbled("x".into()));
    }

    #[test]
    fn a_socket_has_the_name_of_its_interface() {
        let socket =
            query::XskSocket { index: 3, queue: 1, inode: 7, zero_copy: Some(false), owner: Some("feed (9)".into()) };
        let sys = FakeSys::new().net(&NetQuery::XskSockets, vec![socket]);
        assert!(matches!(xdp_sockets(&sys), Reading::Absent(_)), "without the links it has none");
        let sys = sys.net(&NetQuery::Links, Vec::<query::LinkInfo>::new());
        let want =
            XdpSocket { iface: "link 3".into(), queue: 1, zero_copy: Some(false), owner: Some("feed (9)".into()) };
        assert_eq!(xdp_sockets(&sys), Reading::Value(vec![want]));
        let none = FakeSys::new().net(&NetQuery::XskSockets, Vec::<query::XskSocket>::new());
        assert_eq!(xdp_sockets(&none), Reading::Value(vec![]));
    }

    #[test]
    fn taps_are_counted_and_mute_sockets_are_not() {
        let text = "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n\
                    00000000f8a5c3d1 3      3    0003   0     1 0      0      24521\n\
                    000000008b9d4f02 3      2    0806   2     1 0      0      24522\n\
                    00000000aa9d4f02 3      3    0000   0     0 0      0      24523\n";
        assert_eq!(packet_sockets(text), Reading::Value(2));
        assert_eq!(
            packet_sockets("sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n"),
            Reading::Value(0)
        );
        assert!(matches!(packet_sockets("something else\n"), Reading::Garbled(_)));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "(?s).*") {
            let _ = packet_sockets(&text);
        }
    }
}
