//! One probe: its times, its marks, its stamps, and how probes are counted.

use lowlat_model::measurement::LOST;
use lowlat_transport::Ns;

/// Marks on a probe.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flags(pub u8);

impl Flags {
    /// Part of the warm-up: kept, left out of the figures.
    pub const WARMUP: u8 = 1;
    /// Its answer came after that of a later probe.
    pub const REORDERED: u8 = 2;
    /// It was given up, and an answer came after all.
    pub const LATE: u8 = 4;
    /// It was planned and could not leave: the socket stayed full, or the run ended behind its plan.
    pub const UNSENT: u8 = 8;
    /// It ran while the host was seen interrupting (see `noise`).
    pub const GAP: u8 = 16;
    /// Its answer carried a software receive stamp.
    pub const RX_SOFTWARE: u8 = 32;
    /// Its answer carried a hardware receive stamp.
    pub const RX_HARDWARE: u8 = 64;
    /// The steady-state test left it out of the figures; it is counted anyway.
    pub const UNSTEADY: u8 = 128;

    /// Whether `mark` is set.
    #[inline]
    pub fn has(self, mark: u8) -> bool {
        self.0 & mark != 0
    }

    /// Sets marks.
    #[inline]
    pub fn set(&mut self, marks: impl Into<Self>) {
        self.0 |= marks.into().0;
    }
}

impl From<u8> for Flags {
    fn from(marks: u8) -> Self {
        Self(marks)
    }
}

/// One probe. Times are `CLOCK_MONOTONIC`, ns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// When it was to leave.
    pub planned: Ns,
    /// When it left.
    pub sent: Ns,
    /// When its first answer came in time; [`LOST`] if none did.
    pub received: Ns,
    /// The far end's time between receive and send; [`LOST`] if it reported none.
    pub residence: u64,
    /// Answers after the first.
    pub duplicates: u16,
    /// Marks.
    pub flags: Flags,
}

impl Default for Probe {
    fn default() -> Self {
        Self { planned: 0, sent: 0, received: LOST, residence: LOST, duplicates: 0, flags: Flags::default() }
    }
}

impl Probe {
    /// An answer came in time.
    #[inline]
    pub fn answered(&self) -> bool {
        self.received != LOST
    }

    /// Round trip from the actual send; [`LOST`] if lost.
    #[inline]
    pub fn rtt(&self) -> u64 {
        if self.answered() { self.received.saturating_sub(self.sent) } else { LOST }
    }

    /// Round trip from the planned send.
    #[inline]
    pub fn rtt_planned(&self) -> u64 {
        if self.answered() { self.received.saturating_sub(self.planned) } else { LOST }
    }
}

/// Takes the full log: each probe in send order, as soon as it is settled, warm-up included.
pub trait SampleSink {
    /// One probe. Called between probes: it must not block for long.
    fn put(&mut self, probe: &Probe) -> std::io::Result<()>;

    /// One more answer to the probe that was the `index`-th to be put, from 0: a duplicate, or (`late`) the first,
    /// after its probe was given up.
    fn after(&mut self, index: u64, late: bool) -> std::io::Result<()> {
        let _ = (index, late);
        Ok(())
    }
}

/// Counts of a run, warm-up left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Left this program.
    pub sent: u64,
    /// Answered in time, first answers only.
    pub received: u64,
    /// Left, and not answered in time.
    pub lost: u64,
    /// Answers after the first.
    pub duplicates: u64,
    /// First answers that came after a later probe's.
    pub reordered: u64,
    /// First answers after the timeout.
    pub late: u64,
    /// Messages that were no answers.
    pub foreign: u64,
    /// Probes of the warm-up.
    pub warmup: u64,
    /// Planned, and never left.
    pub unsent: u64,
    /// Answers that belong to a round before this one on the same flow.
    pub stale: u64,
    /// Errors the path gave in the middle of the run (refused, unreachable).
    pub path_errors: u64,
}

/// Stamps of one probe; 0 for none. Software stamps are `CLOCK_REALTIME`, hardware ones the NIC's clock, far ones the
/// far end's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ProbeStamps {
    pub(crate) tx_sched: u64,
    pub(crate) tx_software: u64,
    pub(crate) tx_hardware: u64,
    pub(crate) tx_ack: u64,
    pub(crate) rx_software: u64,
    pub(crate) rx_hardware: u64,
    /// The far kernel's receive stamp, on the clock of the two that follow.
    pub(crate) far_rx: u64,
    pub(crate) far_recv: u64,
    pub(crate) far_send: u64,
}
