//! The DPDK engine on a real kernel, over veth, against ordinary sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)] // a test may end by panic; a second process says that it is ready

#[path = "../../transport-xdp/tests/common/mod.rs"]
mod common;

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, SocketAddrV4};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Once;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use common::{Echo, FAR4, FAR6, Lab, endpoint, has_program, privileged, run};
use lowlat_transport::clock::now;
use lowlat_transport::{DpdkPort, Endpoint, Engine, EngineError, Proto};
use lowlat_transport_dpdk::{DpdkResponder, Port};
use lowlat_transport_xdp::Wire;

const SECOND: u64 = 1_000_000_000;

/// Whether these can run; builds the program next to this one.
fn ready() -> bool {
    static BUILT: Once = Once::new();
    if !privileged() {
        return false;
    }
    BUILT.call_once(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let dir = std::env::current_exe().unwrap().parent().unwrap().to_owned();
        let built = Command::new(root.join("scripts/dpdk")).arg(dir).output().unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    });
    true
}

fn on(port: &str, remote: SocketAddr) -> Endpoint {
    Endpoint { dpdk: Some(DpdkPort { port: Some(port.to_owned()), address: None }), ..endpoint(remote) }
}

fn open(endpoint: &Endpoint) -> Result<Box<dyn Engine>, EngineError> {
    lowlat_transport_dpdk::open(endpoint, &|_| None)
}

fn why(result: Result<Box<dyn Engine>, EngineError>) -> String {
    match result {
        Ok(engine) => panic!("opened: {}", engine.caps().words),
        Err(e) => e.to_string(),
    }
}

/// Messages of many sizes, in one call and in two, each of which must come back unchanged. Gives how many.
fn round_trips(engine: &mut dyn Engine) -> u64 {
    let mut buf = [0; 2048];
    let mut count = 0;
    assert!(!engine.works_alone(), "the child does the work, in a CPU time of its own");
    for len in (0..=40).chain([100, 101, 511, 1000, 1399, 1400]) {
        let message: Vec<u8> = (0..len).map(|i| u8::try_from((i * 7 + len) % 251).unwrap()).collect();
        let one = engine.exchange(&message, &mut buf, 5 * SECOND).unwrap();
        let got = one.got.unwrap().expect("an answer within 5 s");
        assert_eq!(buf[..got.len], message[..], "{len} bytes");
        assert!(got.at > one.sent && one.sent > 0, "received after it was sent");
        let sent = engine.send(&message).unwrap();
        let got = engine.recv(&mut buf, now() + 5 * SECOND).unwrap().expect("an answer within 5 s");
        assert!(buf[..got.len] == message[..] && got.at > sent, "{len} bytes");
        count += 2;
    }
    count
}

/// Processes of the program that this one started.
fn children() -> Vec<String> {
    let me = std::process::id().to_string();
    let all = std::fs::read_dir("/proc").unwrap().filter_map(|e| e.ok()?.file_name().into_string().ok());
    let ours = |pid: &String| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let after = stat.rsplit(')').next().unwrap_or_default().split_whitespace().nth(1).map(str::to_owned);
        stat.contains("(lowlat-dpdk)") && after.as_deref() == Some(&me)
    };
    all.filter(ours).collect()
}

#[test]
fn every_port_and_family_answers_and_leaves_nothing_behind() {
    if !ready() {
        return;
    }
    let lab = Lab::new(1);
    for port in ["net_af_packet", "net_af_xdp"] {
        for far in [FAR4, FAR6] {
            let echo = lab.echo(far);
            let mut engine = open(&on(port, echo.address)).unwrap();
            let words = &engine.caps().words;
            assert!(words.contains(&format!("{port} on {port}0,iface=va")), "{words}");
            assert_eq!(has_program("va"), port == "net_af_xdp");
            let count = round_trips(engine.as_mut());
            // Through the far end's own stack, which verifies our checksums.
            assert_eq!(echo.served.load(Ordering::Relaxed), count);
            assert_eq!(engine.discarded(), 0);
            drop(engine);
            assert!(!has_program("va") && children().is_empty(), "{port} left something");
        }
    }
    assert!(!Path::new("/var/run/dpdk").join(format!("lowlat-{}", std::process::id())).exists());
    let errors = lab.far(|| run("cat /proc/thread-self/net/snmp"));
    let udp: Vec<&str> = errors.lines().filter(|l| l.starts_with("Udp: ")).collect();
    let at = udp[0].split(' ').position(|w| w == "InCsumErrors").unwrap();
    assert_eq!(udp[1].split(' ').nth(at), Some("0"), "checksum errors at the far end");
}

