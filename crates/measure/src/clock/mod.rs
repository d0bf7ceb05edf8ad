//! The clocks: what a read costs, what it resolves, and whether the TSC may stand in for the kernel's.

mod tsc;

use lowlat_transport::{Ns, clock};

pub use tsc::{Hardware, NoTsc, Tsc, TscHost};

/// Above this a kernel's clock is expensive, ns: the vDSO's takes 20–30, a system call some 100, an HPET over 1000.
const EXPENSIVE_NS: u64 = 50;

/// What reading a clock is like here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// One read, ns (the smallest mean of a few hundred batches: what it costs when nothing disturbs).
    pub read_ns: u64,
    /// Smallest step seen, ns.
    pub resolution_ns: u64,
}

/// Measures cost and resolution of the clock that measurements read; takes about 3 ms.
pub fn cost() -> Cost {
    cost_of(clock::now)
}

/// Of any clock.
pub fn cost_of(read: impl Fn() -> Ns) -> Cost {
    const BATCH: u64 = 256;
    let mut best = u64::MAX;
    let mut step = u64::MAX;
    for _ in 0..300 {
        let begin = read();
        let mut last = begin;
        for _ in 0..BATCH {
            let now = read();
            if now > last {
                step = step.min(now - last);
            }
            last = now;
        }
        best = best.min(last.saturating_sub(begin));
    }
    Cost { read_ns: best / BATCH, resolution_ns: step }
}

/// Which clock is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wish {
    /// The kernel's, or the TSC where the kernel's is slow to read and the TSC can be trusted.
    #[default]
    Auto,
    /// The kernel's.
    Kernel,
    /// The TSC, if it can be trusted.
    Tsc,
}

/// The clock that measurements read, and what is known of it.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// The calibrated TSC, where it is the clock.
    tsc: Option<Tsc>,
    /// Why it is not, where it was wanted.
    why_not: Option<NoTsc>,
    /// The clock's.
    pub cost: Cost,
}

impl Chosen {
    /// Decides, once for the whole process, before the first probe. `clocksources` is the kernel's list of those it
    /// trusts (`available_clocksource` in sysfs), where it could be read. Calibration takes 50 ms.
    pub fn settle(wish: Wish, clocksources: Option<&str>) -> Self {
        let kernel = cost_of(clock::kernel);
        let want = match wish {
            Wish::Kernel => false,
            Wish::Tsc => true,
            Wish::Auto => kernel.read_ns > EXPENSIVE_NS,
        };
        if !want {
            return Self { tsc: None, why_not: None, cost: kernel };
        }
        match Tsc::calibrate(&mut TscHost, clocksources) {
            Ok(tsc) if clock::use_tsc(tsc.scale()) => Self { tsc: Some(tsc), why_not: None, cost: cost() },
            Ok(_) => Self { tsc: None, why_not: Some(NoTsc::Settled), cost: cost() },
            Err(why) => Self { tsc: None, why_not: Some(why), cost: kernel },
        }
    }

    /// Whether it is the TSC.
    pub fn is_tsc(&self) -> bool {
        self.tsc.is_some()
    }

    /// As text, for the run's document, and what weakens the run, if anything does. Checks a TSC again, over the whole
    /// time since it was calibrated.
    pub fn at_end(&self) -> (String, Option<String>) {
        let cost = format!("{} ns a read, resolves {} ns", self.cost.read_ns, self.cost.resolution_ns);
        let Some(tsc) = &self.tsc else {
            let why = self.why_not.as_ref().map_or_else(String::new, |why| format!("; {why}"));
            return (format!("CLOCK_MONOTONIC, {cost}{why}"), None);
        };
        let calibrated = format!("TSC, {cost}, {}", pace_words(tsc));
        match tsc.recheck(&mut TscHost) {
            Ok(drift) => (format!("{calibrated}; at the end {drift:+.3} ppm off"), None),
            Err(why) => (calibrated, Some(why.to_string())),
        }
    }
}

fn pace_words(tsc: &Tsc) -> String {
    let (ns, ppm) = tsc.pace();
    format!("{ns:.6} ns a tick within {ppm:.2} ppm of CLOCK_MONOTONIC_RAW")
}

/// What the TSC would be like, where it is not the clock.
pub fn tsc_words(clocksources: Option<&str>) -> String {
    match Tsc::calibrate(&mut TscHost, clocksources) {
        Ok(tsc) => {
            let scale = tsc.scale();
            let cost = cost_of(|| scale.at(clock::ticks()));
            format!("TSC, {} ns a read, resolves {} ns, {}", cost.read_ns, cost.resolution_ns, pace_words(&tsc))
        }
        Err(why) => why.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_moves_and_its_cost_is_seen() {
        for cost in [cost_of(clock::kernel), cost_of(clock::raw)] {
            assert!(cost.read_ns > 0 && cost.resolution_ns > 0, "{cost:?}");
        }
        let (words, weakens) = Chosen::settle(Wish::Kernel, None).at_end();
        assert!(words.starts_with("CLOCK_MONOTONIC") && weakens.is_none(), "{words}");
    }
}
