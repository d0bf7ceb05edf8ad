//! A large flow held to its share.

use lowlat_model::Severity;

use crate::look::{finding, within};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// Packets of a large flow that the kernel dropped before a CPU's backlog queue was full.
    /// ## Why it matters
    /// When a backlog is half full, flow limit drops packets of the flow that makes up more than half of it, so that
    /// small flows get through. That happens only when the CPU is nearly saturated.
    /// ## Threshold
    /// Any growth of the eleventh column of `/proc/net/softnet_stat` in the counter window.
    /// ## Remedy
    /// Reduce the load of the CPU: spread the flows over hardware queues, or keep the large flow off the critical CPU.
    /// Leave flow limit on: it protects the small flows.
    pub FlowLimitDrops = "flow-limit-drops";
    sources [
        "Documentation/networking/scaling.rst in linux 6.12: RPS Flow Limit",
        "net/core/dev.c in linux 6.12: skb_flow_limit",
    ];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(window) = seen.window(input) else { return };
    let dropped = seen.growth_under(window, "softnet/", "flow_limit");
    if dropped.is_empty() {
        return;
    }
    let evidence = dropped
        .iter()
        .map(|(group, by)| {
            format!("{group} dropped {by} packets of large flows {} (/proc/net/softnet_stat)", within(window))
        })
        .collect();
    seen.found(finding(
        NAME,
        Severity::Warning,
        "a large flow saturates the CPU it shares with small ones".to_owned(),
        evidence,
        "spread the flows over hardware queues or keep the large one off this CPU; flow limit itself protects the small ones",
    ));
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::facts::{deny_group, grow, healthy};

    use super::*;
    use crate::look::test::{blind, only};

    #[test]
    fn the_eleventh_column() {
        let mut facts = healthy();
        grow(&mut facts, "softnet/cpu1", "flow_limit", 5);
        only(NAME, &facts, &["softnet/cpu1 dropped 5 packets of large flows in 1000 ms (/proc/net/softnet_stat)"], &[]);
    }

    #[test]
    fn blind_without_the_column() {
        let mut facts = healthy();
        deny_group(&mut facts, "softnet/cpu1");
        blind(NAME, &facts, "softnet/cpu1", "denied");
    }
}
