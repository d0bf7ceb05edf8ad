//! Our engines and peers against our far end over loopback, which needs no privilege. Counts, never times.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test may end by panic

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use lowlat_peers::serve::{self, Bound, ServeConfig, ServeStats, Wait};
use lowlat_peers::{Decoded, Key, PeerOptions, find};
use lowlat_transport::{ENGINES, Endpoint, EngineError, Proto, StampAt, clock};

const SECOND: u64 = 1_000_000_000;

/// Runs `near` next to a far end and answers what that counted.
#[allow(clippy::needless_pass_by_value)] // each test makes its own
fn beside(config: ServeConfig, near: impl FnOnce(&[Bound])) -> ServeStats {
    let stop = AtomicBool::new(false);
    let (tell, reported) = mpsc::channel();
    std::thread::scope(|s| {
        let far = s.spawn(|| serve::run(&config, &stop, move |bound| tell.send(bound.to_vec()).unwrap()));
        let bound = reported.recv().expect("the far end did not start");
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| near(&bound)));
        stop.store(true, Ordering::Relaxed);
        let stats = far.join().unwrap().unwrap();
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
        stats
    })
}

/// All ways to wait, but for busy polling, which an ordinary user may be refused.
const WAYS: [Wait; 5] =
    [Wait::Sleep, Wait::Spin, Wait::Epoll(50), Wait::Uring { spin: false }, Wait::Uring { spin: true }];

fn on_loopback() -> ServeConfig {
    ServeConfig { bind: vec![IpAddr::from([127, 0, 0, 1])], port: Some(0), ..ServeConfig::default() }
}

fn port(bound: &[Bound], protocol: &str, proto: Proto) -> SocketAddr {
    let at = bound.iter().find(|b| b.protocol == protocol && b.proto == proto).expect("not bound").at;
    let ip = match at.ip() {
        ip if ip.is_unspecified() && ip.is_ipv4() => IpAddr::from([127, 0, 0, 1]),
        ip if ip.is_unspecified() => "::1".parse().unwrap(),
        ip => ip,
    };
    SocketAddr::new(ip, at.port())
}

/// `count` round trips; every one must be answered, in order.
fn ping_pong(engine: &str, peer: &str, endpoint: &Endpoint, key: Option<Key>, count: u64) -> Result<(), EngineError> {
    let mut engine = lowlat_transport::open(engine, endpoint)?;
    let options = PeerOptions { key, message_len: endpoint.max_message, ..PeerOptions::default() };
    let mut peer = (find(peer).unwrap().make)(&options);
    engine.set_framing(peer.framing());
    peer.open(engine.as_mut(), clock::now() + SECOND, &AtomicBool::new(false))?;
    let mut message = vec![0u8; endpoint.max_message];
    let mut buf = vec![0u8; endpoint.max_message];
    for seq in 0..count {
        peer.encode(seq, clock::now(), &mut message);
        let sent = engine.send(&message)?;
        loop {
            let got = engine.recv(&mut buf, clock::now() + 2 * SECOND)?.expect("an answer within two seconds");
            if let Decoded::Reply { seq: answered, .. } = peer.decode(&buf[..got.len]) {
                assert_eq!(answered, seq);
                assert!(got.at >= sent);
                break;
            }
        }
    }
    peer.close(engine.as_mut());
    Ok(())
}

#[test]
fn every_engine_reaches_our_far_end_by_udp_and_tcp() {
    for wait in WAYS {
        let mut reached = 0;
        let stats = beside(ServeConfig { wait, ..on_loopback() }, |bound| {
            for entry in ENGINES {
                for proto in [Proto::Udp, Proto::Tcp] {
                    let endpoint = Endpoint::new(proto, port(bound, "lowlat", proto), 256);
                    match ping_pong(entry.name, "lowlat", &endpoint, None, 50) {
                        Ok(()) => reached += 50,
                        // Only busy polling may be refused, and only to an ordinary user.
                        Err(EngineError::Unavailable { engine: "busy-poll", .. }) => {}
                        Err(e) => panic!("{}: {e}", entry.name),
                    }
                }
            }
        });
        assert!(reached >= 300);
        assert_eq!((stats.received, stats.answered, stats.malformed), (reached, reached, 0), "{wait:?}");
    }
}

