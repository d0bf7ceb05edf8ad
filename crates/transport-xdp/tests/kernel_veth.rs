//! The AF_XDP engine on a real kernel, over veth, against ordinary sockets.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test may end by panic

mod common;

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::Duration;

use common::{FAR4, FAR6, Lab, NEAR4, copies_of_links, endpoint, has_program, privileged, run};
use lowlat_transport::clock::now;
use lowlat_transport::{Engine, EngineError, Proto};
use lowlat_transport_xdp::{XdpMode, XdpOptions, XdpReflector, open, open_with, probe};

const SECOND: u64 = 1_000_000_000;

/// Sends messages of many sizes, each of which must come back unchanged. Returns how many.
fn round_trips(engine: &mut dyn Engine) -> u64 {
    let mut buf = [0; 2048];
    let mut count = 0u64;
    for len in (0..=64).chain([100, 101, 511, 1000, 1399, 1400]) {
        let message: Vec<u8> = (0..len).map(|i| u8::try_from((i * 7 + len) % 251).unwrap()).collect();
        let sent = engine.send(&message).unwrap();
        let got = engine.recv(&mut buf, now() + 2 * SECOND).unwrap().expect("an answer within 2 s");
        assert_eq!(buf[..got.len], message[..], "{len} bytes");
        assert!(got.at > sent, "received after it was sent");
        count += 1;
    }
    count
}

fn why(result: Result<Box<dyn Engine>, EngineError>) -> String {
    match result {
        Ok(engine) => panic!("opened: {}", engine.caps().words),
        Err(e @ EngineError::Unavailable { .. }) => e.to_string(),
        Err(e) => panic!("not Unavailable: {e}"),
    }
}

#[test]
fn every_mode_and_family_answers_and_leaves_nothing_behind() {
    if !privileged() {
        return;
    }
    let lab = Lab::new(1);
    for far in [FAR4, FAR6] {
        let echo = lab.echo(far);
        for mode in [XdpMode::Generic, XdpMode::NativeCopy] {
            for blocking in [false, true] {
                let options = XdpOptions { mode: Some(mode), blocking, ..XdpOptions::default() };
                let before = echo.served.load(Ordering::Relaxed);
                let mut engine = open_with(&endpoint(echo.address), &options).unwrap();
                assert!(engine.caps().words.contains(mode.words()), "{}", engine.caps().words);
                assert_eq!(engine.caps().spins, !blocking);
                assert!(engine.caps().costs.contains("partial bypass"));
                assert!(has_program("va"), "attached");
                let count = round_trips(engine.as_mut());
                // Through the far end's own stack, which verifies our checksums.
                assert_eq!(echo.served.load(Ordering::Relaxed) - before, count);
                drop(engine);
                assert!(!has_program("va"), "detached");
            }
        }
    }
    let errors = lab.far(|| run("cat /proc/thread-self/net/snmp"));
    let udp: Vec<&str> = errors.lines().filter(|l| l.starts_with("Udp: ")).collect();
    let at = udp[0].split(' ').position(|w| w == "InCsumErrors").unwrap();
    assert_eq!(udp[1].split(' ').nth(at), Some("0"), "checksum errors at the far end");
}

#[test]
fn veth_without_a_wish_is_generic_and_says_why() {
    if !privileged() {
        return;
    }
    let lab = Lab::new(1);
    let echo = lab.echo(FAR4);
    let mut ask = endpoint(echo.address);
    ask.busy_poll_us = Some(20);
    let mut engine = open(&ask).unwrap();
    let words = engine.caps().words.clone();
    for part in
        ["generic (skb) copy on va queue 0", "XDP program ", "no zero-copy", "generic first", "busy polling not used"]
    {
        assert!(words.contains(part), "{part:?} in {words}");
    }
    round_trips(engine.as_mut());
}

#[test]
fn native_with_busy_polling_answers() {
    if !privileged() {
        return;
    }
    let lab = Lab::new(1);
    let echo = lab.echo(FAR4);
    let mut ask = endpoint(echo.address);
    ask.busy_poll_us = Some(20);
    let mut engine = open_with(&ask, &XdpOptions { mode: Some(XdpMode::NativeCopy), ..XdpOptions::default() }).unwrap();
    assert!(engine.caps().words.contains("preferred busy polling 20 µs"), "{}", engine.caps().words);
    round_trips(engine.as_mut());
}

#[test]
fn every_rx_queue_has_its_socket() {
    if !privileged() {
        return;
    }
    let lab = Lab::new(3);
    let echo = lab.echo(FAR4);
    for mode in [XdpMode::Generic, XdpMode::NativeCopy] {
        let mut engine =
            open_with(&endpoint(echo.address), &XdpOptions { mode: Some(mode), ..XdpOptions::default() }).unwrap();
        assert!(engine.caps().words.contains("queues 0–2"), "{}", engine.caps().words);
        round_trips(engine.as_mut());
    }
    let few = XdpOptions { max_queues: 1, ..XdpOptions::default() };
    let engine = open_with(&endpoint(echo.address), &few).unwrap();
    assert!(engine.caps().words.contains("only 1 of 3 RX queues covered"), "{}", engine.caps().words);
}

