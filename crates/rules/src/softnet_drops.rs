//! Packets dropped between driver and protocol.

use lowlat_model::Severity;
use lowlat_model::op::Target;

use crate::look::{finding, number, set, with, within};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// Packets that were dropped because a processor's backlog queue was full.
    /// ## Why it matters
    /// Received packets that cannot be processed at once (RPS, virtual links, tunnels) wait in a queue of
    /// `net.core.netdev_max_backlog` packets for each CPU. When it is full, the kernel drops packets, and their sender
    /// waits for a timeout.
    /// ## Threshold
    /// Any growth of the second column of `/proc/net/softnet_stat` in the counter window, minus that of the eleventh:
    /// drops by the flow limit count in both.
    /// ## Remedy
    /// Reduce the load of the CPU first: it does not keep up. A longer queue turns drops into delay and only absorbs
    /// bursts, so raise it by one step, not to a number that hides the fault.
    pub SoftnetDrops = "softnet-drops";
    sources [
        "Documentation/admin-guide/sysctl/net.rst in linux 6.12: netdev_max_backlog",
        "net/core/dev.c in linux 6.12: enqueue_to_backlog",
    ];
    follows ["steal-time", "thermal-throttling", "interrupts-on-one-cpu"];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(window) = seen.window(input) else { return };
    // What flow limits drop is counted in both columns, and is the fault of another rule.
    let limited = |group: &str| window.delta(group, "flow_limit").unwrap_or(0);
    let dropped: Vec<(String, u64)> = seen
        .growth_under(window, "softnet/", "dropped")
        .into_iter()
        .map(|(group, by)| (group.clone(), by.saturating_sub(limited(&group))))
        .filter(|(_, by)| *by > 0)
        .collect();
    if dropped.is_empty() {
        return;
    }
    let evidence = dropped
        .iter()
        .map(|(group, by)| format!("{group} dropped {by} packets {} (/proc/net/softnet_stat)", within(window)))
        .collect();
    let backlog = number(seen, input.facts, "net.core.netdev_max_backlog");
    let found = finding(
        NAME,
        Severity::Critical,
        "a CPU drops received packets because its backlog is full".to_owned(),
        evidence,
        "relieve that CPU (move interrupts or RPS, spread flows); a longer backlog only absorbs bursts",
    );
    let longer = backlog.map(|b| set("sysctl.net.core.netdev_max_backlog", Target::Host, b.saturating_mul(2)));
    seen.found(with(found, longer));
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::facts::{deny_group, grow, healthy};

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn what_a_flow_limit_drops_is_the_fault_of_another_rule() {
        let mut facts = healthy();
        grow(&mut facts, "softnet/cpu0", "dropped", 7);
        grow(&mut facts, "softnet/cpu0", "flow_limit", 7);
        assert_eq!(rule(NAME, &facts).findings, []);
        grow(&mut facts, "softnet/cpu0", "dropped", 2);
        assert_eq!(rule(NAME, &facts).findings.len(), 1);
    }

    #[test]
    fn drops_on_one_processor() {
        let mut facts = healthy();
        grow(&mut facts, "softnet/cpu1", "dropped", 3);
        only(NAME, &facts, &["softnet/cpu1 dropped 3 packets in 1000 ms (/proc/net/softnet_stat)"], &[]);
        assert_eq!(rule(NAME, &facts).findings[0].remedy.settings[0].value, "2000");
    }

    #[test]
    fn blind_without_the_table() {
        let mut facts = healthy();
        deny_group(&mut facts, "softnet/cpu0");
        blind(NAME, &facts, "softnet/cpu0", "denied");
        facts.window = None;
        blind(NAME, &facts, "counter growth", "absent");
    }
}