/// What a program printed.
fn said(command: &mut Command) -> String {
    let ran = command.output().unwrap();
    assert!(ran.status.success(), "{command:?}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap().trim().to_owned()
}

#[test]
fn the_package_names_what_its_program_needs_and_holds_it_where_lowlat_looks() {
    if !ready() {
        return;
    }
    let dir = std::env::temp_dir().join(format!("lowlat-dpdk-deb-{}", std::process::id()));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/dpdk");
    said(Command::new(script).arg("--deb").arg(&dir).env_remove("LOWLAT_DEB_VERSION"));
    let made: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|e| e.unwrap().path()).collect();
    let [deb] = made.as_slice() else { panic!("{made:?}") };
    let needs = said(Command::new("dpkg-deb").arg("-f").arg(deb).arg("Depends"));
    let needs: Vec<&str> = needs.split(", ").collect();
    let ours = format!("lowlat (= {}-1)", env!("CARGO_PKG_VERSION"));
    assert_eq!(needs[0], ours, "of one build with the program that starts it");
    // Whatever Debian calls them in this release: it built with them, so they are here.
    for package in &needs[1..] {
        let status = said(Command::new("dpkg-query").args(["-W", "-f", "${db:Status-Status}", package]));
        assert_eq!(status, "installed", "{package}");
    }
    for driver in ["eal", "net-af-packet", "net-af-xdp", "net-ring", "net-tap", "mempool-ring", "bus-vdev", "bus-pci"] {
        let name = format!("librte-{driver}");
        assert!(needs.iter().any(|n| n.starts_with(&name)), "{name} is not in {needs:?}");
    }
    let unpacked = dir.join("root");
    said(Command::new("dpkg-deb").arg("-x").arg(deb).arg(&unpacked));
    let program = unpacked.join("usr/lib/lowlat/lowlat-dpdk");
    let ran = Command::new(&program).args(["--no-huge", "-m", "64", "--no-shconf", "--no-pci"]).output().unwrap();
    let text = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.code().is_some() && !text.contains("shared libraries"), "{text}");
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn a_far_end_that_is_silent_or_refuses_is_no_answer() {
    if !ready() {
        return;
    }
    let lab = Lab::new(1);
    let echo = lab.echo(FAR4);
    let closed = SocketAddr::new(FAR4.parse().unwrap(), 9);
    let mut engine = open(&on("net_af_packet", closed)).unwrap();
    let mut buf = [0; 64];
    let mut refused = None;
    // The refusal may come just after the first wait.
    for _ in 0..20 {
        let e = engine.exchange(b"nobody", &mut buf, SECOND / 20).and_then(|e| e.got);
        refused = refused.or(e.err());
    }
    assert!(refused.is_some_and(|e| e.to_string().contains("refused")), "the far kernel's refusal is reported");
    drop(engine);
    // What does not fit is refused, never cut or sent in pieces.
    let long = Endpoint { max_message: 1473, ..on("net_af_packet", echo.address) };
    assert!(why(open(&long)).contains("--size"));
}

