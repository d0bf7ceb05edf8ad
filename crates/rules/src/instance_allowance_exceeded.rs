//! Limits of a cloud instance.

use lowlat_model::Severity;

use crate::look::{finding, on_path};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// Packets that the cloud queued or dropped because the instance had used up what its size allows.
    /// ## Why it matters
    /// The limit is the instance's, not the host's: bandwidth, packets a second, tracked connections, or the link-local
    /// services. What is over it waits or is lost.
    /// ## Threshold
    /// Any growth of an `*_allowance_exceeded` counter of the `ena` driver in the counter window.
    /// ## Remedy
    /// A larger instance, or one with more network; less traffic, fewer connections. Nothing on the host fixes it.
    pub InstanceAllowanceExceeded = "instance-allowance-exceeded";
    sources [
        "drivers/net/ethernet/amazon/ena/ena_ethtool.c in linux 6.12: ena_stats_eni_strings",
        "https://github.com/amzn/amzn-drivers/blob/365c58ba5cf538aba14f1661e471b5cfc07c9548/kernel/linux/ena/ENA_Linux_Best_Practices.rst (queue_stops; pps_allowance_exceeded)",
        "not confirmed: the meaning of each counter by Amazon's own manual, which was not opened",
    ];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(window) = seen.window(input) else { return };
    for (name, _) in on_path(input.facts) {
        let group = format!("ethtool/{name}");
        if !seen.counted(window, &group) {
            continue;
        }
        let keys: Vec<String> = window.after.groups.get(&group).and_then(|g| g.value()).map_or_else(Vec::new, |all| {
            all.keys().filter(|key| key.ends_with("_allowance_exceeded")).cloned().collect()
        });
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let evidence = seen.grown(window, &group, &keys, "driver counter");
        if evidence.is_empty() {
            continue;
        }
        seen.found(finding(
            NAME,
            Severity::Critical,
            format!("{name} exceeds the allowance of its cloud instance"),
            evidence,
            "take a larger instance or send less: the limit is the cloud's, and nothing on the host fixes it",
        ));
    }
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::facts::{deny_group, grow, healthy};

    use super::*;
    use crate::look::test::{blind, only};

    #[test]
    fn any_of_the_allowances() {
        let mut facts = healthy();
        grow(&mut facts, "ethtool/eth0", "pps_allowance_exceeded", 12);
        grow(&mut facts, "ethtool/eth0", "conntrack_allowance_available", 12);
        only(NAME, &facts, &["pps_allowance_exceeded grew by 12 in 1000 ms (driver counter)"], &[]);
    }

    #[test]
    fn blind_where_the_driver_may_not_be_asked() {
        let mut facts = healthy();
        deny_group(&mut facts, "ethtool/eth0");
        blind(NAME, &facts, "ethtool/eth0", "denied");
    }
}
