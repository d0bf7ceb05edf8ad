//! The ways of a probe on real kernel paths between two namespaces: every engine and every peer over IPv4, IPv6 and
//! link-local addresses; what DSCP and priority make of the packets, read off the wire; ICMP without privilege.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test may end by panic

mod common;

use std::collections::HashSet;
use std::net::{SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, OwnedFd};

use common::*;
use lowlat_peers::PeerOptions;
use lowlat_peers::serve::{ServeConfig, Wait};
use lowlat_transport::{Endpoint, Engine, EngineError, Proto, os};
use rustix::thread::{Gid, Uid, set_thread_groups, set_thread_res_gid, set_thread_res_uid};

const ENGINES: &[&str] = &["block", "spin", "busy-poll", "epoll", "suspend", "io-uring", "af-xdp"];

fn open(name: &str, endpoint: &Endpoint) -> Result<Box<dyn Engine>, EngineError> {
    match name {
        "io-uring" => lowlat_transport_uring::open(endpoint),
        "af-xdp" => lowlat_transport_xdp::open(endpoint),
        other => lowlat_transport::open(other, endpoint),
    }
}

/// Whether an engine has a protocol; what it has not, it must refuse.
fn carries(engine: &str, proto: Proto) -> bool {
    match engine {
        "af-xdp" => proto == Proto::Udp,
        "io-uring" => proto != Proto::Icmp,
        _ => true,
    }
}

/// The far end's addresses, the link-local one with its scope.
fn far_addresses(port: u16) -> [SocketAddr; 3] {
    // /sys shows the namespace of whoever mounted it, so that `ip` is asked.
    let index = run("ip", &["-o", "link", "show", "lan0"]).split(':').next().unwrap().trim().parse().unwrap();
    [
        SocketAddr::new(FAR4.parse().unwrap(), port),
        SocketAddr::new(FAR6.parse().unwrap(), port),
        SocketAddr::V6(SocketAddrV6::new(FAR_LINK.parse().unwrap(), port, 0, index)),
    ]
}

/// Every peer that runs on `serve`, and ICMP, with its port there.
const WAYS: [(&str, Proto, u16); 6] = [
    ("lowlat", Proto::Udp, 8620),
    ("lowlat", Proto::Tcp, 8620),
    ("sockperf", Proto::Udp, 11111),
    ("sockperf", Proto::Tcp, 11111),
    ("stamp", Proto::Udp, 862),
    ("icmp", Proto::Icmp, 0),
];

fn everything() -> ServeConfig {
    ServeConfig { sockperf: Some(11111), stamp: Some(862), ..ServeConfig::default() }
}

/// Round after round on one flow: the same port for every engine and protocol that has ports, also right after the last
/// round, and over a link that is not a loopback, where the kernel reuses no connection that waits out its end.
#[test]
fn rounds_follow_each_other_on_one_port() {
    in_namespace(&[], || {
        let far = Far::new();
        let served = far.serve(everything());
        for &engine in ENGINES {
            for proto in [Proto::Udp, Proto::Tcp].into_iter().filter(|proto| carries(engine, *proto)) {
                let to = SocketAddr::new(FAR4.parse().unwrap(), 8620);
                let mut endpoint = Endpoint { port_is_reused: true, ..Endpoint::new(proto, to, 64) };
                let mut first = open(engine, &endpoint).unwrap();
                round_trips(first.as_mut(), "lowlat", &options(64), 20).unwrap();
                endpoint.source_port = first.flow().source_port.unwrap();
                drop(first);
                for round in 0..4 {
                    let mut next =
                        open(engine, &endpoint).unwrap_or_else(|e| panic!("{engine} {proto:?} {round}: {e}"));
                    round_trips(next.as_mut(), "lowlat", &options(64), 20).unwrap();
                    let flow = next.flow();
                    assert_eq!(flow.source_port, Some(endpoint.source_port), "{engine} {proto:?}");
                    assert_eq!(flow.incoming_cpu.is_some(), engine != "af-xdp", "{engine} {proto:?}: {flow:?}");
                    assert_eq!(flow.rx_queue.is_some(), engine == "af-xdp", "{engine}: {flow:?}");
                }
            }
        }
        // An echo's flow is its identifier: what was asked for is on the wire, and no port is claimed.
        let icmp = Endpoint {
            source_port: 4_711,
            ..Endpoint::new(Proto::Icmp, SocketAddr::new(FAR4.parse().unwrap(), 0), 64)
        };
        let mut engine = open("block", &icmp).unwrap();
        round_trips(engine.as_mut(), "icmp", &options(64), 5).unwrap();
        assert_eq!(engine.flow().source_port, None);
        served.end();
    });
}

