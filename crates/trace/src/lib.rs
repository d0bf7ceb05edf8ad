//! From the kernel's trace to the stages of each probe. Pure: bytes and text in, values out, no file and no clock.
//!
//! ```text
//! format files ─► layout ─┐
//! pages of the ring ─► page ─► event ─┬─► join (probes) ─► figures (TraceDocument)
//!                                     └─► passes (live traffic)
//! ```
//!
//! A page is read by the layout that the kernel itself gives, never by one known beforehand. Events are joined to probes
//! without any program in the kernel: a packet is followed by the address of its buffer as long as that is the same,
//! and over a device that copies by its length and order, since one probe is on its way at a time.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))] // a test may end by panic

mod acks;
mod acts;
mod blame;
mod cost;
mod drops;
mod event;
mod figures;
mod join;
mod layout;
mod meanwhile;
mod page;
mod passes;
mod stage;

pub use acks::{ACK_POINT, AckDecoder, AckEvent};
pub use acts::{acts_on, acts_on_all, acts_on_length, acts_on_probes, costless, is_in, only_costless, stages};
pub use blame::{StallBlame, blame, lines};
pub use cost::cost;
pub use drops::{DROP_POINTS, DropDecoder, DropEvent, functions};
pub use event::{Decoder, Keep, NET_RX, SOFTIRQS, TRACE_POINTS, TraceEvent, TraceNames, TracePoint, What};
pub use figures::{Figures, TracedRound, unseen};
pub use join::{Flight, Joined, Threads, answers, join, threads};
pub use layout::{EventForm, Field, PageForm};
pub use page::{PageEnd, records};
pub use passes::{Passes, passes};
pub use stage::{POINTS, Point, key};

/// Events of many CPUs, one list in the order of time.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    /// The events.
    pub events: Vec<TraceEvent>,
    /// TraceNames of threads and interrupts.
    pub names: TraceNames,
    /// Events that the pages say were lost before them, where they say how many; else 1 for each such page.
    pub lost: u64,
    /// Pages that did not make sense to their end.
    pub garbled: u64,
    /// Before this time a ring had lost events: what was sent before it cannot be followed.
    pub complete_from: u64,
}

impl Trace {
    /// Takes the pages of one CPU, one after the other; `overran` where its ring had no room for all of its events.
    pub fn take(&mut self, form: &PageForm, decoder: &Decoder, (cpu, overran): (u32, bool), pages: &[u8]) {
        let before = self.events.len();
        for page in pages.chunks(form.length().max(1)) {
            let (events, names) = (&mut self.events, &mut self.names);
            let end = records(form, page, &mut |at, payload| events.extend(decoder.event(at, cpu, payload, names)));
            self.lost += if end.lost { end.counted.unwrap_or(1) } else { 0 };
            self.garbled += u64::from(end.garbled);
        }
        // The ring keeps the newest.
        if let Some(first) = self.events.get(before).filter(|_| overran) {
            self.complete_from = self.complete_from.max(first.at);
        }
    }

    /// Puts the events of all CPUs in the order of time; those of one CPU keep theirs.
    pub fn sort(&mut self) {
        self.events.sort_by_key(|e| e.at);
    }
}
