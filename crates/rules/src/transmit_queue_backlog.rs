//! A device queue that holds too much.

use lowlat_model::op::Target;
use lowlat_model::{Reading, Severity};

use crate::look::{finding, joint, on_path, set, with};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// A transmit queue of the device in which the kernel allows more bytes than the link sends in 100 µs.
    /// ## Why it matters
    /// Nothing overtakes the bytes in the device's queue: a message waits for all of them, whatever the queue
    /// discipline in front of it. The kernel's byte queue limits grow with bulk traffic.
    /// ## Threshold
    /// At the speed of the link it takes more than 100 µs to send as many bytes as the current limit of a queue allows
    /// (this project's target for a tuned kernel path). Where the speed is not known, the rule finds nothing.
    /// ## Remedy
    /// Cap the limit (nic.bql-limit-max) at what the link sends in 100 µs, and check that bulk traffic keeps its speed.
    /// A fair queue discipline in front of it then decides which packet goes first.
    pub TransmitQueueBacklog = "transmit-queue-backlog";
    sources [
        "Documentation/ABI/testing/sysfs-class-net-queues in linux 6.12: byte_queue_limits/limit, limit_max",
        "include/linux/dynamic_queue_limits.h in linux 6.12: struct dql",
        "heuristic: 100 µs, this project's target for a tuned kernel path",
    ];
    follows ["shaper-below-line-rate", "link-below-capability", "plain-fifo-backlog"];
}

const LIMIT_US: u64 = 100;
/// Two full Ethernet frames: below that a queue runs dry between completions.
const LEAST_BYTES: u64 = 2 * 1_514;

fn look(input: &Input<'_>, seen: &mut Seen) {
    for (name, iface) in on_path(input.facts) {
        let Some(speed) = seen.need_of(input.facts, format!("{name} speed"), &iface.speed_mbps) else { continue };
        // Mbit/s are bits in a microsecond.
        let fits = (u64::from(*speed) * LIMIT_US / 8).max(LEAST_BYTES);
        let mut evidence = Vec::new();
        let mut settings = Vec::new();
        for (n, queue) in (0u32..).zip(&iface.tx_queues) {
            // A driver without byte queue limits has no such file: that is not a fact missed.
            if matches!(queue.bql_limit, Reading::Absent(_) | Reading::Unsupported(_)) {
                continue;
            }
            let Some(limit) = seen.need(format!("{name}/tx-{n} byte queue limit"), &queue.bql_limit) else { continue };
            if *limit <= fits {
                continue;
            }
            let wait = limit * 8 / u64::from(*speed).max(1);
            evidence.push(format!("{name}/tx-{n} may hold {limit} bytes, which take {wait} µs at {speed} Mbit/s"));
            settings.push(set("nic.bql-limit-max", Target::TxQueue(name.to_owned(), n), fits));
        }
        if evidence.is_empty() {
            continue;
        }
        let found = finding(
            NAME,
            Severity::Warning,
            format!("the transmit queues of {name} hold bulk data ahead of urgent packets"),
            evidence,
            "bound the byte queue limit, with a fair queue discipline before it; watch that bulk traffic keeps its speed",
        );
        seen.found(with(found, joint(&format!("transmit queues of {name}"), settings)));
    }
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::facts::{healthy, iface};

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn a_limit_longer_than_the_target() {
        let mut facts = healthy();
        iface(&mut facts).tx_queues[1].bql_limit = Reading::Value(250_000);
        only(NAME, &facts, &["eth0/tx-1 may hold 250000 bytes, which take 200 µs at 10000 Mbit/s"], &[]);
        let settings = &rule(NAME, &facts).findings[0].remedy.settings;
        assert_eq!((settings[0].target.to_string(), settings[0].value.as_str()), ("eth0/tx-1".into(), "125000"));
    }

    #[test]
    fn two_full_frames_always_fit() {
        let mut facts = healthy();
        iface(&mut facts).speed_mbps = Reading::Value(10);
        iface(&mut facts).max_speed_mbps = Reading::Value(10);
        iface(&mut facts).tx_queues[0].bql_limit = Reading::Value(3_028);
        assert_eq!(rule(NAME, &facts).findings, []);
    }

    #[test]
    fn blind_where_it_may_not_be_read_and_silent_where_the_driver_has_none() {
        let mut facts = healthy();
        iface(&mut facts).tx_queues[0].bql_limit = Reading::Absent("no such file".into());
        assert_eq!(rule(NAME, &facts), Seen::default());
        iface(&mut facts).tx_queues[0].bql_limit = Reading::Denied("x".into());
        blind(NAME, &facts, "eth0/tx-0 byte queue limit", "denied");
    }
}
