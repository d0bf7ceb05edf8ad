//! How far a run is, on stderr: on a terminal one line that is written over, elsewhere a plain line now and then.

use std::io::{IsTerminal, Write};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use lowlat_tune::RunProgress;

/// Where stderr is not a terminal: a line after each of these, and after a minute one a minute. A run of ten minutes
/// leaves fifteen lines in a log.
const PLAIN_EVERY: Duration = Duration::from_secs(10);
const MINUTE: Duration = Duration::from_secs(60);

/// Takes the line of a terminal away, before another is written.
const CLEAR: &str = "\r\x1b[2K";

/// Whether a live line stands on the terminal.
static SHOWN: Mutex<bool> = Mutex::new(false);

/// Shows progress from a thread of its own: a terminal that does not read (scroll lock, a slow link) must not hold up
/// the measuring thread. What it cannot show in time is not shown.
#[derive(Debug)]
pub struct ProgressLine(Out);

#[derive(Debug)]
enum Out {
    Nothing,
    Terminal { send: Option<SyncSender<String>>, thread: Option<JoinHandle<()>> },
    Plain { since: Instant, last: Mutex<Duration> },
}

impl ProgressLine {
    /// On stderr.
    pub fn on_stderr() -> Self {
        if !std::io::stderr().is_terminal() {
            return Self(Out::Plain { since: Instant::now(), last: Mutex::new(Duration::ZERO) });
        }
        let (send, receive) = sync_channel::<String>(1);
        let thread = std::thread::spawn(move || {
            for line in receive {
                live(&cut(&line, columns()));
            }
            // What is printed next begins on a clean line.
            above(None);
        });
        Self(Out::Terminal { send: Some(send), thread: Some(thread) })
    }

    /// The same, and nothing anywhere where one document is wanted and nothing else.
    pub fn unless(json: bool) -> Self {
        if json { Self(Out::Nothing) } else { Self::on_stderr() }
    }

    /// Shows where a run is, with `more` after it.
    pub fn show(&self, at: &RunProgress, more: &str) {
        match &self.0 {
            Out::Nothing => {}
            Out::Terminal { send, .. } => {
                if let Some(send) = send {
                    let _ = send.try_send(words(at, more));
                }
            }
            Out::Plain { since, last } => {
                let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
                let now = since.elapsed();
                if is_due(now, *last) {
                    *last = now;
                    crate::output::progress(&words(at, more));
                }
            }
        }
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        if let Out::Terminal { send, thread } = &mut self.0 {
            *send = None;
            if let Some(thread) = thread.take() {
                let _ = thread.join();
            }
        }
    }
}

/// Whether a plain line is due at this time of a run, when the last one came at that.
fn is_due(now: Duration, last: Duration) -> bool {
    now.saturating_sub(last) >= if last < MINUTE { PLAIN_EVERY } else { MINUTE }
}

/// Writes the live line over the one before.
fn live(line: &str) {
    let mut shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut err = std::io::stderr().lock();
    let _ = write!(err, "{CLEAR}{line}");
    let _ = err.flush();
    *shown = true;
}

/// Writes a line that stays, in the place of the live one, or only takes that away.
pub fn above(line: Option<&str>) {
    let mut shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut err = std::io::stderr().lock();
    // Nobody may be listening; progress is not worth failing for.
    if std::mem::take(&mut *shown) {
        let _ = write!(err, "{CLEAR}");
    }
    let _ = line.map(|line| writeln!(err, "{line}"));
    let _ = err.flush();
}

fn columns() -> usize {
    crate::output::columns_of(&std::io::stderr())
}

/// As much of a line as fits: one that wraps is not written over. The last column stays free, since a terminal may wrap
/// as soon as it is taken.
fn cut(line: &str, columns: usize) -> String {
    let room = columns.saturating_sub(1);
    if line.chars().count() <= room {
        return line.to_owned();
    }
    line.chars().take(room.saturating_sub(1)).chain(['…']).collect()
}

/// The line: the step, what it is, its rounds, the time left. A run whose steps are not counted has no number.
fn words(at: &RunProgress, more: &str) -> String {
    let mut parts = Vec::new();
    let what = lowlat_report::visible(&at.what);
    match (at.of, what.is_empty()) {
        (0, true) => {}
        (0, false) => parts.push(what),
        (of, true) => parts.push(format!("step {} of {of}", at.step)),
        (of, false) => parts.push(format!("step {} of {of}: {what}", at.step)),
    }
    if at.rounds.1 > 0 {
        parts.push(format!("{}/{}", at.rounds.0, at.rounds.1));
    }
    parts.push(left(at.left_ns));
    parts.extend((!more.is_empty()).then(|| more.to_owned()));
    parts.join("  ")
}

/// The time left as people say it. It is an estimate, so it has no more than two units.
fn left(ns: u64) -> String {
    match ns.div_ceil(1_000_000_000) {
        s @ 0..=99 => format!("{s} s left"),
        s @ 100..=5999 => format!("{} min {:02} s left", s / 60, s % 60),
        s => format!("{} h {:02} min left", s / 3600, s % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(step: u32, of: u32, what: &str, rounds: (u32, u32), left_s: u64) -> RunProgress {
        RunProgress { step, of, what: what.to_owned(), rounds, left_ns: left_s * 1_000_000_000 }
    }

    #[test]
    fn the_line_names_step_and_time_left() {
        let line = words(&at(3, 12, "nic.ring.rx on eth0", (7, 60), 95), "");
        assert_eq!(line, "step 3 of 12: nic.ring.rx on eth0  7/60  95 s left");
        assert_eq!(words(&at(0, 0, "baseline", (0, 0), 2), "P50 41.2 µs"), "baseline  2 s left  P50 41.2 µs");
        assert_eq!(words(&at(0, 0, "", (0, 0), 2), ""), "2 s left");
        assert_eq!(words(&at(1, 2, "", (0, 0), 2), ""), "step 1 of 2  2 s left");
    }

    #[test]
    fn time_left_is_rounded_up_and_has_the_units_of_its_size() {
        let all: Vec<String> = [0, 1, 99_000_000_001, 754_000_000_000, 7_260_000_000_000].map(left).into();
        assert_eq!(all, ["0 s left", "1 s left", "1 min 40 s left", "12 min 34 s left", "2 h 01 min left"]);
    }

    #[test]
    fn a_line_never_wraps() {
        let line = "µ".repeat(100);
        for columns in [10, 80, 100] {
            assert_eq!(cut(&line, columns).chars().count(), columns - 1);
        }
        assert_eq!(cut(&line, 101), line);
        assert!(cut(&line, 80).ends_with('…'));
    }

    #[test]
    fn a_log_gets_few_lines() {
        let mut last = Duration::ZERO;
        let mut lines = 0;
        for quarter in 0..4 * 600 {
            let now = Duration::from_millis(250 * quarter);
            if is_due(now, last) {
                (last, lines) = (now, lines + 1);
            }
        }
        assert_eq!(lines, 14);
        assert!(!is_due(Duration::from_secs(9), Duration::ZERO), "a short run leaves none");
    }
}
