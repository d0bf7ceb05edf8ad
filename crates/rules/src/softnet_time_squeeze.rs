//! Receive processing that runs out of its budget.

use lowlat_model::Severity;
use lowlat_model::op::Target;

use crate::look::{finding, number, set, with, within};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// Polls for received packets that ended with packets left, because their budget of packets or time was used up.
    /// ## Why it matters
    /// What was left waits until the softirq runs again, often in `ksoftirqd`, behind whatever else wants the
    /// processor.
    /// ## Threshold
    /// More than one a second on a processor (a heuristic: single ones happen on any busy host).
    /// ## Remedy
    /// Relieve the processor: move its interrupts or spread flows. Then a larger `net.core.netdev_budget`.
    /// `netdev_budget_usecs` is left alone: its default is two timer ticks, which is also the least it takes.
    pub SoftnetTimeSqueeze = "softnet-time-squeeze";
    sources [
        "Documentation/admin-guide/sysctl/net.rst in linux 6.12: netdev_budget, netdev_budget_usecs",
        "net/core/dev.c in linux 6.12: net_rx_action (time_squeeze)",
        "heuristic: one a second; single ones happen on any busy host",
    ];
}

const PER_SECOND: f64 = 1.0;

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(window) = seen.window(input) else { return };
    let squeezed: Vec<(String, u64)> = seen
        .growth_under(window, "softnet/", "time_squeeze")
        .into_iter()
        .filter(|(group, _)| window.rate(group, "time_squeeze").is_some_and(|r| r > PER_SECOND))
        .collect();
    if squeezed.is_empty() {
        return;
    }
    let evidence = squeezed
        .iter()
        .map(|(group, by)| {
            format!("{group} ran out of its budget {by} times {} (/proc/net/softnet_stat)", within(window))
        })
        .collect();
    let budget = number(seen, input.facts, "net.core.netdev_budget");
    let found = finding(
        NAME,
        Severity::Warning,
        "a CPU leaves received packets waiting when its budget is used up".to_owned(),
        evidence,
        "relieve that CPU (move interrupts, spread flows); then raise net.core.netdev_budget",
    );
    let larger = budget.map(|b| set("sysctl.net.core.netdev_budget", Target::Host, b.saturating_mul(2)));
    seen.found(with(found, larger));
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::facts::{deny_group, grow, healthy};

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn squeezed_often() {
        let mut facts = healthy();
        grow(&mut facts, "softnet/cpu0", "time_squeeze", 1);
        assert_eq!(rule(NAME, &facts), Seen::default(), "one a second is let pass");
        grow(&mut facts, "softnet/cpu0", "time_squeeze", 20);
        let evidence = "softnet/cpu0 ran out of its budget 21 times in 1000 ms (/proc/net/softnet_stat)";
        only(NAME, &facts, &[evidence], &[]);
        assert_eq!(rule(NAME, &facts).findings[0].remedy.settings[0].value, "600");
    }

    #[test]
    fn blind_without_the_table() {
        let mut facts = healthy();
        deny_group(&mut facts, "softnet/cpu2");
        blind(NAME, &facts, "softnet/cpu2", "denied");
    }
}
