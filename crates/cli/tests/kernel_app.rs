//! `check --pid` and `--port` on the real kernel: one application that does everything wrong, one that does it right.
#![allow(clippy::unwrap_used, missing_docs)] // a test may end by panic; a suite exports nothing

mod common;

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use common::lab::Lab;
use common::{Ran, Scratch, Started, run, tries};

const NEAR: &str = "198.18.7.1";
const UDP: u16 = 6001;
const TCP: u16 = 6002;

/// The rules about an application that this kernel can show. Interrupts and nodes need a device, and a real-time thread
/// that spins would take a CPU from the machine of the tests: those have their tests on facts alone.
const SHOWN: [&str; 12] = [
    "coarse-timer-slack",
    "datagrams-of-other-groups",
    "memory-not-locked",
    "messages-wait-behind-unsent-data",
    "process-page-faults",
    "small-writes-held-by-nagle",
    "socket-buffer-small",
    "socket-drops",
    "socket-read-late",
    "thread-migrates",
    "thread-sleeps-for-packets",
    "thread-waits-for-cpu",
];

/// The application of this role, in the near namespace, once it is at work.
fn plays(lab: &Lab, role: &str) -> Started {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &lab.near]).arg(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "--nocapture", "an_application"]).env("LOWLAT_TEST_ROLE", role);
    let mut started = Started::new(&mut command);
    started.says("at work");
    started
}

/// What was found of the application.
fn found(ran: &Ran) -> BTreeSet<String> {
    let document = ran.json();
    let all = document["findings"].as_array().unwrap().iter().map(|f| f["rule"].as_str().unwrap().to_owned());
    all.filter(|rule| SHOWN.contains(&rule.as_str()) || rule.starts_with("realtime-")).collect()
}

#[test]
fn each_fault_of_an_application_is_found() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let bad = plays(&lab, "bad");
    let pid = bad.pid().to_string();
    let all: BTreeSet<String> = SHOWN.iter().map(|rule| (*rule).to_owned()).collect();
    // A window may meet a thread at the moment at which it is pinned, or a busy machine that lets none of them run.
    let complete = |args: &[&str]| {
        tries(6, || {
            let ran = lab.run(&scratch, args);
            let seen = found(&ran);
            let missing: Vec<&String> = all.difference(&seen).collect();
            if missing.is_empty() { Ok(ran) } else { Err(format!("{missing:?} not found: {}", ran.out)) }
        })
    };
    let ran = complete(&["check", "--pid", &pid, "--window", "500ms", "--json"]);
    ran.exits(1);
    // Each finding names the process, and those of a socket its descriptor.
    for finding in ran.json()["findings"].as_array().unwrap() {
        let (rule, evidence) = (finding["rule"].as_str().unwrap(), finding["evidence"].to_string());
        if SHOWN.contains(&rule) {
            assert!(evidence.contains(&format!("[{pid}]")), "{rule}: {evidence}");
        }
    }
    // The same from the host's namespace, where the process's sockets are not: they are listed in its own.
    let outside = run(&mut scratch.lowlat(&["check", "--pid", &pid, "--window", "500ms", "--json"]));
    assert!(found(&outside).contains("socket-drops"), "{}", outside.out);
    // Recorded, and looked at again without the host.
    let recorded = lab.run(&scratch, &["facts", "--pid", &pid, "--window", "500ms"]);
    let file = scratch.file("facts.json", &recorded.exits(0).out);
    drop(bad);
    let replayed = run(&mut scratch.lowlat(&["check", "--facts", &file, "--json"]));
    assert!(found(&replayed).contains("socket-drops"), "{}", replayed.out);
    assert_eq!(replayed.json()["application"], recorded.json()["application"]);
    run(&mut scratch.lowlat(&["check", "--facts", &file, "--pid", &pid])).exits(1);
    run(&mut scratch.lowlat(&["check", "--facts", &file, "--pid", "1"])).refuses(&["--pid", "lowlat facts"]);
}

#[test]
fn a_port_leads_to_its_process_and_the_owner_of_its_drops() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let bad = plays(&lab, "bad");
    let (pid, port) = (bad.pid(), UDP.to_string());
    let ran = lab.run(&scratch, &["check", "--port", &port, "--window", "300ms", "--json"]);
    let application = &ran.json()["application"];
    assert_eq!(application["processes"][0]["pid"], pid, "{application:#}");
    let ports: BTreeSet<&str> =
        application["sockets"].as_array().unwrap().iter().map(|s| s["protocol"].as_str().unwrap()).collect();
    assert_eq!(ports, BTreeSet::from(["udp"]), "{application:#}");
    assert!(found(&ran).contains("socket-drops"), "{}", ran.out);
    let text = lab.run(&scratch, &["check", "--port", &port, "--window", "none"]).out;
    assert!(text.contains("\nAPPLICATION:\n") && text.contains(&format!("udp {NEAR}:{UDP}")), "{text}");
    lab.run(&scratch, &["check", "--port", "9", "--window", "none"]).refuses(&["port 9", "--pid"]);
    let other = ["check", "--pid", &pid.to_string(), "--port", "9", "--window", "none"];
    lab.run(&scratch, &other).refuses(&["port 9", &pid.to_string()]);
}

