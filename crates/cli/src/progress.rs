//! The live line of a measurement: one line on a terminal's stderr, and nothing where there is no terminal.

use std::io::{IsTerminal, Write};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use lowlat_measure::Progress;

use lowlat_live::probe::words;

/// Shows progress from a thread of its own: a terminal that does not read (scroll lock, a slow link) must not hold up
/// the measuring thread. What it cannot show in time is not shown.
#[derive(Debug)]
pub struct Line {
    send: Option<SyncSender<String>>,
    thread: Option<JoinHandle<()>>,
}

impl Line {
    /// On a terminal, unless `json`.
    pub fn new(json: bool) -> Self {
        if json || !std::io::stderr().is_terminal() {
            return Self { send: None, thread: None };
        }
        let (send, receive) = sync_channel::<String>(1);
        let thread = std::thread::spawn(move || {
            let mut shown = false;
            for line in receive {
                let mut err = std::io::stderr().lock();
                let _ = write!(err, "\r\x1b[2K{line}");
                let _ = err.flush();
                shown = true;
            }
            if shown {
                // What is printed next begins on a clean line.
                let _ = write!(std::io::stderr().lock(), "\r\x1b[2K");
            }
        });
        Self { send: Some(send), thread: Some(thread) }
    }

    /// Shows how far a measurement is; `what` stands before it.
    pub fn tell(&self, what: &str, p: &Progress) {
        let Some(send) = &self.send else { return };
        let space = if what.is_empty() { "" } else { "  " };
        let _ = send.try_send(format!(
            "{what}{space}{:.1} s  {:.0}/s  P50 {}  P99 {}  lost {}",
            p.elapsed_ns as f64 / 1e9,
            p.rate_pps,
            words(p.rtt.p50_ns),
            words(p.rtt.p99_ns),
            p.counts.lost
        ));
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.send = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