#[test]
fn a_far_end_on_every_address_answers_from_the_one_that_was_asked() {
    let config = ServeConfig { bind: Vec::new(), ..on_loopback() };
    beside(config, |bound| {
        let to = port(bound, "lowlat", Proto::Udp).port();
        // Every 127/8 address is local; by route the answer would leave from 127.0.0.1.
        for ip in ["127.0.0.1", "127.0.0.9", "::1"] {
            if ip == "::1" && !bound.iter().any(|b| b.at.is_ipv6()) {
                continue;
            }
            let endpoint = Endpoint::new(Proto::Udp, SocketAddr::new(ip.parse().unwrap(), to), 64);
            ping_pong("block", "lowlat", &endpoint, None, 20).unwrap();
        }
    });
}

#[test]
fn a_connection_alone_has_the_thread_to_itself_until_another_comes_or_it_is_silent() {
    beside(on_loopback(), |bound| {
        let endpoint = Endpoint::new(Proto::Tcp, port(bound, "lowlat", Proto::Tcp), 64);
        // Many more than the far end wants to see before it gives one connection its thread.
        let reach = |count| ping_pong("block", "lowlat", &endpoint, None, count).unwrap();
        let busy = AtomicBool::new(true);
        std::thread::scope(|s| {
            // One that never pauses: without somebody at the door, a new client would wait for as long as it goes on.
            let first = s.spawn(|| {
                while busy.load(Ordering::Relaxed) {
                    reach(2_000);
                }
            });
            for _ in 0..20 {
                reach(100);
            }
            busy.store(false, Ordering::Relaxed);
            first.join().unwrap();
        });
        // One that is devoted to and then says nothing, nor leaves.
        let mut silent = lowlat_transport::open("block", &endpoint).unwrap();
        let mut peer = (find("lowlat").unwrap().make)(&PeerOptions { message_len: 64, ..PeerOptions::default() });
        silent.set_framing(peer.framing());
        let (mut message, mut buf) = ([0; 64], [0; 64]);
        for seq in 0..200 {
            peer.encode(seq, clock::now(), &mut message);
            silent.send(&message).unwrap();
            silent.recv(&mut buf, clock::now() + 2 * SECOND).unwrap().expect("an answer within two seconds");
        }
        reach(100);
        // And it is not forgotten.
        peer.encode(200, clock::now(), &mut message);
        silent.send(&message).unwrap();
        silent.recv(&mut buf, clock::now() + 2 * SECOND).unwrap().expect("an answer within two seconds");
    });
}

#[test]
fn a_client_alone_gets_a_connected_socket_and_others_notice_nothing() {
    for (bind, wait) in WAYS.into_iter().flat_map(|wait| [(true, wait), (false, wait)]) {
        let base = on_loopback();
        let config = ServeConfig { wait, bind: if bind { base.bind.clone() } else { Vec::new() }, ..base };
        let stats = beside(config, |bound| {
            let to = port(bound, "lowlat", Proto::Udp);
            let at = |ip: &str| Endpoint::new(Proto::Udp, SocketAddr::new(ip.parse().unwrap(), to.port()), 64);
            ping_pong("block", "lowlat", &at("127.0.0.1"), None, 200).unwrap();
            // Ten at once while two of the connected sockets are taken, given up, and taken again.
            std::thread::scope(|s| {
                for _ in 0..10 {
                    s.spawn(|| ping_pong("block", "lowlat", &at("127.0.0.1"), None, 300).unwrap());
                }
            });
            ping_pong("block", "lowlat", &at("127.0.0.1"), None, 200).unwrap();
            if !bind {
                // A connected socket is bound to one address; who asks at another is answered from there anyway.
                ping_pong("block", "lowlat", &at("127.0.0.7"), None, 200).unwrap();
            }
        });
        let sent = if bind { 3400 } else { 3600 };
        assert_eq!((stats.received, stats.answered, stats.send_failed), (sent, sent, 0), "{wait:?}: {stats:?}");
        let on_ring = matches!(wait, Wait::Uring { .. });
        assert!(
            if on_ring { stats.answered_connected == 0 } else { stats.answered_connected >= 100 },
            "{wait:?}: {stats:?}"
        );
    }
}

