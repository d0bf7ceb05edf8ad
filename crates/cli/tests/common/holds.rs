//! Far ends that hold answers back: of a guest, behind a veth link of their own, `v0` here and `v1` in the namespace `far`; and
//! behind any socket.

use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use lowlat_peers::lowlat::LAYOUT;
use serde_json::Value;

use super::guest::{NEAR_CPU, Node, sh};
use super::lab::in_netns;
use super::{kill, until};

/// How long an answer is held; a hundred round trips.
pub const HOLD: Duration = Duration::from_millis(5);
/// The far end's address on the veth link.
const FAR: &str = "10.90.0.2";

/// The veth link, gone when dropped.
#[derive(Debug)]
pub struct Link;

impl Link {
    pub fn new() -> Self {
        sh(&format!(
            "ip link add v0 type veth peer name v1 netns far; ip addr add 10.90.0.1/24 dev v0; ip link set v0 up; ip -n far addr add {FAR}/24 dev v1; ip -n far link set v1 up"
        ));
        Self
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        sh("ip link del v0");
    }
}

/// A far end of our protocol at `port` as [`answer`] makes it. It ends with the test's process.
pub fn answers(port: u16, late: fn(u64) -> bool) {
    let socket = in_netns("far", move || UdpSocket::bind((FAR, port)).unwrap());
    thread::spawn(move || answer(&socket, late));
}

/// Answers probes of our protocol at once, or keeps an answer for [`HOLD`] where `late` says so of its number. What it keeps
/// keeps nothing else waiting. It ends when the socket does.
pub fn answer(socket: &UdpSocket, late: impl Fn(u64) -> bool) {
    let (keep, kept) = mpsc::channel::<(Instant, Vec<u8>, SocketAddr)>();
    let sender = socket.try_clone().unwrap();
    thread::spawn(move || {
        for (due, answer, to) in kept {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let _ = sender.send_to(&answer, to);
        }
    });
    let mut message = [0; 2048];
    let mut count = 0;
    while let Ok((length, from)) = socket.recv_from(&mut message) {
        let answer = &mut message[..length];
        // Whatever is not a plain probe (a wish for a place on a CPU) gets no answer.
        if answer.get(..8) != Some([LAYOUT.magic, LAYOUT.probe].concat().as_slice()) {
            continue;
        }
        answer[4..8].copy_from_slice(&LAYOUT.answer);
        count += 1;
        if late(count) {
            keep.send((Instant::now() + HOLD, answer.to_vec(), from)).unwrap();
        } else {
            let _ = socket.send_to(answer, from);
        }
    }
}

/// `lowlat serve` at a port, stopped for [`HOLD`] of each ten times that if it is to halt; killed when dropped.
#[derive(Debug)]
pub struct Serving {
    child: Child,
    over: Arc<AtomicBool>,
    halts: Option<thread::JoinHandle<()>>,
}

impl Serving {
    pub fn new(port: u16, halting: bool) -> Self {
        let line = format!("netns exec far {} serve --port {port}", super::guest::program());
        let mut command = Command::new("ip");
        command.args(line.split_whitespace()).stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.spawn().unwrap_or_else(|e| panic!("ip {line}: {e}"));
        until("the far end listens", || !sh(&format!("ip netns exec far ss -Hlun sport = :{port}")).is_empty());
        let over = Arc::new(AtomicBool::new(false));
        let (seen, pid) = (Arc::clone(&over), child.id());
        let halt = move || {
            while !seen.load(Ordering::Relaxed) {
                kill("STOP", pid);
                thread::sleep(HOLD);
                kill("CONT", pid);
                thread::sleep(HOLD * 9);
            }
        };
        Self { child, over, halts: halting.then(|| thread::spawn(halt)) }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = self.halts.take().map(thread::JoinHandle::join);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The far ends at two ports compared: B is worse.
#[track_caller]
pub fn compared(node: &Node, [a, b]: [u16; 2]) -> Value {
    let side = |port: u16| format!("block,target={FAR}:{port}");
    let ask = format!(
        "compare {} {} --target {FAR} --cpu {NEAR_CPU} --round 240ms --pairs 16 --seed 1 --json",
        side(a),
        side(b)
    );
    node.lowlat(&ask).exits(1).json()
}

/// One quantile, from the send (ping-pong) or from the plan: those of A and B in parts of [`HOLD`], and what it shows.
#[track_caller]
pub fn quantile<'a>(comparison: &'a Value, q: f64, from: &str) -> (f64, f64, &'a str) {
    let all = comparison["quantiles"].as_array().unwrap();
    let one = all.iter().find(|d| d["q"] == q && d["from"] == from);
    let one = one.unwrap_or_else(|| panic!("no {q} from {from}: {comparison:#}"));
    let part = |side: &str| one[side].as_f64().unwrap_or_else(|| panic!("{side} of {one:#}")) / HOLD.as_nanos() as f64;
    (part("a_ns"), part("b_ns"), one["verdict"].as_str().unwrap())
}

/// What the plan shows: B's tail is the hold, and A's is not.
#[track_caller]
pub fn shows_on_the_plan(comparison: &Value) {
    let (a, b, verdict) = quantile(comparison, 0.99, "planned");
    assert!(a < 0.4 && b > 0.5 && verdict == "worse", "{a} {b}: {comparison:#}");
}
