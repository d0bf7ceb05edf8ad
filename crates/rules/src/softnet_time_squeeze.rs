//! Receive processing that runs out of its budget.

use lowlat_model::Severity;
use lowlat_model::op::Target;

use crate::look::{finding, number, set, with, within};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// Receive polls that ended with packets still waiting, because their budget of packets or time was used up.
    /// ## Why it matters
    /// The remaining packets wait until the softirq runs again, often in `ksoftirqd`, behind everything else that wants
    /// the CPU.
    /// ## Threshold
    /// More than one a second on a processor (a heuristic: a few happen on any busy host).
    /// ## Remedy
    /// Reduce the load of the CPU: move its interrupts or spread flows. Then raise the budget that was used up. A
    /// squeeze by packets takes `net.core.netdev_budget` packets: where the CPU took fewer per squeeze, the time
    /// (`net.core.netdev_budget_usecs`) ran out first, and a budget of more packets changes nothing. With a larger
    /// budget, other softirqs wait longer.
    pub SoftnetTimeSqueeze = "softnet-time-squeeze";
    sources [
        "Documentation/admin-guide/sysctl/net.rst in linux 6.12: netdev_budget, netdev_budget_usecs",
        "net/core/dev.c in linux 6.12: net_rx_action (time_squeeze)",
        "heuristic: one a second; single ones happen on any busy host",
    ];
    follows ["steal-time", "thermal-throttling", "interrupts-on-one-cpu"];
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
    let mut evidence: Vec<String> = squeezed
        .iter()
        .map(|(group, by)| {
            format!("{group} ran out of its budget {by} times {} (/proc/net/softnet_stat)", within(window))
        })
        .collect();
    let by_time = number(seen, input.facts, "net.core.netdev_budget").map(|budget| {
        let by_time = squeezed.iter().any(|(group, by)| {
            window.delta(group, "processed").is_some_and(|processed| processed < by.saturating_mul(budget))
        });
        (by_time, budget)
    });
    let mut larger = None;
    let mut advice = "relieve that CPU (move interrupts, spread flows); then raise net.core.netdev_budget";
    match by_time {
        Some((true, budget)) => {
            evidence.push(format!(
                "fewer than netdev_budget = {budget} packets were taken for each: the time ran out first"
            ));
            advice = "relieve that CPU (move interrupts, spread flows); then raise net.core.netdev_budget_usecs";
            larger = number(seen, input.facts, "net.core.netdev_budget_usecs")
                .map(|us| set("sysctl.net.core.netdev_budget_usecs", Target::Host, us.saturating_mul(2)));
        }
        Some((false, budget)) => {
            larger = Some(set("sysctl.net.core.netdev_budget", Target::Host, budget.saturating_mul(2)));
        }
        None => {}
    }
    let found = finding(
        NAME,
        Severity::Warning,
        "a CPU leaves received packets waiting when its budget is used up".to_owned(),
        evidence,
        advice,
    );
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
        grow(&mut facts, "softnet/cpu0", "processed", 20_000);
        only(NAME, &facts, &[evidence], &[]);
        let setting = &rule(NAME, &facts).findings[0].remedy.settings[0];
        assert_eq!((setting.knob.as_str(), setting.value.as_str()), ("sysctl.net.core.netdev_budget", "600"));
    }

    /// 1000 packets in 20 squeezes: none of them took 300.
    #[test]
    fn squeezed_by_time() {
        let mut facts = healthy();
        grow(&mut facts, "softnet/cpu0", "time_squeeze", 20);
        let found = rule(NAME, &facts).findings.remove(0);
        assert_eq!(
            found.evidence[1],
            "fewer than netdev_budget = 300 packets were taken for each: the time ran out first"
        );
        let setting = &found.remedy.settings[0];
        assert_eq!((setting.knob.as_str(), setting.value.as_str()), ("sysctl.net.core.netdev_budget_usecs", "16000"));
    }

    #[test]
    fn blind_without_the_table() {
        let mut facts = healthy();
        deny_group(&mut facts, "softnet/cpu2");
        blind(NAME, &facts, "softnet/cpu2", "denied");
    }
}
