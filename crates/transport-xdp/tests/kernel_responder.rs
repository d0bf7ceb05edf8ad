//! The far end's XDP program on a real kernel, over veth, in front of an ordinary socket.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test may end by panic

mod common;

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::Duration;

use common::{FAR4, FAR6, Lab, NEAR4, endpoint, has_program, privileged};
use lowlat_transport::Engine;
use lowlat_transport::clock::now;
use lowlat_transport_xdp::{Answers, Responder, Wire, XdpMode, open};

const WIRE: Wire =
    Wire { magic: *b"Test", probe: [1, 0, 0, 0], answer: [1, 1, 0, 0], length_at: 8, stamps_at: 32, shortest: 48 };

fn answers(to: SocketAddr) -> Answers {
    Answers { to: vec![to], from: Vec::new(), wire: WIRE }
}

fn probe(len: usize) -> Vec<u8> {
    let mut m = vec![7; len];
    m[..4].copy_from_slice(&WIRE.magic);
    m[4..8].copy_from_slice(&WIRE.probe);
    m[8..12].copy_from_slice(&u32::try_from(len).unwrap().to_le_bytes());
    m
}

/// Sends a message and gives what comes back.
fn echo_of(engine: &mut dyn Engine, message: &[u8]) -> Vec<u8> {
    let mut buf = [0; 2048];
    engine.send(message).unwrap();
    let got = engine.recv(&mut buf, now() + 2_000_000_000).unwrap().expect("an answer within 2 s");
    buf[..got.len].to_vec()
}

fn is_answer(got: &[u8], sent: &[u8]) -> bool {
    got.len() == sent.len() && got[4..8] == WIRE.answer && got[48..] == sent[48..]
}

#[test]
fn probes_are_answered_before_the_socket_and_all_else_reaches_it() {
    if !privileged() {
        return;
    }
    let lab = Lab::new(1);
    for far in [FAR4, FAR6] {
        let echo = lab.echo(far);
        let address = echo.address;
        let responder = lab.far(move || Responder::open("vb", &answers(address), None).unwrap());
        assert!(responder.words().contains("XDP"), "{}", responder.words());
        let mut expected = 0;
        // A kernel socket's packets (their checksums are partial on veth), then the engine's.
        for mut engine in
            [lowlat_transport::open("spin", &endpoint(address)).unwrap(), open(&endpoint(address)).unwrap()]
        {
            for len in [48, 49, 64, 1000, 1400] {
                let sent = probe(len);
                let got = echo_of(engine.as_mut(), &sent);
                assert!(is_answer(&got, &sent), "{len} bytes by {}", engine.caps().words);
                expected += 1;
            }
            assert_eq!(echo.served.load(Ordering::Relaxed), 0, "no probe reached the far end's socket");
            assert_eq!(responder.answered(), expected);
        }
        // What is not a probe is the socket's: it echoes.
        let mut engine = open(&endpoint(address)).unwrap();
        for other in [b"anything else".to_vec(), probe(64)[..47].to_vec()] {
            assert_eq!(echo_of(engine.as_mut(), &other), other);
        }
        assert_eq!((echo.served.load(Ordering::Relaxed), responder.answered()), (2, expected));
        lab.far(move || drop(responder));
        assert_eq!(echo_of(engine.as_mut(), &probe(64)), probe(64), "the socket's echo: the program is off");
    }
}

#[test]
fn only_one_program_is_on_an_interface_and_nothing_is_served_on_none() {
    if !privileged() {
        return;
    }
    let lab = Lab::new(1);
    let address: SocketAddr = format!("{FAR4}:7").parse().unwrap();
    let words = lab.far(move || {
        let first = Responder::open("vb", &answers(address), Some(XdpMode::Generic)).unwrap();
        let second = Responder::open("vb", &answers(address), None).unwrap_err().to_string();
        drop(first);
        let nothing = Answers { to: Vec::new(), ..answers(address) };
        [
            second,
            Responder::open("vb", &nothing, None).unwrap_err().to_string(),
            Responder::open("lo", &answers(address), None).unwrap_err().to_string(),
            Responder::open("none", &answers(address), None).unwrap_err().to_string(),
        ]
    });
    for (line, has) in words.iter().zip(["is attached", "none of the addresses", "not an Ethernet", "no interface"]) {
        assert!(line.contains(has) && !line.contains('\n'), "{line}");
    }
}

#[test]
fn a_kill_takes_the_responder_off() {
    if !privileged() {
        return;
    }
    let _lab = Lab::new(1);
    // This test binary once more, as a process that can be killed, in this thread's namespace: the near end's.
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "held_until_killed", "--ignored", "--nocapture"])
        .env("LOWLAT_TEST_HOLD", format!("{NEAR4}:7"))
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
}

/// The process that [`a_kill_takes_the_responder_off`] kills; on its own it does nothing.
#[test]
#[ignore = "run by a_kill_takes_the_responder_off"]
#[allow(clippy::print_stdout)] // its parent waits for the line
fn held_until_killed() {
    let Ok(address) = std::env::var("LOWLAT_TEST_HOLD") else { return };
    let address: SocketAddr = address.parse().unwrap();
    let _socket = UdpSocket::bind(address).unwrap();
    let responder = Responder::open("va", &answers(address), None).unwrap();
    println!("holding, {} answered", responder.answered());
    std::thread::sleep(Duration::from_secs(60));
}
