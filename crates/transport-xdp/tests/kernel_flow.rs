//! Which way packets take while the AF_XDP engine is on an interface: its own flow through its sockets, all else through
//! the kernel; and that nothing is left on the interface, whenever the process is killed. VLANs: `kernel_vm_igb`.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test may end by panic

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use common::{FAR4, FAR6, Lab, NEAR4, endpoint, has_program, privileged, run};
use lowlat_model::Bypass;
use lowlat_transport::clock::now;
use lowlat_transport::{Endpoint, Engine};
use lowlat_transport_xdp::{XdpMode, XdpOptions, open, open_with, probe};

const SECOND: u64 = 1_000_000_000;
const MODES: [XdpMode; 2] = [XdpMode::Generic, XdpMode::NativeCopy];

fn only(mode: XdpMode) -> XdpOptions {
    XdpOptions { mode: Some(mode), ..XdpOptions::default() }
}

/// Sends a message of that length and takes it back.
fn round_trip(engine: &mut dyn Engine, len: usize) {
    let mut buf = [0; 4096];
    let message: Vec<u8> = (0..len).map(|i| u8::try_from((i * 7 + len) % 251).unwrap()).collect();
    engine.send(&message).unwrap();
    let got = engine.recv(&mut buf, now() + 2 * SECOND).unwrap().expect("an answer within 2 s");
    assert_eq!(buf[..got.len], message[..], "{len} bytes");
}

fn bypass(engine: &dyn Engine) -> Bypass {
    engine.flow().bypass.expect("the engine says what it got")
}

/// By the sockets, by the kernel.
fn ways(engine: &dyn Engine) -> (u64, u64) {
    let bypass = bypass(engine);
    (bypass.by_socket, bypass.by_kernel)
}

/// Checksum errors that the far end's kernel counted.
fn damaged(lab: &Lab) -> Vec<String> {
    let snmp = lab.far(|| run("cat /proc/thread-self/net/snmp /proc/thread-self/net/snmp6"));
    let udp: Vec<&str> = snmp.lines().filter(|l| l.starts_with("Udp: ")).collect();
    let at = udp[0].split(' ').position(|w| w == "InCsumErrors").unwrap();
    let six = snmp.lines().find(|l| l.starts_with("Udp6InCsumErrors")).unwrap();
    vec![udp[1].split(' ').nth(at).unwrap().to_owned(), six.split_whitespace().nth(1).unwrap().to_owned()]
}

#[test]
fn what_was_got_is_read_back_and_every_packet_is_counted() {
    if !privileged() {
        return;
    }
    let lab = Lab::new(1);
    let echo = lab.echo(FAR4);
    for (mode, hook) in MODES.into_iter().zip(["generic", "native"]) {
        let mut ask = endpoint(echo.address);
        ask.busy_poll_us = Some(20);
        let mut engine = open_with(&ask, &only(mode)).unwrap();
        for len in 0..50 {
            round_trip(engine.as_mut(), len);
        }
        let got = bypass(engine.as_ref());
        // What `ip` says of the interface, not what was asked for.
        let shown = run("ip -d link show va");
        assert_eq!(shown.contains("xdpgeneric"), hook == "generic", "{shown}");
        assert!(shown.contains(&format!("prog/xdp id {}", got.program.unwrap())), "{shown}");
        assert_eq!((got.hook.as_str(), got.iface.as_str(), got.vlan), (hook, "va", None));
        // veth has no zero-copy; a copying kernel wants a call for each send, and says so.
        assert_eq!((got.zero_copy, got.need_wakeup, got.queues), (false, true, 1));
        // The generic hook has no NAPI instance, so nothing is polled there.
        assert_eq!(got.prefer_busy_poll_us, (mode == XdpMode::NativeCopy).then_some(20));
        assert_eq!((got.by_socket, got.by_kernel, got.dropped), (50, 0, 0));
        assert_eq!(got.fallback(), None);
    }
}

/// The engine asks for zero-copy where the driver has it; where it has not, asking for it alone is refused, and nothing
/// falls back in silence.
#[test]
fn a_mode_that_the_driver_has_not_is_refused_and_not_replaced() {
    if !privileged() {
        return;
    }
    let lab = Lab::new(1);
    let echo = lab.echo(FAR4);
    let refused = open_with(&endpoint(echo.address), &only(XdpMode::ZeroCopy)).err().unwrap().to_string();
    assert!(refused.contains("native zero-copy refused") && !refused.contains('\n'), "{refused}");
    assert!(!has_program("va"));
}

