//! The io_uring engine on a real kernel, against ordinary sockets on loopback: function and counts.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test may end by panic

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use lowlat_transport::clock::now;
use lowlat_transport::{Endpoint, Engine, EngineError, Proto};
use lowlat_transport_uring::{RingOptions, open, open_with};

const SECOND: u64 = 1_000_000_000;

/// io_uring may be forbidden here; under LOWLAT_REQUIRE_ROOT=1 it must not be.
fn possible() -> bool {
    let target = UdpSocket::bind("127.0.0.1:0").unwrap();
    match open(&Endpoint::new(Proto::Udp, target.local_addr().unwrap(), 64)) {
        Ok(_) => true,
        Err(e) if std::env::var_os("LOWLAT_REQUIRE_ROOT").is_some_and(|v| v == "1") => panic!("{e}"),
        Err(e) => {
            eprintln!("not run: {e}");
            false
        }
    }
}

fn every_option() -> Vec<RingOptions> {
    let mut all = Vec::new();
    for spin in [false, true] {
        for sqpoll in [false, true] {
            for send_zc in [false, true] {
                for multishot in [false, true] {
                    all.push(RingOptions { spin, sqpoll, send_zc, multishot, napi: None });
                }
            }
        }
    }
    all
}

struct Echo {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Echo {
    fn udp(address: &str) -> Self {
        let socket = UdpSocket::bind(address).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let (address, stop) = (socket.local_addr().unwrap(), Arc::new(AtomicBool::new(false)));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut buf = vec![0; 65536];
            while !stopped.load(Ordering::Relaxed) {
                if let Ok((len, from)) = socket.recv_from(&mut buf) {
                    socket.send_to(&buf[..len], from).unwrap();
                }
            }
        });
        Self { address, stop, thread: Some(thread) }
    }

    /// Sends a stream back in pieces of `piece` bytes, so that messages do not come whole.
    fn tcp(piece: usize, connections: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), Arc::new(AtomicBool::new(false)));
        let thread = std::thread::spawn(move || {
            for _ in 0..connections {
                let (mut stream, _) = listener.accept().unwrap();
                stream.set_nodelay(true).unwrap();
                let mut buf = vec![0; 65536];
                while let Ok(len @ 1..) = stream.read(&mut buf) {
                    for part in buf[..len].chunks(piece) {
                        stream.write_all(part).unwrap();
                    }
                }
            }
        });
        Self { address, stop, thread: Some(thread) }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let joined = self.thread.take().unwrap().join();
        assert!(joined.is_ok() || std::thread::panicking(), "the far end failed");
    }
}

fn message(len: usize) -> Vec<u8> {
    // The first two bytes say the length, for the stream's framing.
    let mut m = u16::try_from(len).unwrap().to_be_bytes().to_vec();
    m.extend((2..len).map(|i| u8::try_from((i * 7 + len) % 251).unwrap()));
    m
}

fn framing(bytes: &[u8]) -> Option<usize> {
    bytes.first_chunk().map(|c| usize::from(u16::from_be_bytes(*c)))
}

fn round_trips(engine: &mut dyn Engine, sizes: impl IntoIterator<Item = usize>) {
    let mut buf = vec![0; 65536];
    for len in sizes {
        let message = message(len);
        let sent = engine.send(&message).unwrap();
        let got = engine.recv(&mut buf, now() + 2 * SECOND).unwrap().expect("an answer within 2 s");
        assert_eq!(buf[..got.len], message[..], "{len} bytes");
        assert!(got.at > sent);
    }
}