#[test]
fn all_other_traffic_flows_while_it_is_attached() {
    if !privileged() {
        return;
    }
    let lab = Lab::new(1);
    let echo = lab.echo(FAR4);
    let other = lab.echo(FAR4);
    for mode in [XdpMode::Generic, XdpMode::NativeCopy] {
        let mut engine =
            open_with(&endpoint(echo.address), &XdpOptions { mode: Some(mode), ..XdpOptions::default() }).unwrap();
        round_trips(engine.as_mut());
        run(&format!("ping -c 3 -i 0.01 -W 2 {FAR4}"));
        run(&format!("ping -6 -c 3 -i 0.01 -W 2 {FAR6}"));
        lab.far(|| run(&format!("ping -c 3 -i 0.01 -W 2 {NEAR4}")));
        // Another port of the far end, and the probe's own port of it from another socket.
        for far in [other.address, echo.address] {
            let socket = UdpSocket::bind((NEAR4, 0)).unwrap();
            socket.connect(far).unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
            socket.send(b"beside").unwrap();
            let mut buf = [0; 16];
            assert_eq!(socket.recv(&mut buf).unwrap(), 6);
        }
        round_trips(engine.as_mut());
    }
}

#[test]
fn the_program_goes_with_the_engine_whoever_has_a_copy_of_its_link() {
    if !privileged() {
        return;
    }
    let lab = Lab::new(1);
    let engine = open(&endpoint(lab.echo(FAR4).address)).unwrap();
    let copies = copies_of_links();
    assert!(!copies.is_empty() && has_program("va"));
    drop(engine);
    assert!(!has_program("va"));
}

#[test]
fn a_kill_takes_the_program_off() {
    if !privileged() {
        return;
    }
    let lab = Lab::new(1);
    let echo = lab.echo(FAR4);
    // This test binary once more, as a process that can be killed, in this thread's namespace.
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "held_until_killed", "--ignored", "--nocapture"])
        .env("LOWLAT_TEST_HOLD", echo.address.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|l| l.unwrap().contains("holding")), "the child attached");
    assert!(has_program("va"));
    child.kill().unwrap(); // SIGKILL
    child.wait().unwrap();
    // The last reference goes with the process; the kernel frees the link in a work item.
    let gone = (0..6_000).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        !has_program("va")
    });
    assert!(gone, "the program outlives the kill");
    round_trips(open(&endpoint(echo.address)).unwrap().as_mut());
}