#[test]
fn answers_that_the_program_lets_pass_are_taken_from_the_kernel_counted_and_reported() {
    if !privileged() {
        return;
    }
    let lab = Lab::new(1);
    let echo = lab.echo(FAR4);
    // The far end's large answers leave in fragments, which the program does not take.
    lab.far(|| run(&format!("ip route add {NEAR4}/32 dev vb mtu lock 600")));
    for mode in MODES {
        for blocking in [false, true] {
            let mut engine = open_with(&endpoint(echo.address), &XdpOptions { blocking, ..only(mode) }).unwrap();
            for _ in 0..5 {
                round_trip(engine.as_mut(), 100);
            }
            assert_eq!(ways(engine.as_ref()), (5, 0));
            for _ in 0..3 {
                round_trip(engine.as_mut(), 1200);
            }
            assert_eq!(ways(engine.as_ref()), (5, 3), "{mode:?}");
            round_trip(engine.as_mut(), 100);
            assert_eq!(ways(engine.as_ref()), (6, 3));
            let said = bypass(engine.as_ref()).fallback().unwrap();
            assert!(said.starts_with("3 of 9 packets came through the kernel's stack"), "{said}");
        }
    }
}

#[test]
fn a_jumbo_frame_is_refused_with_a_reason_and_the_rest_goes() {
    if !privileged() {
        return;
    }
    let lab = Lab::new(1);
    run("ip link set va mtu 9000");
    lab.far(|| run("ip link set vb mtu 9000"));
    let echo = lab.echo(FAR4);
    let refused = open(&Endpoint { max_message: 8000, ..endpoint(echo.address) }).err().expect("refused").to_string();
    assert!(refused.contains("takes no frame of several buffers") && !refused.contains('\n'), "{refused}");
    assert!(!has_program("va"));
    // Messages of ordinary size go, also at that MTU, by the mode that the driver then still has.
    let mut engine = open(&endpoint(echo.address)).unwrap();
    round_trip(engine.as_mut(), 1400);
    assert_eq!(ways(engine.as_ref()), (1, 0));
}

#[test]
fn the_smallest_and_the_largest_frame_of_both_families() {
    if !privileged() {
        return;
    }
    let lab = Lab::new(1);
    for (far, most) in [(FAR4, 1472), (FAR6, 1452)] {
        let echo = lab.echo(far);
        for mode in MODES {
            let ask = Endpoint { max_message: most, ..endpoint(echo.address) };
            let mut engine = open_with(&ask, &only(mode)).unwrap();
            for len in [0, 1, most - 1, most] {
                round_trip(engine.as_mut(), len);
            }
            assert_eq!(ways(engine.as_ref()), (4, 0));
        }
    }
    assert_eq!(damaged(&lab), ["0", "0"]);
}

/// What the table says of veth, asked of the kernel: at its largest MTU it takes a native program, and above it none.
#[test]
fn the_largest_mtu_of_a_native_program_is_foretold() {
    if !privileged() {
        return;
    }
    let lab = Lab::new(1);
    let echo = lab.echo(FAR4);
    for (mtu, takes) in [(3506, true), (3507, false)] {
        run(&format!("ip link set va mtu {mtu}"));
        lab.far(move || run(&format!("ip link set vb mtu {mtu}")));
        let foretold = probe("va").into_value().unwrap();
        let native = foretold.modes.iter().find(|m| m.mode == XdpMode::NativeCopy).unwrap();
        assert_eq!((native.possible, foretold.mtu, foretold.refusal()), (Some(takes), mtu, None), "{foretold:?}");
        let opened = open_with(&endpoint(echo.address), &only(XdpMode::NativeCopy));
        assert_eq!(opened.is_ok(), takes, "MTU {mtu}: {:?}", opened.err());
    }
}

