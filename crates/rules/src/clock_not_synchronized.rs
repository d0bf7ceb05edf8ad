//! A wall clock that nothing steers.

use lowlat_model::Severity;

use crate::look::finding;
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// A kernel clock that is marked as not synchronized.
    /// ## Why it matters
    /// One-way delays compare the clocks of two hosts. A free-running clock is off by a second or so after a day, many
    /// thousand times the delays that are measured. Round trips do not need synchronized clocks.
    /// ## Threshold
    /// The kernel's own flag is set (STA_UNSYNC of adjtimex). It also stays set when a daemon sets the clock without
    /// reporting that to the kernel.
    /// ## Remedy
    /// Run one daemon: chrony, or ptp4l with phc2sys where the device has hardware timestamps (time.ptp4l,
    /// time.phc2sys). Two daemons work against each other.
    pub ClockNotSynchronized = "clock-not-synchronized";
    sources [
        "man 2 adjtimex (STA_UNSYNC)",
        "kernel/time/ntp.c in linux 6.12: STA_UNSYNC",
    ];
    follows ["clock-daemons-compete"];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let time = &input.facts.time;
    let Some(synchronized) = seen.need("clock synchronization", &time.synchronized) else { return };
    if *synchronized {
        return;
    }
    let daemons = time.daemons.value().filter(|d| !d.is_empty());
    let running = daemons.map_or_else(|| "none found running".to_owned(), |d| d.join(", "));
    seen.found(finding(
        NAME,
        Severity::Info,
        "the clock is not synchronized, so one-way delays mean nothing".to_owned(),
        vec!["adjtimex: STA_UNSYNC".to_owned(), format!("clock daemons: {running}")],
        "run one clock daemon (chrony, or ptp4l with phc2sys); round trips do not need it",
    ));
}

#[cfg(test)]
mod tests {
    use lowlat_model::Reading;
    use lowlat_testkit::facts::healthy;

    use super::*;
    use crate::look::test::{blind, only};

    #[test]
    fn a_clock_that_drifts() {
        let mut facts = healthy();
        facts.time.synchronized = Reading::Value(false);
        only(NAME, &facts, &["adjtimex: STA_UNSYNC", "clock daemons: chronyd"], &[]);
        facts.time.synchronized = Reading::Denied("x".into());
        blind(NAME, &facts, "synchronization", "denied");
    }
}