#[test]
fn udp_answers_with_every_option_and_each_is_said() {
    if !possible() {
        return;
    }
    for far in ["127.0.0.1:0", "[::1]:0"] {
        let echo = Echo::udp(far);
        for options in every_option() {
            let mut ask = Endpoint::new(Proto::Udp, echo.address, 1400);
            ask.busy_poll_us = Some(20);
            let mut engine = open_with(&ask, &options).unwrap();
            let words = engine.caps().words.clone();
            assert_eq!(words.contains("SQPOLL"), options.sqpoll, "{words}");
            assert_eq!(words.contains("SEND_ZC"), options.send_zc, "{words}");
            assert!(words.contains("TASKRUN") != options.sqpoll || words.contains("default task"), "{words}");
            assert!(words.contains("NAPI busy polling"), "{words}");
            assert!(words.contains("registered file"), "{words}");
            let granted = engine.options();
            let of = |name: &str| {
                granted.iter().find(|o| o.option == name).unwrap_or_else(|| panic!("no {name}: {granted:?}"))
            };
            // The kernel of the tests has each of them; what is not asked for is said to be that.
            for (name, asked) in [
                ("SQPOLL", options.sqpoll),
                ("SEND_ZC", options.send_zc),
                ("multishot receive", options.multishot),
                ("DEFER_TASKRUN", !options.sqpoll),
                ("REGISTER_NAPI", true),
            ] {
                let why = of(name).why_not.clone().unwrap_or_default();
                assert_eq!(of(name).got.is_some(), asked, "{name}: {granted:?}");
                assert!(asked || why == "not asked for" || why.contains("SQPOLL"), "{name}: {why}");
            }
            // The submission thread's CPU time is not this thread's.
            assert_eq!(engine.works_alone(), !options.sqpoll, "{options:?}");
            assert!(of("RECV_ZC").got.is_none() && !of("RECV_ZC").why_not.as_ref().unwrap().is_empty());
            round_trips(engine.as_mut(), (2..=64).chain([1000, 1400]));
        }
    }
}

#[test]
fn tcp_messages_come_whole_whatever_the_pieces() {
    if !possible() {
        return;
    }
    let options = every_option();
    for piece in [1, 3, 65536] {
        let echo = Echo::tcp(piece, options.len());
        for options in &options {
            let mut engine = open_with(&Endpoint::new(Proto::Tcp, echo.address, 20_000), options).unwrap();
            engine.set_framing(framing);
            round_trips(engine.as_mut(), [2, 3, 64, 1400, 20_000]);
        }
    }
}

/// More than a multishot receive has buffers: it ends for want of one and is made again.
#[test]
fn messages_sent_ahead_come_in_order_and_none_is_lost() {
    if !possible() {
        return;
    }
    let echo = Echo::udp("127.0.0.1:0");
    for options in every_option() {
        let mut engine = open_with(&Endpoint::new(Proto::Udp, echo.address, 64), &options).unwrap();
        for i in 0..100u8 {
            engine.send(&[i]).unwrap();
        }
        let mut buf = [0; 64];
        for i in 0..100u8 {
            let got = engine.recv(&mut buf, now() + 2 * SECOND).unwrap().unwrap();
            assert_eq!(buf[..got.len], [i], "{options:?}");
        }
        assert!(engine.recv(&mut buf, now() + SECOND / 50).unwrap().is_none());
    }
}

/// Loopback has no NAPI instance: static tracking says so after the first answer, and goes on without.
#[test]
fn static_tracking_names_the_instance_or_says_that_there_is_none() {
    if !possible() {
        return;
    }
    let echo = Echo::udp("127.0.0.1:0");
    let options = RingOptions::parse("sleep+napi-static").unwrap();
    let mut engine = open_with(&Endpoint::new(Proto::Udp, echo.address, 64), &options).unwrap();
    round_trips(engine.as_mut(), [8, 9]);
    let granted = engine.options();
    let tracked: Vec<_> = granted.iter().filter(|o| o.option == "NAPI instance tracked").collect();
    assert!(tracked.len() == 1 && tracked[0].why_not.as_ref().unwrap().contains("no NAPI queue"), "{granted:?}");
}

/// A try to receive that goes with a send would hold it up.
#[test]
fn spinning_submits_a_send_alone() {
    if !possible() {
        return;
    }
    let echo = Echo::udp("127.0.0.1:0");
    let mut engine = open(&Endpoint::new(Proto::Udp, echo.address, 64)).unwrap();
    round_trips(engine.as_mut(), [8]);
    let before = engine.system_calls().unwrap();
    // Nothing is queued from the receive before: one call, of which the send is the only request.
    engine.send(&[7; 8]).unwrap();
    assert_eq!(engine.system_calls().unwrap() - before, 1);
    let mut buf = [0; 64];
    assert!(engine.recv(&mut buf, now() + 2 * SECOND).unwrap().is_some());
    // A deadline that has passed still gives one try.
    let before = engine.system_calls().unwrap();
    assert!(engine.recv(&mut buf, now()).unwrap().is_none());
    assert!(engine.system_calls().unwrap() > before);
}

