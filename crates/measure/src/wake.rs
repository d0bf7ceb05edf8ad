//! What a wake-up costs between two CPUs, measured without the path: two pinned threads that hand a ball to and fro.
//!
//! A sleeping prober is woken once a round trip, and so is a sleeping far end of the same host. On virtual machines the price
//! has modes: of one idle veth path the median was 9.5, 11.4, 13.7 and 21 µs within a quarter of an hour, and a ping-pong of
//! two sleeping threads on the same CPUs 6.5, 8.2, 10 and 16 µs (200 runs in which it was the same before and after: correlation
//! of the logarithms 0.987). So where two runs differ by it, the machine changed.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use lowlat_model::conditions::WakeUp;
use lowlat_os::cpu::pin;

/// How long the threads that sleep play: at 30 µs a round trip some 1,700 of them, and long enough for a median that a short
/// burst of another program does not move.
const SLEEPING: Duration = Duration::from_millis(50);
/// How long those that spin do, which need 0.1 to 0.5 µs.
const SPINNING: Duration = Duration::from_millis(4);
/// A sleeper looks again after so long, so that one that was missed ends.
const PATIENCE: Duration = Duration::from_millis(20);
/// Round trips that are left out: the threads have just come to their CPUs.
const WARMUP: usize = 20;
/// Fewer give no median.
const LEAST: usize = 20;

/// Measures for 55 ms on these two CPUs, in threads of its own; the same CPU twice is what a switch between two threads
/// costs. One line says why it could not be measured.
pub fn wake_up(near: u32, far: u32) -> Result<WakeUp, String> {
    let sleeping = round_trip(near, far, &Sleeping::default(), SLEEPING)?;
    // On one CPU a spinning thread waits for the scheduler to take the other one off.
    let spinning = if near == far { None } else { Some(round_trip(near, far, &Spinning::default(), SPINNING)?) };
    let spinning_ns = spinning.map(|ns| ns / 2);
    Ok(WakeUp { cpu: near, other_cpu: far, sleeping_ns: sleeping / 2, spinning_ns, sleeping_after_ns: None })
}

/// How the ball is passed on: odd numbers go to the far thread, even ones come back.
trait Ball: Sync {
    fn number(&self) -> &AtomicU64;
    /// Sets the number and wakes who waits for it.
    fn pass(&self, number: u64, to: &Thread);
    /// Waits a moment for a change.
    fn wait(&self);
}

/// A cache line of its own, so that nothing else travels with it.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Sleeping(AtomicU64);

impl Ball for Sleeping {
    fn number(&self) -> &AtomicU64 {
        &self.0
    }
    fn pass(&self, number: u64, to: &Thread) {
        self.0.store(number, Ordering::Release);
        to.unpark();
    }
    fn wait(&self) {
        thread::park_timeout(PATIENCE);
    }
}

#[derive(Debug, Default)]
#[repr(align(128))]
struct Spinning(AtomicU64);

impl Ball for Spinning {
    fn number(&self) -> &AtomicU64 {
        &self.0
    }
    fn pass(&self, number: u64, _: &Thread) {
        self.0.store(number, Ordering::Release);
    }
    fn wait(&self) {
        std::hint::spin_loop();
    }
}

/// Median round trip, ns.
fn round_trip(near: u32, far: u32, ball: &impl Ball, lasting: Duration) -> Result<u64, String> {
    let over = AtomicBool::new(false);
    let near_thread: OnceLock<Thread> = OnceLock::new();
    let why: Mutex<Option<String>> = Mutex::new(None);
    let place = |cpu: u32| {
        pin(cpu).map_err(|e| {
            over.store(true, Ordering::Release);
            *why.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
                Some(format!("a thread of this process cannot be pinned to CPU {cpu}: {e}"));
        })
    };
    let mut samples = thread::scope(|s| {
        let answers = s.spawn(|| {
            let placed = place(far).is_ok();
            let mut next = 1;
            while placed && !over.load(Ordering::Acquire) {
                if ball.number().load(Ordering::Acquire) != next {
                    ball.wait();
                } else if let Some(to) = near_thread.get() {
                    ball.pass(next + 1, to);
                    next += 2;
                }
            }
        });
        let (far_thread, over, place, near_thread) = (answers.thread().clone(), &over, &place, &near_thread);
        let asks = s.spawn(move || {
            let _ = near_thread.set(thread::current());
            let samples = if place(near).is_ok() { serve(ball, &far_thread, over, lasting) } else { Vec::new() };
            over.store(true, Ordering::Release);
            far_thread.unpark();
            samples
        });
        asks.join().unwrap_or_default()
    });
    if let Some(why) = why.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
        return Err(why);
    }
    if samples.len() < WARMUP + LEAST {
        return Err(format!("only {} wake-ups between CPU {near} and CPU {far} in {lasting:?}", samples.len()));
    }
    let measured = &mut samples[WARMUP..];
    let middle = measured.len() / 2;
    Ok(*measured.select_nth_unstable(middle).1)
}

/// Round trips until the time is over, ns.
fn serve(ball: &impl Ball, to: &Thread, over: &AtomicBool, lasting: Duration) -> Vec<u64> {
    let begin = Instant::now();
    // Some round trips more than there will be: no allocation between two of them.
    let mut samples = Vec::with_capacity(usize::try_from(lasting.as_micros()).unwrap_or(0) * 10);
    let mut before = begin;
    for number in (1..).step_by(2) {
        ball.pass(number, to);
        while ball.number().load(Ordering::Acquire) != number + 1 {
            ball.wait();
            if over.load(Ordering::Acquire) || begin.elapsed() > lasting * 2 {
                return samples;
            }
        }
        let now = Instant::now();
        samples.push(u64::try_from((now - before).as_nanos()).unwrap_or(u64::MAX));
        before = now;
        if now - begin >= lasting {
            break;
        }
    }
    samples
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::placement::allowed_cpus;

    #[test]
    fn both_figures_are_there_on_two_cpus_and_one_on_one() {
        let cpus = allowed_cpus().unwrap();
        let (first, last) = (cpus[0], cpus[cpus.len() - 1]);
        let same = wake_up(first, first).unwrap();
        assert!(same.sleeping_ns > 0 && same.spinning_ns.is_none(), "{same:?}");
        if first != last {
            // A busy neighbour of the machine may take a CPU away for the whole 4 ms.
            let seen = (0..20).find_map(|_| wake_up(first, last).ok()).unwrap();
            assert_eq!((seen.cpu, seen.other_cpu), (first, last));
            assert!(seen.sleeping_ns > 0 && seen.spinning_ns.is_some(), "{seen:?}");
        }
        assert_eq!(allowed_cpus().unwrap(), cpus, "the caller was not moved");
    }

    #[test]
    fn a_cpu_that_is_not_there_is_said() {
        let first = allowed_cpus().unwrap()[0];
        for (near, far) in [(first, 1_023), (1_023, first)] {
            let why = wake_up(near, far).unwrap_err();
            assert!(why.contains("CPU 1023") && !why.contains('\n'), "{why}");
        }
    }
}