#[test]
fn every_engine_and_peer_reaches_every_kind_of_address() {
    in_namespace(&[], || {
        let far = Far::new();
        let served = far.serve(everything());
        let mut reached = 0;
        for &engine in ENGINES {
            for (peer, proto, port) in WAYS {
                for to in far_addresses(port) {
                    let endpoint = Endpoint::new(proto, to, 64);
                    let way = format!("{engine}, {peer} over {proto:?}, {to}");
                    match open(engine, &endpoint) {
                        Ok(mut opened) => {
                            assert!(carries(engine, proto), "{way}");
                            round_trips(opened.as_mut(), peer, &options(64), 20)
                                .unwrap_or_else(|e| panic!("{way}: {e}"));
                            reached += u64::from(proto != Proto::Icmp) * 20;
                        }
                        Err(e) => assert!(!carries(engine, proto), "{way}: {e}"),
                    }
                }
            }
        }
        let stats = served.end();
        // 5 engines have 5 ways through the far end, io-uring too, af-xdp the 3 of UDP; each to 3 addresses.
        assert_eq!(reached, (6 * 5 + 3) * 3 * 20);
        assert_eq!((stats.answered, stats.malformed, stats.send_failed), (reached, 0, 0), "{stats:?}");
    });
}

/// Whatever the far end waits by, it answers from the address that was asked, of both families, the shortest message and one
/// that fills the MTU.
#[test]
fn every_way_of_the_far_end_answers_every_kind_of_address() {
    in_namespace(&[], || {
        let far = Far::new();
        for wait in [Wait::Spin, Wait::Epoll(50), Wait::Uring { spin: false }, Wait::Uring { spin: true }] {
            let served = far.serve(ServeConfig { wait, ..everything() });
            let mut reached = 0;
            for (peer, proto, port) in WAYS.into_iter().filter(|(_, proto, _)| *proto != Proto::Icmp) {
                for to in far_addresses(port) {
                    // 1,500 bytes of Ethernet less 40 of IPv6 and 8 of UDP, or 20 of TCP with its options.
                    for len in [64, if proto == Proto::Udp { 1452 } else { 1400 }] {
                        let way = format!("{wait:?}: {peer} over {proto:?}, {to}, {len} bytes");
                        ping_pong(peer, &Endpoint::new(proto, to, len), &options(len), 20)
                            .unwrap_or_else(|e| panic!("{way}: {e}"));
                        reached += 20;
                    }
                }
            }
            let stats = served.end();
            assert_eq!((stats.answered, stats.malformed, stats.send_failed), (reached, 0, 0), "{wait:?}: {stats:?}");
        }
    });
}

#[test]
fn a_stock_irtt_server_is_reached_over_ipv6_and_by_its_link_local_address() {
    in_namespace(&["irtt"], || {
        let far = Far::new();
        let _server = far.run(|| Running::start("irtt", &["server", "-i", "0", "-b", ":2112"]));
        for to in far_addresses(2112) {
            let endpoint = Endpoint::new(Proto::Udp, to, 64);
            let options = PeerOptions { duration_ns: SECOND, ..options(64) };
            assert_eq!(until_there(|| ping_pong("irtt", &endpoint, &options, 50)), 50, "{to}");
        }
    });
}

/// What comes to a namespace, with link-layer headers.
struct Capture(OwnedFd);

impl Capture {
    fn start() -> Self {
        let all = i32::from(0x0003u16.to_be()); // ETH_P_ALL, in network order (packet(7))
        Self(os::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_NONBLOCK, all).unwrap())
    }

    /// DSCPs of the packets to `port` (or echo requests, for 0) that came from the near end; of TCP, those of
    /// connections that began meanwhile, since the last packets of the one before may come late.
    fn dscps(&self, port: u16) -> Vec<u8> {
        const SYN: u8 = 2;
        let mut begun = HashSet::new();
        let mut seen = Vec::new();
        let mut frame = [0u8; 2048];
        while let Ok(len) = os::recv(self.0.as_fd(), &mut frame, 0) {
            let ip = &frame[14..len];
            let (dscp, protocol, body) = match (frame[12], frame[13]) {
                (0x08, 0x00) => (ip[1] >> 2, ip[9], &ip[usize::from(ip[0] & 15) * 4..]),
                (0x86, 0xdd) => (((ip[0] & 15) << 4 | ip[1] >> 4) >> 2, ip[6], &ip[40..]),
                _ => continue,
            };
            let to = u16::from_be_bytes([body[2], body[3]]);
            let echo = matches!((protocol, body[0]), (1, 8) | (58, 128));
            let from = u16::from_be_bytes([body[0], body[1]]);
            if protocol == 6 && body[13] & SYN != 0 {
                begun.insert(from);
            }
            let ours = match protocol {
                6 => to == port && begun.contains(&from),
                17 => to == port,
                _ => port == 0 && echo,
            };
            if ours {
                seen.push(dscp);
            }
        }
        seen
    }
}

