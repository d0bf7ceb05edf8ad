//! Against the stock programs: `sockperf` and `irtt` of Debian, `stamp-suite` of crates.io (another author's STAMP, RFC
//! 8762 and 8972). Each in a network namespace of its own. Needs root and the programs; `LOWLAT_REQUIRE_ROOT=1` turns
//! their absence into a failure.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test may end by panic

mod common;

use std::sync::atomic::AtomicBool;

use common::*;
use lowlat_peers::serve::{ServeConfig, Wait};
use lowlat_peers::{Key, PeerOptions, find};
use lowlat_transport::{Endpoint, Proto, clock};

#[test]
fn our_peer_reaches_a_stock_sockperf_server() {
    in_namespace(&["sockperf"], || {
        for (proto, flag) in [(Proto::Udp, None), (Proto::Tcp, Some("--tcp"))] {
            let args: Vec<&str> = ["server", "-i", "127.0.0.1", "-p", "11111"].into_iter().chain(flag).collect();
            let _server = Running::start("sockperf", &args);
            for len in [14, 64, 1400] {
                let endpoint = Endpoint::new(proto, local(11111), len);
                until_there(|| ping_pong("sockperf", &endpoint, &options(len), 100));
            }
        }
    });
}

#[test]
fn stock_sockperf_clients_are_served() {
    in_namespace(&["sockperf"], || {
        for wait in [Wait::Sleep, Wait::Spin, Wait::Epoll(50), Wait::Uring { spin: false }] {
            let config = ServeConfig { port: None, sockperf: Some(11111), wait, ..ServeConfig::default() };
            let stats = beside(config, || {
                for tcp in [None, Some("--tcp")] {
                    let to = ["-i", "127.0.0.1", "-p", "11111", "-t", "1"];
                    let ping = ["ping-pong"].iter().chain(&to).copied().chain(tcp).collect::<Vec<_>>();
                    let text = run("sockperf", &ping);
                    assert!(
                        text.contains("# dropped messages = 0; # duplicated messages = 0; # out-of-order messages = 0"),
                        "{text}"
                    );
                    let load =
                        ["under-load", "--mps", "5000"].iter().chain(&to).copied().chain(tcp).collect::<Vec<_>>();
                    let text = run("sockperf", &load);
                    assert!(text.contains("# dropped messages = 0; # duplicated messages = 0"), "{text}");
                }
            });
            assert!(stats.answered > 1000 && stats.none_wanted > 1000 && stats.malformed == 0, "{stats:?}");
        }
    });
}

#[test]
fn our_peer_reaches_a_stock_irtt_server_with_and_without_a_key() {
    in_namespace(&["irtt"], || {
        for key in [None, Some("secret")] {
            let args: Vec<&str> =
                ["server", "-i", "0", "-b", "127.0.0.1:2112"].into_iter().chain(key.map(|_| "--hmac=secret")).collect();
            let _server = Running::start("irtt", &args);
            for len in [64, 1400] {
                let endpoint = Endpoint::new(Proto::Udp, local(2112), len);
                let options = PeerOptions { key: key.and_then(|k| Key::new(k.as_bytes())), ..options(len) };
                let stamped = until_there(|| ping_pong("irtt", &endpoint, &options, 100));
                assert_eq!(stamped, 100, "every answer carries both stamps");
            }
            let other = PeerOptions { key: Key::new(b"other"), ..options(64) };
            let error =
                ping_pong("irtt", &Endpoint::new(Proto::Udp, local(2112), 64), &other, 1).unwrap_err().to_string();
            assert!(error.contains("--hmac"), "{error}");
        }
    });
}

#[test]
fn limits_of_a_stock_irtt_server_are_known_before_the_run() {
    in_namespace(&["irtt"], || {
        let _server = Running::start("irtt", &["server", "-b", "127.0.0.1:2112"]);
        let endpoint = Endpoint::new(Proto::Udp, local(2112), 64);
        let slow = PeerOptions { interval_ns: 20_000_000, duration_ns: SECOND, ..options(64) };
        until_there(|| ping_pong("irtt", &endpoint, &slow, 3));
        // By default one probe per 10 ms, whatever was asked for (irtt-server(1), `-i`).
        for (asked, least) in [(0, Some(10_000_000)), (10_000_000, None), (20_000_000, None)] {
            let mut engine = lowlat_transport::open("block", &endpoint).unwrap();
            let mut peer = (find("irtt").unwrap().make)(&PeerOptions { interval_ns: asked, ..options(64) });
            peer.open(engine.as_mut(), clock::now() + 2 * SECOND, &AtomicBool::new(false)).unwrap();
            assert_eq!(peer.min_interval(), least, "asked for {asked}");
            peer.close(engine.as_mut());
        }
    });
}