#[test]
fn a_connected_socket_goes_from_a_client_that_went_away_to_the_next() {
    let stats = beside(on_loopback(), |bound| {
        let endpoint = Endpoint::new(Proto::Udp, port(bound, "lowlat", Proto::Udp), 64);
        for _ in 0..2 {
            for _ in 0..2 {
                ping_pong("block", "lowlat", &endpoint, None, 200).unwrap();
            }
            std::thread::sleep(std::time::Duration::from_millis(1100));
        }
    });
    assert_eq!(stats.answered, 800);
    // 64 of each client's first probes come before its connected socket; the connected sockets of the second pair were
    // the first's.
    assert!(stats.answered_connected >= 500, "{stats:?}");
}

#[test]
fn keys_keep_others_out() {
    let key = |k: &[u8]| Key::new(k);
    let stats = beside(ServeConfig { key: key(b"right"), ..on_loopback() }, |bound| {
        for proto in [Proto::Udp, Proto::Tcp] {
            let endpoint = Endpoint::new(proto, port(bound, "lowlat", proto), 64);
            ping_pong("block", "lowlat", &endpoint, key(b"right"), 10).unwrap();
        }
        let endpoint = Endpoint::new(Proto::Udp, port(bound, "lowlat", Proto::Udp), 64);
        let mut engine = lowlat_transport::open("block", &endpoint).unwrap();
        let mut peer = (find("lowlat").unwrap().make)(&PeerOptions { key: key(b"wrong"), ..PeerOptions::default() });
        let mut message = [0; 64];
        peer.encode(0, 0, &mut message);
        engine.send(&message).unwrap();
        assert_eq!(engine.recv(&mut [0; 64], clock::now() + SECOND / 10).unwrap(), None);
    });
    assert_eq!((stats.answered, stats.unauthenticated), (20, 1));
}

/// What an eavesdropper recorded and sends again, from its own port and from the prober's, over UDP and TCP.
#[test]
fn a_recorded_message_with_a_key_is_answered_once() {
    let key = || Key::new(b"right");
    let stats = beside(ServeConfig { key: key(), ..on_loopback() }, |bound| {
        let mut peer = (find("lowlat").unwrap().make)(&PeerOptions { key: key(), ..PeerOptions::default() });
        let mut message = [0; 64];
        peer.encode(7, clock::now(), &mut message);
        for (proto, answered) in [(Proto::Udp, true), (Proto::Udp, false), (Proto::Tcp, false)] {
            let endpoint = Endpoint::new(proto, port(bound, "lowlat", proto), 64);
            let mut engine = lowlat_transport::open("block", &endpoint).unwrap();
            engine.set_framing(peer.framing());
            for answered in [answered, false] {
                // A stream is closed by then: what is sent there may be refused.
                if engine.send(&message).is_err() {
                    continue;
                }
                let got = engine.recv(&mut [0; 64], clock::now() + SECOND / 10).ok().flatten();
                assert_eq!(got.is_some(), answered, "{proto:?}");
            }
        }
        peer.encode(8, clock::now(), &mut message);
        let mut engine =
            lowlat_transport::open("block", &Endpoint::new(Proto::Udp, port(bound, "lowlat", Proto::Udp), 64)).unwrap();
        engine.send(&message).unwrap();
        assert!(engine.recv(&mut [0; 64], clock::now() + 2 * SECOND).unwrap().is_some(), "the next number is new");
    });
    assert_eq!((stats.answered, stats.unauthenticated), (2, 0), "{stats:?}");
    assert!(stats.replayed >= 4, "{stats:?}");
}

#[test]
fn nobody_there_is_said_with_the_next_step() {
    // Bound and not listening: the port is ours, so that nothing else answers on it.
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = socket.local_addr().unwrap();
    let endpoint = Endpoint::new(Proto::Tcp, at, 64);
    let error = lowlat_transport::open("block", &endpoint).err().expect("nothing listens").to_string();
    assert!(error.contains("nothing listens there") && error.contains("start the far end there"), "{error}");
    drop(socket);
    let endpoint = Endpoint::new(Proto::Udp, at, 64);
    for engine in ["block", "spin", "epoll"] {
        let mut engine = lowlat_transport::open(engine, &endpoint).unwrap();
        engine.send(&[0; 64]).unwrap();
        let error = engine.recv(&mut [0; 64], clock::now() + SECOND).expect_err("refused").to_string();
        assert!(error.contains("nothing listens there") && error.contains("start the far end there"), "{error}");
    }
}