/// A connection to a far end that sends every byte back, from before the program is on to after it is off.
struct Session {
    stop: Arc<AtomicBool>,
    turns: Arc<AtomicU64>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Session {
    fn new(lab: &Lab) -> Self {
        let listener = lab.far(|| TcpListener::bind((FAR4, 22)).unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut buf = [0; 512];
            while let Ok(n @ 1..) = stream.read(&mut buf) {
                stream.write_all(&buf[..n]).unwrap();
            }
        });
        let mut stream = TcpStream::connect((FAR4, 22)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let (stop, turns) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, count) = (stop.clone(), turns.clone());
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let line = format!("line {}\n", count.load(Ordering::Relaxed));
                stream.write_all(line.as_bytes()).unwrap();
                let mut back = vec![0; line.len()];
                stream.read_exact(&mut back).expect("the session lives");
                assert_eq!(back, line.as_bytes());
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { stop, turns, thread: Some(thread) }
    }

    /// Waits until something more was typed and came back.
    fn goes_on(&self) {
        let before = self.turns.load(Ordering::Relaxed);
        let after = (0..5_000).any(|_| {
            std::thread::sleep(Duration::from_millis(1));
            self.turns.load(Ordering::Relaxed) >= before + 3
        });
        assert!(after, "the session stands still");
    }

    fn end(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

#[test]
fn a_login_session_over_the_same_interface_lives_through_all_of_it() {
    if !privileged() {
        return;
    }
    let lab = Lab::new(2);
    let echo = lab.echo(FAR4);
    let session = Session::new(&lab);
    for mode in MODES {
        session.goes_on();
        let mut engine = open_with(&endpoint(echo.address), &only(mode)).unwrap();
        session.goes_on();
        for len in 0..200 {
            round_trip(engine.as_mut(), len);
        }
        session.goes_on();
        assert_eq!(ways(engine.as_ref()), (200, 0));
        drop(engine);
        session.goes_on();
    }
    session.end();
}

/// How far a process is on its way to the attached program, by what it holds.
const PHASES: [&str; 4] = ["socket:", "anon_inode:bpf-map", "anon_inode:bpf-prog", "anon_inode:bpf_link"];

/// This test binary once more, which opens and closes the engine until it is killed, in this thread's namespace.
fn opening(target: SocketAddr) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "opens_until_killed", "--ignored", "--nocapture"])
        .env("LOWLAT_TEST_OPEN", target.to_string())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Whether the process holds something of that kind.
fn holds(pid: u32, what: &str) -> bool {
    let Ok(open) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    open.flatten().any(|fd| std::fs::read_link(fd.path()).is_ok_and(|to| to.to_string_lossy().starts_with(what)))
}

#[test]
fn a_kill_in_any_phase_leaves_no_program_and_free_queues() {
    if !privileged() {
        return;
    }
    let lab = Lab::new(1);
    let echo = lab.echo(FAR4);
    let served = || echo.served.load(Ordering::Relaxed);
    // Killed as soon as the phase shows, then midway through the probes, then a few times at any moment of opening and
    // closing.
    for phase in PHASES.iter().copied().chain(["probes", "a", "b", "c", "d", "e", "f"]) {
        let before = served();
        let mut child = opening(echo.address);
        let reached = (0..10_000).any(|n| {
            std::thread::sleep(Duration::from_micros(200));
            match phase {
                "probes" => served() > before + 20,
                _ if phase.len() == 1 => served() > before && n % 7 == usize::from(phase.as_bytes()[0] % 7),
                _ => holds(child.id(), phase),
            }
        });
        child.kill().unwrap(); // SIGKILL
        child.wait().unwrap();
        assert!(reached, "phase {phase} never came");
        // The last reference goes with the process; the kernel frees the link in a work item.
        let gone = (0..600).any(|_| {
            let gone = !has_program("va");
            if !gone {
                std::thread::sleep(Duration::from_millis(10));
            }
            gone
        });
        assert!(gone, "killed in phase {phase}: the program is still there");
        // The queue is free again, and the next engine works.
        let mut engine = open(&endpoint(echo.address)).unwrap();
        round_trip(engine.as_mut(), 64);
        assert_eq!(ways(engine.as_ref()), (1, 0));
    }
}

/// The process that [`a_kill_in_any_phase_leaves_no_program_and_free_queues`] kills; on its own it does nothing.
#[test]
#[ignore = "run by a_kill_in_any_phase_leaves_no_program_and_free_queues"]
fn opens_until_killed() {
    let Ok(target) = std::env::var("LOWLAT_TEST_OPEN") else { return };
    loop {
        let mut engine = open(&endpoint(target.parse().unwrap())).unwrap();
        for _ in 0..50 {
            round_trip(engine.as_mut(), 64);
        }
    }
}
