//! Two programs that steer one clock.

use lowlat_model::{Reading, Severity};

use crate::look::finding;
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// Two or more running programs that both steer the system clock.
    /// ## Why it matters
    /// Each daemon corrects what the other has just set. The clock oscillates, its rate is too high and too low in
    /// turn, and one-way delays and hardware timestamps mean nothing.
    /// ## Threshold
    /// Two of `phc2sys`, `chronyd`, `systemd-timesyncd`, `ntpd` and `ptp4l -S` are running. Setups in which one daemon
    /// only feeds the other do not count: `phc2sys -E ntpshm`, `chronyd -x`. Where command lines cannot be read, the
    /// rule assumes each program's usual role.
    /// ## Remedy
    /// Stop all but one. With PTP, run `ptp4l` and `phc2sys`, and no NTP client; or `chronyd` with the PTP clock as its
    /// `refclock`, and no `phc2sys`.
    pub ClockDaemonsCompete = "clock-daemons-compete";
    sources [
        "man 8 phc2sys (-E), man 8 chronyd (-x), man 5 chrony.conf (refclock)",
        "man 2 adjtimex",
        "https://github.com/openshift/linuxptp-daemon/pull/37",
    ];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let steer = &input.facts.time.system_clock;
    // Without the table of processes other rules say so.
    if matches!(steer, Reading::Absent(_)) {
        return;
    }
    let Some(steer) = seen.need("programs that steer the clock", steer) else { return };
    if steer.len() < 2 {
        return;
    }
    seen.found(finding(
        NAME,
        Severity::Warning,
        format!("{} programs steer the system clock at once", steer.len()),
        vec![format!("running: {}", steer.join(", "))],
        "stop all but one: ptp4l with phc2sys, or chronyd with the PTP clock as its refclock",
    ));
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::facts::healthy;

    use super::*;
    use crate::look::test::{blind, only};

    #[test]
    fn two_at_once() {
        let mut facts = healthy();
        facts.time.system_clock = Reading::Value(vec!["phc2sys".into(), "chronyd".into()]);
        only(NAME, &facts, &["running: phc2sys, chronyd"], &[]);
    }

    #[test]
    fn blind_without_the_processes() {
        let mut facts = healthy();
        facts.time.system_clock = Reading::Denied("x".into());
        blind(NAME, &facts, "steer the clock", "denied");
    }
}
