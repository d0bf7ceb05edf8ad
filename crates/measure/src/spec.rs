//! What to measure.

use std::sync::Arc;

use lowlat_model::FlowShape;
use lowlat_transport::Ns;

use crate::MeasureError;

/// When probes leave.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mode {
    /// The next probe leaves when the last came back or was given up; with an interval, not before its planned time.
    PingPong {
        /// Time between planned sends, ns; `None` for as fast as answers come.
        interval_ns: Option<u64>,
    },
    /// Probes leave by the clock, whatever came back.
    OpenLoop {
        /// Probes a second, over all.
        rate_pps: f64,
        /// How they are spread.
        pattern: Pattern,
    },
}

/// How an open loop's probes are spread in time; the mean rate is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pattern {
    /// Evenly.
    Fixed,
    /// Exponential gaps: arrivals do not lock step with anything periodic on the host (RFC 2330 §11.1.1).
    Poisson,
    /// `n` back to back, then a pause.
    Burst(u32),
    /// As a flow that was recorded ([`Spec::shape`]), again and again; the rate is its mean.
    Shape,
}

/// What is left out at the start. It is measured and kept, and marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Warmup {
    /// That many probes.
    Probes(u64),
    /// Probes planned in the first so many ns.
    For(u64),
}

/// A measurement. [`Spec::default`] is a two-second ping-pong; change what you need.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::struct_excessive_bools)] // each is a choice of its own; none excludes another
pub struct Spec {
    /// When probes leave.
    pub mode: Mode,
    /// Measured probes (warm-up not counted); whichever of count and duration comes first ends the run.
    pub count: Option<u64>,
    /// Measured time, ns (warm-up by time not counted).
    pub duration_ns: Option<u64>,
    /// Message length, bytes; of [`Pattern::Shape`] the largest.
    pub size: usize,
    /// The flow of [`Pattern::Shape`]: its gaps, and its sizes within those that the far-end protocol carries.
    pub shape: Option<Arc<FlowShape>>,
    /// Left out.
    pub warmup: Warmup,
    /// A probe without an answer for so long is lost, ns.
    pub timeout_ns: u64,
    /// CPU that the caller pins this thread to ([`crate::placement`]).
    pub cpu: Option<u32>,
    /// SCHED_FIFO priority 1–99, which the caller takes.
    pub rt_priority: Option<u8>,
    /// The caller locks memory.
    pub lock_memory: bool,
    /// Of random schedules.
    pub seed: u64,
    /// Samples kept one by one (40 bytes each); beyond, only the histogram grows no further.
    pub keep: usize,
    /// Collect transmit stamps and work out legs; the endpoint must ask for stamps too.
    pub stamps: bool,
    /// Keep the far end's two stamps of each probe, where its answers carry them; with [`Spec::stamps`] that is so anyway.
    pub far_stamps: bool,
    /// Mark the probes that were on their way while the host was seen interrupting.
    pub watch_gaps: bool,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            mode: Mode::PingPong { interval_ns: None },
            count: None,
            duration_ns: Some(2_000_000_000),
            size: 64,
            shape: None,
            warmup: Warmup::Probes(100),
            timeout_ns: 1_000_000_000,
            cpu: None,
            rt_priority: None,
            lock_memory: false,
            seed: 1,
            keep: 1 << 20,
            stamps: false,
            far_stamps: false,
            watch_gaps: false,
        }
    }
}