#[test]
fn a_message_too_long_for_the_path_is_refused_at_the_start() {
    let endpoint = Endpoint::new(Proto::Udp, "127.0.0.1:9".parse().unwrap(), 65508);
    let error = lowlat_transport::open("block", &endpoint).err().expect("too long").to_string();
    assert!(error.contains("65507"), "{error}");
    let error = lowlat_transport::open("warp", &endpoint).err().expect("no such engine").to_string();
    assert!(error.contains("warp") && error.contains("block, spin"), "{error}");
}

#[test]
fn recv_gives_up_at_its_deadline_and_not_before() {
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let endpoint = Endpoint::new(Proto::Udp, silent.local_addr().unwrap(), 64);
    for engine in ["block", "spin", "epoll"] {
        let mut engine = lowlat_transport::open(engine, &endpoint).unwrap();
        for ns in [0, 200_000, 30_000_000, 150_000_000] {
            let until = clock::now() + ns;
            assert_eq!(engine.recv(&mut [0; 64], until).unwrap(), None);
            assert!(clock::now() >= until);
        }
    }
}

#[test]
fn a_datagram_longer_than_the_buffer_is_counted_and_not_cut() {
    let far = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let endpoint = Endpoint::new(Proto::Udp, far.local_addr().unwrap(), 64);
    let mut engine = lowlat_transport::open("block", &endpoint).unwrap();
    engine.send(&[1; 64]).unwrap();
    let (_, near) = far.recv_from(&mut [0; 64]).unwrap();
    far.send_to(&[2; 65], near).unwrap();
    far.send_to(&[3; 64], near).unwrap();
    let mut buf = [0; 64];
    let got = engine.recv(&mut buf, clock::now() + SECOND).unwrap().unwrap();
    assert_eq!((got.len, buf, engine.discarded()), (64, [3; 64], 1));
}

#[test]
fn transmit_stamps_count_the_sends() {
    beside(on_loopback(), |bound| {
        for proto in [Proto::Udp, Proto::Tcp] {
            let mut endpoint = Endpoint::new(proto, port(bound, "lowlat", proto), 64);
            endpoint.stamps = true;
            let mut engine = lowlat_transport::open("block", &endpoint).unwrap();
            let mut peer = (find("lowlat").unwrap().make)(&PeerOptions::default());
            engine.set_framing(peer.framing());
            let mut stamps = Vec::new();
            for seq in 0..20 {
                let mut message = [0; 64];
                peer.encode(seq, 0, &mut message);
                engine.send(&message).unwrap();
                engine.recv(&mut [0; 64], clock::now() + SECOND).unwrap().unwrap();
            }
            engine.tx_stamps(&mut stamps);
            let mut ids: Vec<u32> = stamps.iter().filter(|s| s.at == StampAt::TxSoftware).map(|s| s.id).collect();
            ids.sort_unstable();
            assert_eq!(ids, (0..20).collect::<Vec<_>>(), "{proto:?}");
        }
    });
}

#[test]
fn a_sink_connection_is_read_and_counted_and_probes_go_on() {
    use std::io::Write;
    let stats = beside(on_loopback(), |bound| {
        let at = port(bound, "lowlat", Proto::Tcp);
        let mut bulk = std::net::TcpStream::connect(at).unwrap();
        bulk.write_all(&lowlat_peers::lowlat::sink_request(None)).unwrap();
        bulk.write_all(&vec![7; 3_000_000]).unwrap();
        ping_pong("block", "lowlat", &Endpoint::new(Proto::Tcp, at, 64), None, 20).unwrap();
        bulk.shutdown(std::net::Shutdown::Write).unwrap();
        // The far end closes once it has read to the end.
        assert_eq!(std::io::Read::read(&mut bulk, &mut [0; 1]).unwrap(), 0);
    });
    assert_eq!((stats.sink_bytes, stats.answered), (3_000_000, 20));
}

