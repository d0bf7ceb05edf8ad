//! Every order on a real kernel, in namespaces of its own.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test may end by panic

mod common;

use std::fs::File;
use std::net::{IpAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd as _;
use std::sync::mpsc;
use std::time::Duration;

use common::in_netns;
use lowlat_netlink::ethtool::{features, ioctl, linkmodes, sizes, tsinfo};
use lowlat_netlink::route::{address, link, neighbour, routes};
use lowlat_netlink::tc::{self, Parent, TcHandle, options};
use lowlat_netlink::{diag, netdev, nft};

/// A metric goes on and off again, and the rest of the route stays as it was.
#[test]
fn a_metric_of_a_route_and_nothing_else() {
    use lowlat_netlink::route::metrics;
    in_netns(|| {
        link::veth("a", "b").unwrap();
        link::up("a").unwrap();
        link::up("b").unwrap();
        address::add("a", ip(NEAR), 24).unwrap();
        address::add("a", ip("2001:db8:77::1"), 64).unwrap();
        routes::add(None, Some(ip(FAR)), Some("a")).unwrap();
        routes::add(Some((ip("198.51.100.0"), 24)), Some(ip(FAR)), None).unwrap();
        let before = routes::routes().unwrap();
        let of = |all: &[routes::RouteMessage], to: Option<IpAddr>| -> Vec<(&'static str, u32)> {
            let mut mine = all.iter().filter(|r| r.destination == to && r.table == 254 && !(to.is_none() && r.v6));
            let metrics = mine.next().unwrap().metrics.clone();
            assert!(mine.next().is_none(), "replaced, not added");
            metrics
        };
        // The kernel's own route to the link, the default route, a route with a gateway, and one of IPv6.
        for (to, length) in [("10.77.0.0", 24), ("0.0.0.0", 0), ("198.51.100.0", 24), ("2001:db8:77::", 64)] {
            let to = ip(to);
            let key = (length > 0).then_some(to);
            metrics::set("a", (to, length), "quickack", 1).unwrap();
            metrics::set("a", (to, length), "rto_min", 50).unwrap();
            assert_eq!(of(&routes::routes().unwrap(), key), [("rto_min", 50), ("quickack", 1)], "{to}/{length}");
            metrics::set("a", (to, length), "quickack", 0).unwrap();
            assert_eq!(of(&routes::routes().unwrap(), key), [("rto_min", 50)]);
            metrics::set("a", (to, length), "rto_min", 0).unwrap();
            // A replaced route moves to the end of the dump of IPv6.
            let mut after = routes::routes().unwrap();
            let mut was = before.clone();
            for all in [&mut after, &mut was] {
                // Link-local routes come by themselves, when the kernel has tried their address.
                all.retain(|r| r.table == 254 && r.destination != Some(ip("fe80::")));
                all.sort_by_key(|r| format!("{r:?}"));
            }
            assert_eq!(after, was, "{to}/{length}");
        }
        for (to, metric) in [("203.0.113.0", "quickack"), ("10.77.0.0", "mtu")] {
            assert!(metrics::set("a", (ip(to), 24), metric, 1).is_err(), "{to} {metric}");
        }
    });
}

const NEAR: &str = "10.77.0.1";
const FAR: &str = "10.77.0.2";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A veth pair, `a` here and `b` in another thread's namespace, where a socket echoes. `f` runs here.
fn with_far_end(f: impl FnOnce(&UdpSocket)) {
    let (send_ns, recv_ns) = mpsc::channel();
    let (send_moved, recv_moved) = mpsc::channel::<()>();
    let (send_up, recv_up) = mpsc::channel();
    let (send_end, recv_end) = mpsc::channel::<()>();
    std::thread::scope(|s| {
        s.spawn(move || {
            in_netns(move || {
                send_ns.send(File::open("/proc/thread-self/ns/net").unwrap()).unwrap();
                recv_moved.recv().unwrap();
                link::rename("b", "far0").unwrap();
                link::up("lo").unwrap();
                link::up("far0").unwrap();
                address::add("far0", ip(FAR), 24).unwrap();
                let echo = UdpSocket::bind((FAR, 5001)).unwrap();
                echo.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
                send_up.send(()).unwrap();
                let mut buf = [0; 2048];
                while recv_end.try_recv() == Err(mpsc::TryRecvError::Empty) {
                    if let Ok((n, from)) = echo.recv_from(&mut buf) {
                        echo.send_to(&buf[..n], from).unwrap();
                    }
                }
            });
        });
        let far = recv_ns.recv().unwrap();
        link::up("lo").unwrap();
        link::veth("a", "b").unwrap();
        link::to_netns("b", far.as_fd()).unwrap();
        send_moved.send(()).unwrap();
        link::up("a").unwrap();
        address::add("a", ip(NEAR), 24).unwrap();
        recv_up.recv().unwrap();
        let socket = UdpSocket::bind((NEAR, 0)).unwrap();
        socket.connect((FAR, 5001)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        f(&socket);
        drop(send_end);
    });
}

fn echo(socket: &UdpSocket) {
    let mut buf = [0; 16];
    socket.send(b"hello").unwrap();
    assert_eq!(socket.recv(&mut buf).unwrap(), 5);
}

fn qdisc_of(iface: &str, parent: Parent) -> tc::QdiscMessage {
    tc::qdisc::at(iface, parent).unwrap().expect("a queue discipline")
}

#[test]
fn a_path_is_built_and_carries_packets() {
    in_netns(|| {
        with_far_end(|socket| {
            echo(socket);
            let links = link::links().unwrap();
            assert_eq!(links.len(), 2, "lo and a: {links:?}");
            let a = links.iter().find(|l| l.name == "a").unwrap();
            assert_eq!((a.up, a.operstate, a.kind.as_deref(), a.xdp), (true, "up", Some("veth"), "none"));
            assert_eq!(a.mac.as_ref().unwrap().len(), 17);
            link::set_mtu("a", 9000).unwrap();
            assert_eq!(link::links().unwrap().iter().find(|l| l.name == "a").unwrap().mtu, 9000);
            assert!(
                address::addresses().unwrap().iter().any(|x| x.index == a.index && x.ip == ip(NEAR) && x.prefix == 24)
            );

            neighbour::set("a", ip("10.77.0.9"), [2, 0, 0, 0, 0, 9]).unwrap();
            routes::add(None, Some(ip(FAR)), None).unwrap();
            routes::add(Some((ip("10.78.0.0"), 16)), None, Some("a")).unwrap();
            let all = routes::routes().unwrap();
            assert!(
                all.iter().any(|r| r.destination.is_none() && r.gateway == Some(ip(FAR)) && r.oif == Some(a.index))
            );
            assert!(all.iter().any(|r| r.destination == Some(ip("10.78.0.0")) && r.prefix == 16));

            link::delete("a").unwrap();
            assert_eq!(link::index("a").unwrap_err().errno(), Some(libc::ENODEV));
        });
    });
}

#[test]
fn a_queue_with_a_child_shapes_and_its_dump_reports() {
    in_netns(|| {
        with_far_end(|socket| {
            let root = TcHandle(0x1_0000);
            tc::put("a", Parent::Root, root, "tbf", Some(&options::tbf(8_000_000, 3000, 30_000))).unwrap();
            let child = Parent::Class(TcHandle(0x1_0001));
            tc::put("a", child, TcHandle(0x2_0000), "pfifo", Some(&options::fifo(77))).unwrap();
            echo(socket);
            let tbf = qdisc_of("a", Parent::Root);
            let d = options::decode("tbf", tbf.options.as_deref().unwrap());
            assert_eq!((d.options["rate_bps"], d.options["limit_bytes"]), (8_000_000, 30_000));
            assert!(tbf.packets >= 1 && tbf.bytes >= 42, "{tbf:?}");
            let fifo = qdisc_of("a", child);
            assert_eq!(options::decode("pfifo", fifo.options.as_deref().unwrap()).options["limit"], 77);
            let all = tc::qdiscs().unwrap();
            assert!(tc::why_not_restorable(&tbf, &all).is_some_and(|w| w.contains("pfifo")), "its child would be lost");
            tc::delete("a", Parent::Root).unwrap();
            assert_eq!(qdisc_of("a", Parent::Root).kind, "noqueue", "a veth's default");
        });
    });
}

#[test]
fn what_comes_in_is_sent_through_an_ifb() {
    in_netns(|| {
        with_far_end(|socket| {
            link::ifb("ifb-t").unwrap();
            link::up("ifb-t").unwrap();
            tc::put("ifb-t", Parent::Root, TcHandle(0x1_0000), "pfifo", Some(&options::fifo(10))).unwrap();
            tc::qdisc::add_ingress("a").unwrap();
            tc::filter::redirect_ingress("a", "ifb-t").unwrap();
            for _ in 0..5 {
                echo(socket);
            }
            assert!(qdisc_of("ifb-t", Parent::Root).packets >= 5, "the replies came through the ifb");
            let ingress = qdisc_of("a", Parent::Ingress);
            assert_eq!(ingress.kind, "ingress");
            assert!(tc::why_not_restorable(&ingress, &[]).is_some(), "its filters would be lost");
        });
    });
}

#[test]
fn rules_are_made_counted_and_deleted() {
    in_netns(|| {
        with_far_end(|socket| {
            assert!(nft::rules_per_chain().unwrap().is_empty());
            nft::create_table("t1", "in", nft::Hook::Input, 20_000..20_700).unwrap();
            nft::create_table("t2", "out", nft::Hook::Output, []).unwrap();
            let got = nft::rules_per_chain().unwrap();
            assert_eq!(got.into_iter().collect::<Vec<_>>(), [("inet t1 in".into(), 700), ("inet t2 out".into(), 0)]);
            echo(socket);
            let twice = nft::create_table("t1", "in", nft::Hook::Input, [1]).unwrap_err();
            assert_eq!(twice.errno(), Some(libc::EEXIST));
            nft::delete_table("t1").unwrap();
            nft::delete_table("t2").unwrap();
            assert!(nft::rules_per_chain().unwrap().is_empty());
        });
    });
}

#[test]
fn a_device_is_asked_and_reported() {
    in_netns(|| {
        link::veth("a", "b").unwrap();
        link::up("a").unwrap();
        link::up("b").unwrap();
        let gro = |on| {
            features::set_feature("a", "rx-gro", on).unwrap();
            features::features("a").unwrap()["rx-gro"]
        };
        assert!(!gro(false).active);
        assert!(gro(true).active && gro(true).changeable);
        let all = features::features("a").unwrap();
        assert!(all.len() > 40 && all.contains_key("tx-tcp-segmentation"), "{}", all.len());
        assert!(all.values().any(|f| !f.changeable), "something is fixed");

        let unknown = features::set_feature("a", "no-such-feature", true).unwrap_err();
        assert!(!unknown.extack().is_empty(), "the kernel's words: {unknown}");

        let stamps = tsinfo::timestamping("a").unwrap();
        assert!(stamps.capabilities.contains(&"software-receive".to_owned()), "{stamps:?}");
        assert_eq!(ioctl::driver("a").unwrap().driver, "veth");
        assert!(ioctl::statistics("a").unwrap().contains_key("peer_ifindex"));
        assert_eq!(linkmodes::link_modes("a").unwrap().speed_mbps, Some(10_000));
        assert!(sizes::channels("a").unwrap()["rx"].max >= 1);
        assert_eq!(sizes::rings("a").unwrap_err().errno(), Some(libc::EOPNOTSUPP));
        assert_eq!(ioctl::hw_timestamp("a").unwrap_err().errno(), Some(libc::EOPNOTSUPP));
        assert_eq!(sizes::channels("none").unwrap_err().errno(), Some(libc::ENODEV));
        match netdev::xdp_features("a") {
            Ok(f) => assert!(f.contains(&"basic".to_owned()), "{f:?}"),
            Err(e) => assert_eq!(e.errno(), Some(libc::EOPNOTSUPP), "{e}: before Linux 6.3"),
        }
    });
}

#[test]
fn live_sockets_tell_their_round_trip() {
    in_netns(|| {
        link::up("lo").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut near = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let (mut far, _) = listener.accept().unwrap();
        for _ in 0..3 {
            std::io::Write::write_all(&mut near, b"x").unwrap();
            std::io::Read::read_exact(&mut far, &mut [0]).unwrap();
        }
        let all = diag::tcp_sockets(&[diag::Family::V4, diag::Family::V6], |s| s).unwrap();
        assert_eq!(all.len(), 3, "listener and two ends: {all:?}");
        let near = all.iter().find(|s| s.state == "established" && s.remote.port() == port).unwrap();
        assert!(near.rtt_us > 0 && near.rtt_us < 5_000_000 && near.cwnd >= 2, "{near:?}");
        assert!(near.min_rtt_us.unwrap() <= near.rtt_us.max(1) * 10 && !near.congestion.is_empty(), "{near:?}");
        assert!(all.iter().any(|s| s.state == "listen"));
    });
}