impl Spec {
    /// Refuses what cannot be measured, before anything is sent.
    pub fn check(&self, sizes: (usize, usize)) -> Result<(), MeasureError> {
        let bad = |what: String, why: &str, next: &str| {
            Err(MeasureError::Spec { what, why: why.to_owned(), next: next.to_owned() })
        };
        if !(sizes.0..=sizes.1).contains(&self.size) {
            return bad(
                format!("message of {} bytes", self.size),
                &format!("the far-end protocol carries {} to {}", sizes.0, sizes.1),
                "choose a size within",
            );
        }
        if self.count.is_none() && self.duration_ns.is_none() {
            return bad("run without end".into(), "neither count nor duration is given", "give one");
        }
        if self.count == Some(0) || self.duration_ns == Some(0) {
            return bad("run of length 0".into(), "nothing would be measured", "give a count or duration above 0");
        }
        if self.timeout_ns == 0 {
            return bad("timeout 0".into(), "every probe would be lost", "give a timeout above 0");
        }
        if self.keep == 0 {
            return bad("0 kept samples".into(), "there would be no figures", "keep some");
        }
        match self.mode {
            Mode::OpenLoop { rate_pps, .. } if !(rate_pps.is_finite() && rate_pps > 0.0 && rate_pps <= 1e8) => {
                bad(format!("rate {rate_pps}/s"), "it is not within 0 to 100 million a second", "choose another rate")
            }
            Mode::OpenLoop { pattern: Pattern::Burst(0), .. } => {
                bad("bursts of 0".into(), "nothing would leave", "give a burst of 1 or more")
            }
            Mode::OpenLoop { pattern: Pattern::Shape, .. } => match self.check_shape(sizes) {
                Ok(()) => Ok(()),
                Err(why) => bad("flow in a shape".into(), &why, "record it with `lowlat shape`"),
            },
            Mode::PingPong { interval_ns: Some(0) } => {
                bad("interval 0".into(), "it is not an interval", "leave it out, or give one above 0")
            }
            _ => Ok(()),
        }
    }

    fn check_shape(&self, sizes: (usize, usize)) -> Result<(), String> {
        let Some(shape) = &self.shape else { return Err("none is given".to_owned()) };
        shape.check()?;
        let within = |size: u32| (sizes.0..=sizes.1.min(self.size)).contains(&(size as usize));
        match shape.packets.iter().find(|p| !within(p.size_bytes)) {
            Some(p) => Err(format!("it has a packet of {} bytes, which is not within {sizes:?}", p.size_bytes)),
            None => Ok(()),
        }
    }

    /// The flow whose shape is sent; `None` with any other pattern.
    pub(crate) fn shaped(&self) -> Option<&Arc<FlowShape>> {
        let of_shape = matches!(self.mode, Mode::OpenLoop { pattern: Pattern::Shape, .. });
        self.shape.as_ref().filter(|_| of_shape)
    }

    /// Length of the message of probe `number`, from 0.
    #[inline]
    pub(crate) fn size_of(&self, number: u64) -> usize {
        let Some(shape) = self.shaped() else { return self.size };
        let at = usize::try_from(number % shape.packets.len().max(1) as u64).unwrap_or(0);
        shape.packets.get(at).map_or(self.size, |p| p.size_bytes as usize)
    }

    /// The rate that makes room for all probes that can be on their way at once, with this timeout.
    pub(crate) fn densest_pps(&self, rate_pps: f64) -> f64 {
        self.shaped().map_or(rate_pps, |s| s.most_within(self.timeout_ns) as f64 * 1e9 / self.timeout_ns as f64)
    }