#[test]
fn nonsense_slow_and_half_open_connections_do_not_hold_others() {
    use std::io::{Read, Write};
    let stats = beside(ServeConfig { max_connections: 16, ..on_loopback() }, |bound| {
        let at = port(bound, "lowlat", Proto::Tcp);
        let mut nonsense = std::net::TcpStream::connect(at).unwrap();
        nonsense.write_all(b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n").unwrap();
        assert_eq!(nonsense.read(&mut [0; 1]).unwrap_or(0), 0, "closed");
        let mut slow = std::net::TcpStream::connect(at).unwrap();
        slow.write_all(b"LwLt").unwrap();
        let _silent = std::net::TcpStream::connect(at).unwrap();
        ping_pong("block", "lowlat", &Endpoint::new(Proto::Tcp, at, 64), None, 20).unwrap();
        // One source may hold a quarter: two are held, so of six more some are closed at once.
        let more: Vec<_> = (0..6).map(|_| std::net::TcpStream::connect(at).unwrap()).collect();
        let closed = more.into_iter().filter_map(|mut c| c.read(&mut [0; 1]).ok()).count();
        assert!(closed >= 4, "{closed}");
        let udp = port(bound, "lowlat", Proto::Udp);
        ping_pong("block", "lowlat", &Endpoint::new(Proto::Udp, udp, 64), None, 20).unwrap();
    });
    assert!(stats.malformed >= 1 && stats.connections_refused >= 4, "{stats:?}");
    assert_eq!(stats.answered, 40);
}

#[test]
fn limits_and_the_allow_list_hold_and_are_counted() {
    let flood = |config| {
        beside(config, |bound| {
            let endpoint = Endpoint::new(Proto::Udp, port(bound, "lowlat", Proto::Udp), 64);
            let mut engine = lowlat_transport::open("block", &endpoint).unwrap();
            let mut peer = (find("lowlat").unwrap().make)(&PeerOptions::default());
            let mut message = [0; 64];
            for seq in 0..1000 {
                peer.encode(seq, 0, &mut message);
                engine.send(&message).unwrap();
            }
            // All were taken once this datagram's fate is known; it needs none of ours.
            std::thread::sleep(std::time::Duration::from_millis(300));
        })
    };
    let stats = flood(ServeConfig { source_limit: Some(10), ..on_loopback() });
    assert_eq!(stats.received, 1000);
    assert!(stats.answered >= 1 && stats.answered < 100 && stats.answered + stats.source_limited == 1000, "{stats:?}");
    let stats = flood(ServeConfig { allow: vec!["192.0.2.0/24".parse().unwrap()], ..on_loopback() });
    assert_eq!((stats.not_allowed, stats.answered), (1000, 0));
}

#[test]
fn a_taken_port_is_one_clear_line() {
    let holder = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let config = ServeConfig { port: Some(holder.local_addr().unwrap().port()), ..on_loopback() };
    let error = serve::run(&config, &AtomicBool::new(true), |_| {}).expect_err("taken").to_string();
    assert!(error.contains("ss -lnp") && !error.contains('\n'), "{error}");
}

#[test]
fn our_stamp_and_sockperf_peers_reach_our_far_end() {
    for key in [None, Key::new(b"k")] {
        let sockperf = if key.is_some() { None } else { Some(0) };
        let config = ServeConfig { port: None, sockperf, stamp: Some(0), key: key.clone(), ..on_loopback() };
        let stats = beside(config, |bound| {
            let at = port(bound, "stamp", Proto::Udp);
            ping_pong("block", "stamp", &Endpoint::new(Proto::Udp, at, 128), key.clone(), 20).unwrap();
            if sockperf.is_some() {
                for proto in [Proto::Udp, Proto::Tcp] {
                    let at = port(bound, "sockperf", proto);
                    ping_pong("block", "sockperf", &Endpoint::new(proto, at, 14), None, 20).unwrap();
                }
            }
        });
        assert_eq!(stats.answered, if key.is_some() { 20 } else { 60 });
    }
    let config = ServeConfig { sockperf: Some(0), key: Key::new(b"k"), ..on_loopback() };
    let error = serve::run(&config, &AtomicBool::new(true), |_| {}).expect_err("a contradiction").to_string();
    assert!(error.contains("sockperf"), "{error}");
}