#[test]
fn a_port_without_an_interface_asks_and_answers_arp() {
    if !ready() {
        return;
    }
    let _lab = Lab::new(1);
    let far: SocketAddr = "10.232.0.2:7000".parse().unwrap();
    let port = DpdkPort { port: Some("net_tap".to_owned()), address: Some(("10.232.0.1".parse().unwrap(), 24)) };
    let tap = Endpoint { iface: None, dpdk: Some(port), ..Endpoint::new(Proto::Udp, far, 1400) };
    let net = std::fs::File::open("/proc/thread-self/ns/net").unwrap();
    let adds = std::thread::spawn(move || {
        rustix::thread::move_into_link_name_space(
            std::os::fd::AsFd::as_fd(&net),
            Some(rustix::thread::LinkNameSpaceType::Network),
        )
        .unwrap();
        let until = Instant::now() + Duration::from_secs(60);
        while !Command::new("ip")
            .args(["addr", "add", "10.232.0.2/24", "dev", "dtap0"])
            .stderr(Stdio::null())
            .status()
            .unwrap()
            .success()
        {
            assert!(Instant::now() < until, "dtap0 never came");
            std::thread::sleep(Duration::from_millis(5));
        }
        Echo::start(far)
    });
    let mut engine = open(&tap).unwrap();
    let echo = adds.join().unwrap();
    let count = round_trips(engine.as_mut());
    assert_eq!(echo.served.load(Ordering::Relaxed), count);
    assert!(run("ip neigh show dev dtap0").contains("10.232.0.1 lladdr"), "the kernel learned our address");
    drop(engine);
    assert!(!Path::new("/sys/class/net/dtap0").exists() || !run("ip link").contains("dtap0"));
    // Without an address, or with one of another subnet, nothing is started.
    let with = |address: Option<&str>| Endpoint {
        dpdk: Some(DpdkPort { port: Some("net_tap".into()), address: address.map(|a| (a.parse().unwrap(), 24)) }),
        ..Endpoint::new(Proto::Udp, far, 64)
    };
    assert!(why(open(&with(None))).contains("--dpdk-address"));
    assert!(why(open(&with(Some("10.233.0.1")))).contains("its own subnet"));
}

#[test]
fn a_ring_gives_back_what_was_sent() {
    if !ready() {
        return;
    }
    let itself: SocketAddr = "10.9.9.9:5000".parse().unwrap();
    let port = DpdkPort { port: Some("net_ring".to_owned()), address: Some(("10.9.9.9".parse().unwrap(), 24)) };
    let mut engine =
        open(&Endpoint { source_port: 5000, dpdk: Some(port), ..Endpoint::new(Proto::Udp, itself, 1400) }).unwrap();
    round_trips(engine.as_mut());
}

#[test]
fn an_interface_that_is_needed_or_taken_is_left_alone() {
    if !ready() {
        return;
    }
    let lab = Lab::new(1);
    let echo = lab.echo(FAR4);
    let refuses = |iface: &str| Some(format!("{iface} carries the login"));
    let xdp = on("net_af_xdp", echo.address);
    assert!(why(lowlat_transport_dpdk::open(&xdp, &refuses)).contains("va carries the login"));
    let engine = open(&xdp).unwrap();
    assert!(why(open(&on("net_af_xdp", echo.address))).contains("has an XDP program"));
    drop(engine);
    assert!(why(open(&on("net_af_xdp0,iface=nosuch0", echo.address))).contains("not on") || !has_program("va"));
    assert!(why(open(&on("eth7", echo.address))).contains("neither a PCI address"));
    assert!(why(open(&Endpoint { proto: Proto::Tcp, ..on("net_af_packet", echo.address) })).contains("UDP only"));
}

/// A protocol of this test alone.
const WIRE: Wire =
    Wire { magic: *b"frob", probe: [1, 0, 0, 0], answer: [1, 2, 0, 0], length_at: 8, stamps_at: 32, shortest: 48 };

/// One of its probes; every byte that is nothing else says where it is.
fn probe(len: usize) -> Vec<u8> {
    let mut m: Vec<u8> = (0..len).map(|i| u8::try_from(i % 251).unwrap()).collect();
    m[..4].copy_from_slice(&WIRE.magic);
    m[4..8].copy_from_slice(&WIRE.probe);
    m[8..12].copy_from_slice(&u32::try_from(len).unwrap().to_le_bytes());
    m
}

/// Probes whose answers are the probes, but for flag and stamps; gives how many.
fn answered(engine: &mut dyn Engine) -> u64 {
    let mut buf = [0; 2048];
    for len in [48, 49, 64, 101, 1399, 1400] {
        let message = probe(len);
        let sent = engine.send(&message).unwrap();
        let got = engine.recv(&mut buf, now() + 5 * SECOND).unwrap().expect("an answer within 5 s");
        let stamp = |at: usize| u64::from_le_bytes(buf[at..at + 8].try_into().unwrap());
        assert!(sent <= stamp(32) && stamp(32) <= stamp(40) && stamp(40) <= got.at, "{len} bytes: the order of time");
        let mut want = message;
        want[4..8].copy_from_slice(&WIRE.answer);
        want[32..48].copy_from_slice(&buf[32..48]);
        assert_eq!(buf[..got.len], want[..], "{len} bytes");
    }
    6
}