#[test]
fn an_application_that_does_it_right_has_no_finding() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let good = plays(&lab, "good");
    let pid = good.pid().to_string();
    let ran = lab.run(&scratch, &["check", "--pid", &pid, "--window", "500ms", "--goal", "50us", "--json"]);
    let mut found = found(&ran);
    // The machine of the tests has other work.
    found.remove("thread-waits-for-cpu");
    assert_eq!(found, BTreeSet::new(), "{}", ran.out);
    let application = &ran.json()["application"];
    let [client, server] = [0, 1].map(|n| application["sockets"][n]["options"]["value"]["TCP_NODELAY"].clone());
    assert_eq!((client, server), (Value::from(1), Value::from(1)), "{application:#}");
    // Another user sees what is everybody's, and what is not is said.
    let program = common::for_anybody(&scratch);
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &lab.near, "setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]);
    command.arg(program).args(["check", "--pid", &pid, "--window", "100ms", "--json"]);
    let seen = run(&mut command).json();
    let not_seen = seen["not_seen"].to_string();
    assert!(not_seen.contains(&format!("sockets of process {pid}")) && not_seen.contains("denied"), "{not_seen}");
}

#[test]
fn what_is_no_application_is_one_line() {
    let scratch = Scratch::new();
    run(&mut scratch.lowlat(&["check", "--pid", "4194304"])).refuses(&["process 4194304", "pgrep"]);
    let bad = Lab::new();
    let played = plays(&bad, "bad");
    let task = std::fs::read_dir(format!("/proc/{}/task", played.pid())).unwrap();
    let tid =
        task.map(|t| t.unwrap().file_name().into_string().unwrap()).find(|t| *t != played.pid().to_string()).unwrap();
    let (pid, tid) = (format!("--pid {}", played.pid()), tid.as_str());
    run(&mut scratch.lowlat(&["check", "--pid", tid])).refuses(&["is a thread", &pid]);
    if std::fs::read_to_string("/proc/2/comm").is_ok_and(|name| name.trim() == "kthreadd") {
        run(&mut scratch.lowlat(&["check", "--pid", "2"])).refuses(&["process 2", "thread of the kernel"]);
    }
}

/// The other process: not a test.
#[test]
#[ignore = "the application that the tests look at"]
fn an_application() {
    match std::env::var("LOWLAT_TEST_ROLE").as_deref() {
        Ok("bad") => bad(),
        Ok("good") => good(),
        _ => panic!("started by the tests alone"),
    }
}

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind((NEAR, 0)).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

fn allowed(cpus: &[u32]) {
    lowlat_os::cpu::spread(cpus).unwrap();
}

fn bad() {
    allowed(&[0, 1]);
    let udp = UdpSocket::bind((NEAR, UDP)).unwrap();
    lowlat_os::socket::set_int(udp.as_fd(), libc::SOL_SOCKET, libc::SO_RCVBUF, 1).unwrap();
    let groups = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, TCP)).unwrap();
    for group in [Ipv4Addr::new(239, 1, 1, 1), Ipv4Addr::new(239, 1, 1, 2)] {
        groups.join_multicast_v4(&group, &NEAR.parse().unwrap()).unwrap();
    }
    // Sleeps for each datagram, with a timeout.
    let reader = UdpSocket::bind((NEAR, 0)).unwrap();
    let to = reader.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut waiting = libc::pollfd { fd: reader.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        loop {
            let _ = lowlat_os::socket::poll(reader.as_fd(), waiting.events, 1_000_000_000);
            waiting.revents = 0;
            let _ = reader.recv(&mut [0; 64]);
        }
    });
    let feed = UdpSocket::bind((NEAR, 0)).unwrap();
    std::thread::spawn(move || {
        loop {
            feed.send_to(&[0; 64], to).unwrap();
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    // Two that want one CPU.
    for _ in 0..2 {
        std::thread::spawn(|| {
            allowed(&[0]);
            loop {
                std::hint::spin_loop();
            }
        });
    }
    // One that the loop below moves about.
    let (tell, tid) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        tell.send(rustix::thread::gettid()).unwrap();
        loop {
            std::hint::spin_loop();
        }
    });
    let moved = tid.recv().unwrap();
    // Small writes, and bulk data that nobody reads.
    let (mut small, _small_peer) = pair();
    let (mut bulk, _bulk_peer) = pair();
    bulk.set_nonblocking(true).unwrap();
    loop {
        match bulk.write(&[0; 8_192]) {
            Ok(_) => {}
            Err(e) if e.kind() == ErrorKind::WouldBlock => break,
            Err(e) => panic!("{e}"),
        }
    }
    let sender = UdpSocket::bind((NEAR, 0)).unwrap();
    eprintln!("at work");
    loop {
        for _ in 0..4 {
            sender.send_to(&[0; 64], (NEAR, UDP)).unwrap();
        }
        small.write_all(&[0; 8]).unwrap();
        // More than the allocator keeps (M_MMAP_THRESHOLD is 32 MiB at most), so fresh memory each time.
        drop(std::hint::black_box(vec![1u8; 33 << 20]));
        for cpus in [&[0][..], &[1], &[0, 1]] {
            let mut set = rustix::thread::CpuSet::new();
            for cpu in cpus {
                set.set(*cpu);
            }
            rustix::thread::sched_setaffinity(Some(moved), &set).unwrap();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn good() {
    allowed(&[1]);
    rustix::mm::mlockall(rustix::mm::MlockAllFlags::CURRENT | rustix::mm::MlockAllFlags::FUTURE).unwrap();
    std::fs::write("/proc/self/timerslack_ns", "1").unwrap();
    let (mut client, mut server) = pair();
    for end in [&client, &server] {
        end.set_nodelay(true).unwrap();
        end.set_nonblocking(true).unwrap();
    }
    let udp = UdpSocket::bind((NEAR, UDP)).unwrap();
    udp.set_nonblocking(true).unwrap();
    let mut room = [0; 64];
    eprintln!("at work");
    loop {
        client.write_all(&[0; 8]).unwrap();
        while server.read(&mut room).is_err() {}
        let _ = udp.recv(&mut room);
    }
}