#[test]
fn the_dscp_is_on_every_packet_of_every_engine() {
    in_namespace(&[], || {
        let far = Far::new();
        let _served = far.serve(everything());
        for &engine in ENGINES {
            for (peer, proto, port) in WAYS.into_iter().filter(|w| carries(engine, w.1)) {
                for to in far_addresses(port) {
                    for dscp in [None, Some(46), Some(1)] {
                        let capture = far.run(Capture::start);
                        let endpoint = Endpoint { dscp, ..Endpoint::new(proto, to, 64) };
                        let mut opened = open(engine, &endpoint).unwrap();
                        round_trips(opened.as_mut(), peer, &options(64), 10).unwrap();
                        drop(opened);
                        let seen = capture.dscps(port);
                        let way = format!("{engine}, {peer} over {proto:?} to {to} with {dscp:?}: {seen:?}");
                        assert!(seen.len() >= 10 && seen.iter().all(|d| *d == dscp.unwrap_or(0)), "{way}");
                    }
                }
            }
        }
    });
}

/// Packets that each of the rules counted, in their order.
fn counted() -> Vec<u64> {
    let text = run("nft", &["list", "chain", "inet", "t", "out"]);
    let counts = text.lines().filter_map(|l| l.split_once("packets ")?.1.split(' ').next()?.parse().ok());
    counts.collect()
}

/// What a queue discipline and a VLAN interface's egress map go by is the packet's priority; a rule of the packet
/// filter reads it off each packet as it leaves.
#[test]
fn the_priority_is_on_every_packet_and_the_dscp_does_not_change_it() {
    in_namespace(&["nft"], || {
        let far = Far::new();
        let _served = far.serve(everything());
        for &engine in ENGINES.iter().filter(|e| **e != "af-xdp") {
            for (peer, proto, port) in WAYS.into_iter().filter(|w| carries(engine, w.1)) {
                for to in far_addresses(port) {
                    let endpoint = Endpoint { priority: Some(6), dscp: Some(10), ..Endpoint::new(proto, to, 64) };
                    let mut opened = open(engine, &endpoint).unwrap();
                    let what = match proto {
                        Proto::Udp | Proto::UdpClosed => format!("udp dport {port}"),
                        Proto::Tcp | Proto::TcpConnect | Proto::Tls => format!("tcp dport {port}"),
                        Proto::Icmp if to.is_ipv6() => "icmpv6 type echo-request".to_owned(),
                        Proto::Icmp => "icmp type echo-request".to_owned(),
                        Proto::Arp | Proto::Nd => unreachable!("nothing of IP leaves"),
                    };
                    run("nft", &["add table inet t; add chain inet t out { type filter hook output priority 0; }"]);
                    run("nft", &[&format!("add rule inet t out {what} meta priority 0:6 counter")]);
                    run("nft", &[&format!("add rule inet t out {what} meta priority != 0:6 counter")]);
                    round_trips(opened.as_mut(), peer, &options(64), 10).unwrap();
                    let seen = counted();
                    assert!(seen[0] >= 10 && seen[1] == 0, "{engine}, {peer} over {proto:?} to {to}: {seen:?}");
                    run("nft", &["delete table inet t"]);
                }
            }
        }
    });
}

/// Becomes nobody, this thread alone: the C library's calls would take the whole process along.
fn become_nobody() {
    let (user, group) = (Uid::from_raw(65534), Gid::from_raw(65534));
    set_thread_groups(&[]).unwrap();
    set_thread_res_gid(group, group, group).unwrap();
    set_thread_res_uid(user, user, user).unwrap();
}

#[test]
fn icmp_needs_no_privilege_where_the_range_allows_it() {
    in_namespace(&[], || {
        // The setting belongs to this namespace, which ends with the test.
        let allow = |range: &str| std::fs::write("/proc/sys/net/ipv4/ping_group_range", range).unwrap();
        let _far = Far::new();
        let root_words = |to| open("block", &Endpoint::new(Proto::Icmp, to, 56)).unwrap().caps().words.clone();
        let to = far_addresses(0);
        // As a new namespace has it, nobody may: root still has raw sockets.
        allow("1 0");
        for to in to {
            assert!(root_words(to).contains("raw"));
            ping_pong("icmp", &Endpoint::new(Proto::Icmp, to, 56), &options(56), 20).unwrap();
        }
        std::thread::scope(|s| {
            s.spawn(|| {
                become_nobody();
                let error = open("block", &Endpoint::new(Proto::Icmp, to[0], 56)).err().expect("refused").to_string();
                assert!(error.contains("ping_group_range") && !error.contains('\n'), "{error}");
            })
            .join()
            .unwrap();
            // Only that group, as most distributions have all of them.
            allow("65534 65534");
            assert!(root_words(to[0]).contains("raw"), "root's group is not in the range");
            s.spawn(|| {
                become_nobody();
                for to in to {
                    for engine in ["block", "spin", "epoll"] {
                        let mut opened = open(engine, &Endpoint::new(Proto::Icmp, to, 56)).unwrap();
                        assert!(opened.caps().words.contains("ping socket"), "{}", opened.caps().words);
                        round_trips(opened.as_mut(), "icmp", &options(56), 50).unwrap();
                    }
                }
            })
            .join()
            .unwrap();
        });
    });
}