/// By a near end whose checksums no device has computed, and by one that has computed them itself and checks the answers'.
#[test]
fn a_far_end_behind_a_port_answers_clean_probes_and_nothing_else() {
    if !ready() {
        return;
    }
    let lab = Lab::new(1);
    let to: SocketAddrV4 = "10.231.0.77:7000".parse().unwrap();
    let start = |port: &'static str, iface: Option<&'static str>, to: SocketAddrV4| {
        lab.far(move || {
            DpdkResponder::open(Port::parse(port).unwrap(), iface, to, &WIRE, &|_| None).map_err(|e| e.to_string())
        })
    };
    for port in ["net_af_packet", "net_af_xdp"] {
        let mut far = start(port, Some("vb"), to).unwrap();
        assert!(far.words().contains(&format!("{port} on {port}0,iface=vb")), "{}", far.words());
        let mut near = lowlat_transport::open("block", &endpoint(to.into())).unwrap();
        let mut count = answered(near.as_mut());
        // One after the other, and then a clean one: what comes back is that one's answer.
        let mut unclean = vec![probe(64); 5];
        unclean[0][0] ^= 1; // not the protocol
        unclean[1][5] = WIRE.answer[1]; // an answer
        unclean[2][8] += 1; // longer than it is
        unclean[3].truncate(47);
        unclean[4] = Vec::new();
        for message in &unclean {
            near.send(message).unwrap();
        }
        let other = SocketAddr::new((*to.ip()).into(), 7001);
        lowlat_transport::open("block", &endpoint(other)).unwrap().send(&probe(64)).unwrap();
        count += answered(near.as_mut());
        drop(near);
        let mut near = open(&on("net_af_packet", to.into())).unwrap();
        count += answered(near.as_mut());
        drop(near);
        assert_eq!(far.answered().unwrap(), count, "{port}");
        drop(far);
        assert!(children().is_empty() && lab.far(|| !has_program("vb")), "{port} left something");
    }
    let refused = |port, iface, to| start(port, iface, to).map(|_| ()).unwrap_err();
    assert!(refused("net_af_packet", None, to).contains("--iface"));
    assert!(refused("net_af_packet", Some("nosuch0"), to).contains("no interface nosuch0"));
    let own = SocketAddrV4::new(FAR4.parse().unwrap(), 7000);
    assert!(refused("net_af_packet", Some("vb"), own).contains("would refuse each probe"));
}

#[test]
fn whoever_is_killed_no_program_stays() {
    if !ready() {
        return;
    }
    let lab = Lab::new(1);
    let echo = lab.echo(FAR4);
    let mut engine = open(&on("net_af_xdp", echo.address)).unwrap();
    assert!(has_program("va"));
    run(&format!("kill -9 {}", children()[0]));
    let mut buf = [0; 64];
    let e = engine.exchange(b"hello", &mut buf, SECOND).map(|_| ()).unwrap_err().to_string();
    assert!(e.contains("lowlat-dpdk has ended"), "{e}");
    drop(engine);
    assert!(!has_program("va"), "lowlat takes off what the child left");

    let mut held = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "holds_a_port", "--nocapture"])
        .env("HOLD", echo.address.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(held.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|l| l.contains("holding")), "it opened its port");
    assert!(has_program("va"));
    held.kill().unwrap();
    held.wait().unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    while has_program("va") {
        assert!(Instant::now() < until, "the child outlived lowlat");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
#[ignore = "a second process that a test starts"]
fn holds_a_port() {
    let to = std::env::var("HOLD").unwrap().parse().unwrap();
    let engine = open(&on("net_af_xdp", to)).unwrap();
    println!("holding");
    std::thread::sleep(Duration::from_secs(120));
    drop(engine);
}