/// The process that [`a_kill_takes_the_program_off`] kills; on its own it does nothing.
#[test]
#[ignore = "run by a_kill_takes_the_program_off"]
#[allow(clippy::print_stdout)] // its parent waits for the line
fn held_until_killed() {
    let Ok(target) = std::env::var("LOWLAT_TEST_HOLD") else { return };
    let mut engine = open(&endpoint(target.parse().unwrap())).unwrap();
    round_trips(engine.as_mut());
    println!("holding");
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn another_program_on_the_interface_is_named_and_left_alone() {
    if !privileged() {
        return;
    }
    let lab = Lab::new(1);
    let echo = lab.echo(FAR4);
    let mut first = open(&endpoint(echo.address)).unwrap();
    let id: u32 = {
        let words = &first.caps().words;
        let at = words.find("XDP program ").unwrap() + "XDP program ".len();
        words[at..].chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
    };
    let refusal = why(open(&endpoint(echo.address)));
    assert!(refusal.contains(&format!("XDP program {id} (generic) is attached to va")), "{refusal}");
    let ability = probe("va").into_value().unwrap();
    assert!(ability.refusal().unwrap().contains(&format!("program {id}")), "{ability:?}");
    round_trips(first.as_mut());
}

#[test]
fn a_far_end_that_refuses_is_unreachable_not_silent() {
    if !privileged() {
        return;
    }
    let _lab = Lab::new(1);
    let mut engine = open(&endpoint(SocketAddr::new(FAR4.parse().unwrap(), 9))).unwrap();
    engine.send(b"anybody?").unwrap();
    match engine.recv(&mut [0; 64], now() + SECOND / 5) {
        Err(EngineError::Unreachable { why, .. }) => assert!(why.contains("refused"), "{why}"),
        other => panic!("{other:?}"),
    }
    let silent = engine.recv(&mut [0; 64], now() + SECOND / 100).unwrap();
    assert!(silent.is_none(), "said once");
}

#[test]
fn a_target_behind_a_gateway_is_reached_through_it() {
    if !privileged() {
        return;
    }
    let lab = Lab::new(1);
    lab.far(|| run("ip addr add 10.232.0.9/32 dev lo"));
    run(&format!("ip route add 10.232.0.0/24 via {FAR4}"));
    let echo = lab.echo("10.232.0.9");
    let mut ask = endpoint(echo.address);
    ask.iface = None; // found by the route
    round_trips(open(&ask).unwrap().as_mut());
}

#[test]
fn what_it_cannot_do_is_refused_with_a_reason_and_nothing_changed() {
    if !privileged() {
        return;
    }
    let lab = Lab::new(1);
    let echo = lab.echo(FAR4);
    let base = endpoint(echo.address);
    let with = |change: &dyn Fn(&mut lowlat_transport::Endpoint)| {
        let mut ask = base.clone();
        change(&mut ask);
        why(open(&ask))
    };
    assert!(with(&|e| e.proto = Proto::Tcp).contains("UDP only"));
    assert!(with(&|e| e.iface = Some("nope".into())).contains("no interface \"nope\""));
    assert!(with(&|e| e.remote.set_ip(NEAR4.parse().unwrap())).contains("this host itself"));
    assert!(with(&|e| e.remote.set_ip("224.0.0.1".parse().unwrap())).contains("one host"));
    assert!(with(&|e| e.local = Some("[::1]:0".parse().unwrap())).contains("two families"));
    assert!(with(&|e| e.max_message = 1473).contains("exceeds the MTU of va (1500)"));
    let mut exact = base.clone();
    exact.max_message = 1472;
    assert_eq!(open(&exact).unwrap().caps().max_message, 1472);
    assert!(!has_program("va"));

    match open(&{
        let mut ask = base.clone();
        ask.remote.set_ip("10.231.0.77".parse().unwrap());
        ask
    }) {
        Err(EngineError::Unreachable { why, .. }) => assert!(why.contains("no neighbour answered"), "{why}"),
        Err(e) => panic!("{e}"),
        Ok(_) => panic!("opened to nobody"),
    }
    run("ip link set va down");
    assert!(why(open(&base)).contains("va is down; ip link set va up"));
}

#[test]
fn an_answer_beyond_the_callers_buffer_is_counted_not_cut() {
    if !privileged() {
        return;
    }
    let lab = Lab::new(1);
    let echo = lab.echo(FAR4);
    let mut engine = open(&endpoint(echo.address)).unwrap();
    engine.send(&[7; 64]).unwrap();
    engine.send(&[8; 8]).unwrap();
    let mut buf = [0; 16];
    let got = engine.recv(&mut buf, now() + 2 * SECOND).unwrap().unwrap();
    assert_eq!((buf[..got.len].to_vec(), engine.discarded()), (vec![8; 8], 1));
    assert!(engine.send(&[0; 1473]).is_err(), "beyond the MTU");
}

#[test]
fn a_long_burst_uses_every_frame_many_times_and_loses_none() {
    if !privileged() {
        return;
    }
    let lab = Lab::new(1);
    let echo = lab.echo(FAR4);
    for mode in [XdpMode::Generic, XdpMode::NativeCopy] {
        let mut engine =
            open_with(&endpoint(echo.address), &XdpOptions { mode: Some(mode), ..XdpOptions::default() }).unwrap();
        let mut buf = [0; 64];
        // 20 in the air, 200 times: 4000 packets through 64 TX and 512 RX frames.
        for round in 0..200u32 {
            for i in 0..20u32 {
                engine.send(&(round * 20 + i).to_be_bytes()).unwrap();
            }
            for i in 0..20u32 {
                let got = engine.recv(&mut buf, now() + 2 * SECOND).unwrap().expect("an answer within 2 s");
                assert_eq!(buf[..got.len], (round * 20 + i).to_be_bytes());
            }
        }
    }
}

#[test]
fn the_probe_reports_what_open_then_does() {
    if !privileged() {
        return;
    }
    let _lab = Lab::new(2);
    let ability = probe("va").into_value().unwrap();
    assert_eq!((ability.driver.as_str(), ability.rx_queues), ("veth", 2));
    assert_eq!(ability.refusal(), None);
    assert_eq!(ability.modes[0].mode, XdpMode::Generic);
    if let Some(features) = &ability.features {
        assert!(features.iter().any(|f| f == "basic") && !features.iter().any(|f| f == "xsk-zerocopy"));
    }
    assert!(
        ability.words().starts_with("possible on 2 RX queue(s) of va (driver veth, MTU 1500)"),
        "{}",
        ability.words()
    );
}

#[test]
fn the_reflector_answers_in_the_far_ends_kernel() {
    if !privileged() {
        return;
    }
    let lab = Lab::new(1);
    for far in [FAR4, FAR6] {
        let echo = lab.echo(far);
        let address = echo.address;
        let reflector = lab.far(move || XdpReflector::open("vb", address, None).unwrap());
        assert!(reflector.words().contains("XDP_TX"), "{}", reflector.words());
        // A kernel socket's packets (partial checksums), then the engine's.
        let socket = UdpSocket::bind((if address.is_ipv4() { NEAR4 } else { "::" }, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        socket.send_to(b"from a socket", address).unwrap();
        assert_eq!(socket.recv(&mut [0; 64]).unwrap(), 13);
        let mut engine = open(&endpoint(address)).unwrap();
        round_trips(engine.as_mut());
        assert_eq!(echo.served.load(Ordering::Relaxed), 0, "no packet reached the far end's socket");
        drop(reflector);
        round_trips(engine.as_mut());
        assert!(echo.served.load(Ordering::Relaxed) > 0, "the reflector is off");
    }
}
