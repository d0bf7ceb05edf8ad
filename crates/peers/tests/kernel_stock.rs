//! Against the stock programs of Debian (`sockperf`, `irtt`) and the kernel's own echo, each in a network namespace of
//! its own. Needs root and both programs; `LOWLAT_REQUIRE_ROOT=1` turns their absence into a failure.
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![allow(unsafe_code)] // unshare has no safe wrapper in std
#![allow(clippy::print_stderr)] // the only way for a test to say that it was left out

use std::net::{IpAddr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use lowlat_peers::serve::{self, ServeConfig, ServeStats};
use lowlat_peers::{Decoded, Key, Options, find};
use lowlat_transport::{Endpoint, EngineError, Proto, clock};

const SECOND: u64 = 1_000_000_000;

/// Runs `test` on a thread in a network namespace of its own, whose loopback is up.
fn in_namespace(needs: &[&str], test: impl FnOnce() + Send) {
    std::thread::scope(|s| {
        s.spawn(|| {
            // SAFETY: no pointers; changes only this thread.
            let own = unsafe { libc::unshare(libc::CLONE_NEWNET) } == 0;
            let missing =
                needs.iter().find(|p| Command::new("which").arg(p).output().is_ok_and(|o| !o.status.success()));
            if !own || missing.is_some() {
                let why =
                    missing.map_or_else(|| "no right to make a network namespace".to_owned(), |p| format!("no {p}"));
                assert!(std::env::var_os("LOWLAT_REQUIRE_ROOT").is_none_or(|v| v != "1"), "must run: {why}");
                eprintln!("left out: {why}");
                return;
            }
            run("ip", &["link", "set", "lo", "up"]);
            test();
        })
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

fn run(program: &str, args: &[&str]) -> String {
    let out = Command::new(program).args(args).output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{program} {args:?}: {text}");
    text
}

/// A program that ends with the test.
struct Running(Child);

impl Running {
    fn start(program: &str, args: &[&str]) -> Self {
        Self(Command::new(program).args(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `count` round trips, all answered.
fn ping_pong(peer: &str, endpoint: &Endpoint, options: &Options, count: u64) -> Result<u64, EngineError> {
    let mut engine = lowlat_transport::open("block", endpoint)?;
    let mut peer = (find(peer).unwrap().make)(options);
    engine.set_framing(peer.framing());
    peer.open(engine.as_mut(), clock::now() + 2 * SECOND)?;
    let mut message = vec![0u8; options.message_len];
    let mut buf = vec![0u8; options.message_len];
    let mut stamped = 0;
    for seq in 0..count {
        peer.encode(seq, clock::now(), &mut message);
        engine.send(&message)?;
        loop {
            let got = engine.recv(&mut buf, clock::now() + 2 * SECOND)?.expect("an answer within two seconds");
            if let Decoded::Reply { seq: answered, far } = peer.decode(&buf[..got.len]) {
                assert_eq!(answered, seq);
                if let Some(far) = far {
                    assert!(far.sent_ns >= far.received_ns && far.sent_ns - far.received_ns < SECOND, "{far:?}");
                    stamped += 1;
                }
                break;
            }
        }
    }
    peer.close(engine.as_mut());
    Ok(stamped)
}

/// Again until the program has bound its port.
fn until_there<T>(mut attempt: impl FnMut() -> Result<T, EngineError>) -> T {
    let start = Instant::now();
    loop {
        match attempt() {
            Ok(value) => return value,
            Err(e) => assert!(start.elapsed() < Duration::from_secs(10), "{e}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn options(message_len: usize) -> Options {
    Options { message_len, ..Options::default() }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::from([127, 0, 0, 1]), port)
}

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

/// Our far end beside `near`, in the namespace of the calling thread.
fn beside(config: ServeConfig, near: impl FnOnce()) -> ServeStats {
    let stop = AtomicBool::new(false);
    let (tell, told) = mpsc::channel();
    std::thread::scope(|s| {
        let far = s.spawn(|| {
            let config = config;
            serve::run(&config, &stop, move |_| tell.send(()).unwrap())
        });
        told.recv().expect("the far end did not start");
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(near));
        stop.store(true, Ordering::Relaxed);
        let stats = far.join().unwrap().unwrap();
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        stats
    })
}

#[test]
fn stock_sockperf_clients_are_served() {
    in_namespace(&["sockperf"], || {
        for spin in [false, true] {
            let config = ServeConfig { port: None, sockperf: Some(11111), spin, ..ServeConfig::default() };
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
                let options = Options { key: key.and_then(|k| Key::new(k.as_bytes())), ..options(len) };
                let stamped = until_there(|| ping_pong("irtt", &endpoint, &options, 100));
                assert_eq!(stamped, 100, "every answer carries both stamps");
            }
            let other = Options { key: Key::new(b"other"), ..options(64) };
            let error =
                ping_pong("irtt", &Endpoint::new(Proto::Udp, local(2112), 64), &other, 1).unwrap_err().to_string();
            assert!(error.contains("--hmac"), "{error}");
        }
    });
}

#[test]
fn limits_of_a_stock_irtt_server_are_said_before_the_run() {
    in_namespace(&["irtt"], || {
        let _server = Running::start("irtt", &["server", "-b", "127.0.0.1:2112"]);
        let endpoint = Endpoint::new(Proto::Udp, local(2112), 64);
        let slow = Options { interval_ns: 20_000_000, duration_ns: SECOND, ..options(64) };
        until_there(|| ping_pong("irtt", &endpoint, &slow, 3));
        let error = ping_pong("irtt", &endpoint, &options(64), 3).unwrap_err().to_string();
        assert!(error.contains("10000 µs") && error.contains("-i 0"), "{error}");
    });
}

#[test]
fn the_kernel_answers_echo_requests_on_ping_and_raw_sockets() {
    in_namespace(&[], || {
        // First as it is, with nobody allowed ping sockets: raw. Then as most distributions have it.
        for range in ["1 0", "0 2147483647"] {
            // The setting belongs to this namespace, which ends with the test.
            std::fs::write("/proc/sys/net/ipv4/ping_group_range", range).unwrap();
            for ip in ["127.0.0.1", "::1"] {
                let endpoint = Endpoint::new(Proto::Icmp, SocketAddr::new(ip.parse().unwrap(), 0), 56);
                let words = lowlat_transport::open("block", &endpoint).unwrap().caps().words.clone();
                assert_eq!(words.contains("raw"), range == "1 0", "{words}");
                ping_pong("icmp", &endpoint, &options(56), 100).unwrap();
            }
        }
    });
}

#[test]
fn our_far_end_answers_over_ipv6() {
    in_namespace(&[], || {
        let stats = beside(ServeConfig { port: Some(8620), ..ServeConfig::default() }, || {
            for proto in [Proto::Udp, Proto::Tcp] {
                let endpoint = Endpoint::new(proto, SocketAddr::new("::1".parse().unwrap(), 8620), 64);
                assert_eq!(ping_pong("lowlat", &endpoint, &options(64), 50).unwrap(), 50);
            }
        });
        assert_eq!(stats.answered, 100);
    });
}

/// Giving up privileges changes a whole process, so it happens in one of its own: this binary again, with only this.
#[test]
#[ignore = "run by the_far_end_gives_up_its_privileges"]
fn child_without_privileges() {
    in_namespace(&[], || {
        let status = |key: &str| {
            let all = std::fs::read_to_string("/proc/thread-self/status").unwrap();
            all.lines().find_map(|l| l.strip_prefix(key)).unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
        };
        // A port that only root may bind: the order is bind, then drop.
        let config = ServeConfig { port: Some(862), confine: true, ..ServeConfig::default() };
        let stop = AtomicBool::new(true);
        serve::run(&config, &stop, |_| {
            assert_eq!(status("Uid:"), "65534 65534 65534 65534");
            assert_eq!(status("Gid:"), "65534 65534 65534 65534");
            assert_eq!(status("Groups:"), "");
            assert_eq!(status("CapEff:"), "0000000000000000");
            assert_eq!(status("NoNewPrivs:"), "1");
        })
        .unwrap();
    });
}

#[test]
fn the_far_end_gives_up_its_privileges() {
    in_namespace(&[], || {
        let me = std::env::current_exe().unwrap();
        run(me.to_str().unwrap(), &["--exact", "child_without_privileges", "--include-ignored"]);
    });
}
