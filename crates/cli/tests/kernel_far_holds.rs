//! A far end that holds answers back, so that the median of ping-pong steps around it: the probes on a plan, which follow in
//! each round, show it.
#![allow(clippy::unwrap_used)] // a test

mod common;

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use common::lab::{FAR, Lab};
use common::{Scratch, kill};
use lowlat_peers::lowlat::LAYOUT;
use serde_json::Value;

/// How long an answer is held. A busy machine keeps one in a hundred waiting for a few milliseconds by itself; this is
/// longer, so what shows is the far end's.
const HOLD: Duration = Duration::from_millis(20);

/// A far end of our protocol at `port` that answers at once, or keeps an answer for [`HOLD`] where `late` says so of its
/// number. What it keeps keeps nothing else waiting. It ends with the test's process.
fn answers(lab: &Lab, port: u16, late: fn(u64) -> bool) {
    let socket = lab.in_far(move || UdpSocket::bind((FAR, port)).unwrap());
    let (keep, kept) = mpsc::channel::<(Instant, Vec<u8>, std::net::SocketAddr)>();
    let sender = socket.try_clone().unwrap();
    thread::spawn(move || {
        for (due, answer, to) in kept {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let _ = sender.send_to(&answer, to);
        }
    });
    thread::spawn(move || {
        let mut message = [0; 2048];
        let mut count = 0;
        while let Ok((length, from)) = socket.recv_from(&mut message) {
            let answer = &mut message[..length];
            // Whatever is no plain probe (a wish for a place on a CPU) gets no answer.
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
    });
}

/// Two far ends compared: the document of a comparison that ends with exit code `code`.
#[track_caller]
fn compared(lab: &Lab, [a, b]: [u16; 2], code: i32) -> Value {
    let side = |port: u16| format!("block,target={FAR}:{port}");
    let args = ["compare", &side(a), &side(b), "--target", FAR, "--round", "600ms", "--pairs", "30", "--json"];
    lab.run(&Scratch::new(), &args).exits(code).json()
}

/// One quantile, from the send (ping-pong) or from the plan: those of A and B in parts of [`HOLD`], and what it shows.
#[track_caller]
fn quantile<'a>(comparison: &'a Value, q: f64, from: &str) -> (f64, f64, &'a str) {
    let all = comparison["quantiles"].as_array().unwrap();
    let one = all.iter().find(|d| d["q"] == q && d["from"] == from);
    let one = one.unwrap_or_else(|| panic!("no {q} from {from}: {comparison:#}"));
    let part = |side: &str| one[side].as_f64().unwrap_or_else(|| panic!("{side} of {one:#}")) / HOLD.as_nanos() as f64;
    (part("a_ns"), part("b_ns"), one["verdict"].as_str().unwrap())
}

/// What the plan shows: B's tail is the hold, and A's is not.
#[track_caller]
fn shows_on_the_plan(comparison: &Value) {
    let (a, b, verdict) = quantile(comparison, 0.99, "planned");
    assert!(a < 0.4 && b > 0.5 && verdict == "worse", "{a} {b}: {comparison:#}");
}

/// Two answers of five are late, never two together. (Of every second one the median of a ping-pong would be now the one and
/// now the other.) So the median is a prompt one, and hides the rest.
#[test]
fn answers_that_are_held_back_one_by_one_show_on_the_plan() {
    let lab = Lab::new();
    answers(&lab, 9_001, |_| false);
    answers(&lab, 9_002, |n| matches!(n % 5, 1 | 3));
    let comparison = compared(&lab, [9_001, 9_002], 1);
    shows_on_the_plan(&comparison);
    let (a, b, _) = quantile(&comparison, 0.5, "send");
    assert!(a < 0.1 && b < 0.1, "{a} {b}: {comparison:#}");
}

/// Stops a process for [`HOLD`] of each ten times that, as long as this lives.
struct Halts(Arc<AtomicBool>, Option<thread::JoinHandle<()>>);

impl Halts {
    fn of(pid: u32) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&over);
        let thread = thread::spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                kill("STOP", pid);
                thread::sleep(HOLD);
                kill("CONT", pid);
                thread::sleep(HOLD * 9);
            }
        });
        Self(over, Some(thread))
    }
}

impl Drop for Halts {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        let _ = self.1.take().map(thread::JoinHandle::join);
    }
}

/// A far end that stands still for a tenth of the time: ping-pong takes one sample of each standstill, of thousands.
#[test]
fn a_far_end_that_stands_still_now_and_then_shows_on_the_plan_alone() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let [_plain, halting] = ["9004", "9005"].map(|port| lab.serve(&scratch, &["--port", port]));
    let _halts = Halts::of(halting.pid());
    let comparison = compared(&lab, [9_004, 9_005], 1);
    shows_on_the_plan(&comparison);
    for q in [0.5, 0.99] {
        let (a, b, _) = quantile(&comparison, q, "send");
        assert!(a < 0.1 && b < 0.1, "{q}: {a} {b}: {comparison:#}");
    }
}