/// Pinned together, the spinning prober and the submission thread wait for each other's slices: this end sleeps then, so that
/// the thread has the CPU, and says so.
#[test]
fn a_submission_thread_without_a_cpu_is_reported_and_gets_one() {
    if !possible() {
        return;
    }
    let echo = Echo::udp("127.0.0.1:0");
    let alone = || {
        let options = RingOptions::parse("spin+sqpoll").unwrap();
        let mut engine = open_with(&Endpoint::new(Proto::Udp, echo.address, 64), &options).unwrap();
        let me = std::fs::read_link("/proc/thread-self").unwrap();
        let me = me.file_name().unwrap().to_str().unwrap().to_owned();
        // io_uring/sqpoll.c names it after the thread that made the ring.
        let is_poller = |task: &std::path::Path| {
            std::fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == format!("iou-sqp-{me}"))
        };
        let poller = || {
            let tasks = std::fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
            tasks.filter(|task| is_poller(task)).map(|task| task.file_name().unwrap().to_owned()).next()
        };
        // It names itself when it first runs (io_sq_thread), which may be after the ring is there.
        let until = now() + 5 * SECOND;
        let poller = std::iter::repeat_with(poller).find(|found| found.is_some() || now() > until).flatten();
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let allowed = status.lines().find_map(|l| l.strip_prefix("Cpus_allowed_list:")).unwrap().trim();
        let cpu = allowed.split([',', '-']).next().unwrap();
        for thread in [me.into(), poller.unwrap()] {
            let done = std::process::Command::new("taskset").args(["-p", "-c", cpu]).arg(thread).output().unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        }
        round_trips(engine.as_mut(), std::iter::repeat_n(64, 50));
        let granted = engine.options();
        let spin = granted.iter().filter(|o| o.option == "spin").collect::<Vec<_>>();
        assert!(
            spin.len() == 1 && spin[0].why_not.as_ref().is_some_and(|why| why.contains("no CPU to itself")),
            "{granted:?}"
        );
    };
    // In a thread of its own: what it is pinned to ends with it.
    std::thread::scope(|s| s.spawn(alone).join()).unwrap();
}

#[test]
fn silence_ends_in_time_and_a_refusal_is_an_error() {
    if !possible() {
        return;
    }
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    for options in every_option() {
        let mut engine = open_with(&Endpoint::new(Proto::Udp, address, 64), &options).unwrap();
        engine.send(b"anybody?").unwrap();
        let until = now() + SECOND / 50;
        assert!(engine.recv(&mut [0; 64], until).unwrap().is_none());
        assert!(now() >= until, "not before");
    }
    drop(silent);
    let mut engine = open(&Endpoint::new(Proto::Udp, address, 64)).unwrap();
    let heard = engine.send(b"anybody?").map(drop).and_then(|()| engine.recv(&mut [0; 64], now() + SECOND).map(drop));
    assert!(matches!(heard, Err(EngineError::Unreachable { .. })), "{heard:?}");
}

#[test]
fn a_message_beyond_the_callers_buffer_is_counted_not_cut() {
    if !possible() {
        return;
    }
    let echo = Echo::udp("127.0.0.1:0");
    for options in every_option() {
        let mut engine = open_with(&Endpoint::new(Proto::Udp, echo.address, 64), &options).unwrap();
        engine.send(&[7; 64]).unwrap();
        engine.send(&[8; 8]).unwrap();
        let mut buf = [0; 16];
        let got = engine.recv(&mut buf, now() + 2 * SECOND).unwrap().unwrap();
        assert_eq!((buf[..got.len].to_vec(), engine.discarded()), (vec![8; 8], 1), "{options:?}");
        assert!(engine.send(&[0; 65]).is_err(), "beyond what was announced");
    }
}

#[test]
fn the_port_is_free_as_soon_as_the_engine_is_gone() {
    if !possible() {
        return;
    }
    let echo = Echo::udp("127.0.0.1:0");
    let local = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for _ in 0..20 {
        let mut ask = Endpoint::new(Proto::Udp, echo.address, 64);
        ask.local = Some(local);
        let mut engine = open(&ask).unwrap();
        round_trips(engine.as_mut(), [8]);
    }
}

#[test]
fn a_closed_stream_is_unreachable_and_icmp_is_refused() {
    if !possible() {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut engine = open(&Endpoint::new(Proto::Tcp, address, 64)).unwrap();
    engine.set_framing(framing);
    drop(listener.accept().unwrap());
    let heard = engine.recv(&mut [0; 64], now() + SECOND);
    assert!(matches!(heard, Err(EngineError::Unreachable { .. })), "{heard:?}");
    let icmp = open(&Endpoint::new(Proto::Icmp, "127.0.0.1:0".parse().unwrap(), 64)).err().unwrap();
    assert!(matches!(icmp, EngineError::Unavailable { engine: "io-uring", .. }), "{icmp}");
}