    /// `ping-pong` or `open-loop`.
    pub fn mode_name(&self) -> &'static str {
        match self.mode {
            Mode::PingPong { .. } => "ping-pong",
            Mode::OpenLoop { .. } => "open-loop",
        }
    }

    /// The planned rate, where there is a plan.
    pub fn rate_pps(&self) -> Option<f64> {
        match self.mode {
            Mode::PingPong { interval_ns } => interval_ns.map(|ns| 1e9 / ns as f64),
            Mode::OpenLoop { rate_pps, .. } => Some(rate_pps),
        }
    }

    /// There is a plan apart from the answers, so latency from it means something.
    pub fn planned(&self) -> bool {
        self.mode != Mode::PingPong { interval_ns: None }
    }

    /// Whether probe `index`, planned for `planned`, belongs to the warm-up of a run that began at `start`.
    #[inline]
    pub(crate) fn is_warmup(&self, index: u64, planned: Ns, start: Ns) -> bool {
        match self.warmup {
            Warmup::Probes(n) => index < n,
            Warmup::For(ns) => planned < start.saturating_add(ns),
        }
    }

    /// How long the run is by its plan, ns (on average, where the plan is drawn); `u64::MAX` where there is none.
    pub(crate) fn planned_length_ns(&self) -> u64 {
        let Some(rate) = self.rate_pps() else { return u64::MAX };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // positive; the cast saturates
        let lasting = |probes: u64| self.shaped().map_or((probes as f64 * 1e9 / rate) as u64, |s| s.at_ns(probes));
        let warm = match self.warmup {
            Warmup::Probes(n) => lasting(n),
            Warmup::For(ns) => ns,
        };
        let by_time = self.duration_ns.unwrap_or(u64::MAX);
        warm.saturating_add(by_time.min(self.count.map_or(u64::MAX, lasting)))
    }

    /// Room to make for samples before the first probe: no allocation, and no page fault, between probes.
    pub(crate) fn expected(&self) -> usize {
        // The shortest round trip seen on a virtual pair is 1.5 µs; 4 µs a probe is room enough for most.
        let gap = match self.mode {
            Mode::PingPong { interval_ns: Some(ns) } => ns as f64,
            Mode::PingPong { interval_ns: None } => 4_000.0,
            Mode::OpenLoop { rate_pps, .. } => 1e9 / rate_pps,
        };
        let warm_ns = if let Warmup::For(ns) = self.warmup { ns } else { 0 };
        let warm = if let Warmup::Probes(n) = self.warmup { n } else { 0 };
        let by_time = self.duration_ns.map_or(f64::INFINITY, |d| (d.saturating_add(warm_ns)) as f64 / gap + 1.0);
        let by_count = self.count.map_or(f64::INFINITY, |c| c as f64 + warm_ns as f64 / gap);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // positive; the cast saturates
        let n = (by_time.min(by_count) + warm as f64) as usize;
        n.min(self.keep)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lowlat_model::shape::ShapePacket;

    fn shaped(sizes: &[u32]) -> Spec {
        let packets = sizes.iter().map(|size| ShapePacket { gap_ns: 1_000, size_bytes: *size }).collect();
        let shape = FlowShape { burst_gap_ns: 1_000, packets, ..FlowShape::default() };
        let mode = Mode::OpenLoop { rate_pps: shape.mean_rate_pps(), pattern: Pattern::Shape };
        Spec { mode, size: 1_400, shape: Some(Arc::new(shape)), ..Spec::default() }
    }

    #[test]
    fn each_probe_of_a_shape_has_the_size_of_its_packet() {
        let spec = shaped(&[100, 200, 300]);
        assert_eq!([0, 1, 2, 3, 7].map(|n| spec.size_of(n)), [100, 200, 300, 100, 200]);
        // Before a run, stamps are probed in ping-pong.
        let plain = Spec { mode: Mode::PingPong { interval_ns: None }, ..spec };
        assert_eq!([0, 1].map(|n| plain.size_of(n)), [1_400, 1_400]);
    }

    #[test]
    fn what_cannot_be_measured_is_refused_in_one_line() {
        let ok = Spec::default();
        assert!(ok.check((16, 1_400)).is_ok());
        let open = |rate_pps, pattern| Spec { mode: Mode::OpenLoop { rate_pps, pattern }, ..Spec::default() };
        let bad = [
            Spec { size: 8, ..ok.clone() },
            Spec { size: 9_000, ..ok.clone() },
            Spec { count: None, duration_ns: None, ..ok.clone() },
            Spec { count: Some(0), ..ok.clone() },
            Spec { timeout_ns: 0, ..ok.clone() },
            Spec { keep: 0, ..ok.clone() },
            Spec { mode: Mode::PingPong { interval_ns: Some(0) }, ..ok },
            open(0.0, Pattern::Fixed),
            open(-1.0, Pattern::Fixed),
            open(f64::NAN, Pattern::Poisson),
            open(1e9, Pattern::Fixed),
            open(1e3, Pattern::Burst(0)),
            open(1e3, Pattern::Shape),
            shaped(&[100, 1_401]),
            shaped(&[100, 15]),
            Spec { size: 99, ..shaped(&[100, 100]) },
            shaped(&[100]),
        ];
        assert!(shaped(&[16, 1_400]).check((16, 1_400)).is_ok());
        for spec in bad {
            let line = spec.check((16, 1_400)).unwrap_err().to_string();
            assert!(!line.contains('\n') && line.contains("; "), "{line}");
        }
    }
}