/// 32 bytes, as both ends' own forms of it.
const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

fn stamp_key() -> Option<Key> {
    Key::new(&(0..32).collect::<Vec<u8>>())
}

#[test]
fn our_stamp_sender_is_answered_by_another_authors_reflector() {
    in_namespace(&["stamp-suite"], || {
        // As RFC 8762 §4 has them: stateless and stateful, both time formats, open and authenticated.
        let auth = ["-A", "A", "--hmac-key", HEX];
        for (ip, extra, key) in [
            ("127.0.0.1", &[][..], false),
            ("127.0.0.1", &["--stateful-reflector"][..], false),
            ("127.0.0.1", &["-K", "PTP"][..], false),
            ("127.0.0.1", &auth[..], true),
            ("::1", &[][..], false),
            ("::1", &auth[..], true),
        ] {
            let mut args = vec!["-i", "-S", ip, "-o", "862"];
            args.extend(extra);
            let _reflector = Running::start("stamp-suite", &args);
            for len in [if key { 112 } else { 44 }, 200, 1400] {
                let to = std::net::SocketAddr::new(ip.parse().unwrap(), 862);
                let endpoint = Endpoint::new(Proto::Udp, to, len);
                let options = PeerOptions { key: stamp_key().filter(|_| key), ..options(len) };
                let stamped = until_there(|| ping_pong("stamp", &endpoint, &options, 100));
                assert_eq!(stamped, 100, "every answer carries both stamps: {extra:?}, {len} bytes");
            }
        }
    });
}

/// Sends `count` probes to our far end and gives what the sender says of the answers, as JSON.
fn stamp_sender(ip: &str, count: &str, extra: &[&str]) -> String {
    let mut args = vec!["-r", ip, "-c", count, "-d", "2", "-L", "1", "--output-format", "json"];
    if ip.contains(':') {
        args.extend(["-S", "::"]);
    }
    args.extend(extra);
    run("stamp-suite", &args)
}

#[test]
fn another_authors_stamp_sender_is_answered() {
    in_namespace(&["stamp-suite"], || {
        for key in [false, true] {
            let config = ServeConfig {
                port: None,
                stamp: Some(862),
                key: stamp_key().filter(|_| key),
                ..ServeConfig::default()
            };
            let auth: &[&str] = if key { &["-A", "A", "--hmac-key", HEX] } else { &[] };
            let stats = beside(config, || {
                for ip in ["127.0.0.1", "::1"] {
                    for extra in [&[][..], &["-K", "PTP"], &["--ssid", "4660", "--on-zero-ssid", "stop"]] {
                        let text = stamp_sender(ip, "100", &[auth, extra].concat());
                        assert!(text.contains("\"packets_received\":100,\"packets_lost\":0"), "{extra:?}: {text}");
                        for zero in ["duplicate_replies", "unknown_replies", "reordered_replies"] {
                            assert!(text.contains(&format!("\"{zero}\":0")), "{zero}: {text}");
                        }
                    }
                    // TLVs of RFC 8972 come back unread, which a sender takes as "not recognized".
                    let with = [auth, &["--extra-padding", "64", "--timestamp-info"]].concat();
                    let text = stamp_sender(ip, "20", &with);
                    assert!(text.contains("\"packets_received\":20,\"packets_lost\":0"), "{text}");
                    assert!(text.contains("\"malformed\":0"), "{text}");
                }
            });
            assert_eq!((stats.answered, stats.malformed, stats.unauthenticated), (640, 0, 0), "{stats:?}");
        }
    });
}

#[test]
fn a_stamp_sender_with_another_key_gets_nothing() {
    in_namespace(&["stamp-suite"], || {
        let config = ServeConfig { port: None, stamp: Some(862), key: stamp_key(), ..ServeConfig::default() };
        let stats = beside(config, || {
            let other = HEX.replace('0', "7");
            let text = stamp_sender("127.0.0.1", "5", &["-A", "A", "--hmac-key", &other]);
            assert!(text.contains("\"packets_received\":0"), "{text}");
            let text = stamp_sender("127.0.0.1", "5", &[]);
            assert!(text.contains("\"packets_received\":0"), "an open sender: {text}");
        });
        // An open packet is shorter than the authenticated one: malformed rather than without its tag.
        assert_eq!((stats.answered, stats.unauthenticated, stats.malformed), (0, 5, 5), "{stats:?}");
    });
}
