//! Receive packet steering to another processor.

use std::collections::BTreeSet;

use lowlat_model::facts::Facts;
use lowlat_model::op::Target;
use lowlat_model::{Severity, Window};

use crate::look::{cpus, finding, joint, on_path, set, with, within};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// A receive queue whose `rps_cpus` steers packets to a processor that neither takes the queue's interrupt nor runs
    /// the application.
    /// ## Why it matters
    /// RPS sends an inter-processor interrupt and runs the protocol stack on the other processor: the packet crosses
    /// caches, and an idle target must wake first. That buys throughput where one processor cannot keep up, and costs
    /// latency where it can.
    /// ## Threshold
    /// Any such processor in the mask. It is a warning when packets were steered within the counter window
    /// (`received_rps` grew there) or no window was taken, and `info` otherwise.
    /// ## Remedy
    /// Switch RPS off for the queue. Where one processor cannot keep up, spread flows over hardware queues (RSS) or let
    /// RFS steer packets to the CPU on which the application reads.
    pub RpsRemoteCpu = "rps-remote-cpu";
    sources [
        "Documentation/networking/scaling.rst in linux 6.12: RPS: Receive Packet Steering",
        "net/core/dev.c in linux 6.12: get_rps_cpu, rps_trigger_softirq",
    ];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let facts = input.facts;
    let app = input.baseline.and_then(|b| b.cpu);
    for (name, iface) in on_path(facts) {
        let fire = interrupt_cpus(facts, name);
        for (n, queue) in (0u32..).zip(&iface.rx_queues) {
            let Some(mask) = seen.need_of(facts, format!("{name}/rx-{n} rps_cpus"), &queue.rps_cpus) else { continue };
            let remote: Vec<u32> = mask.iter().copied().filter(|c| !fire.contains(c) && Some(*c) != app).collect();
            if remote.is_empty() {
                continue;
            }
            let mut evidence = vec![format!("{name}/rx-{n} rps_cpus names CPU {}", cpus(mask))];
            if !fire.is_empty() {
                evidence.push(format!("its interrupts fire on CPU {}", cpus(&fire)));
            }
            if let Some(app) = app {
                evidence.push(format!("the prober runs on CPU {app}"));
            }
            let window = seen.window(input);
            let steered = window.map(|w| steered(w, &remote, seen));
            if let (Some(window), Some(steered)) = (window, &steered) {
                for (cpu, by) in steered {
                    evidence.push(format!("CPU {cpu} was woken by RPS {by} times {}", within(window)));
                }
            }
            let quiet = steered.is_some_and(|s| s.is_empty());
            let found = finding(
                NAME,
                if quiet { Severity::Info } else { Severity::Warning },
                format!("RPS moves packets of {name} to another CPU"),
                evidence,
                "turn RPS off for this queue; where one CPU cannot keep up, spread flows by hardware queues (RSS)",
            );
            let off = set("steer.rps", Target::RxQueue(name.to_owned(), n), "off");
            seen.found(with(found, joint(&format!("RPS of {name}"), vec![off])));
        }
    }
}

/// Where the interface's interrupts fire. A virtual link has none: its packets come in on the sender's processor.
fn interrupt_cpus(facts: &Facts, iface: &str) -> BTreeSet<u32> {
    let irqs = facts.irqs.value().map(Vec::as_slice).unwrap_or_default();
    irqs.iter().filter(|i| i.iface == iface).filter_map(|i| i.effective.value()).flatten().copied().collect()
}

/// Growth of `received_rps` on the CPUs of the mask: it is counted on the CPU that is woken.
fn steered(window: &Window, remote: &[u32], seen: &mut Seen) -> Vec<(u32, u64)> {
    remote
        .iter()
        .filter_map(|cpu| Some((*cpu, seen.growth(window, &format!("softnet/cpu{cpu}"), "received_rps")?)))
        .filter(|(_, by)| *by > 0)
        .collect()
}

#[cfg(test)]
mod tests {
    use lowlat_model::Reading;
    use lowlat_testkit::facts::{grow, healthy, iface};

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn steered_to_the_other_node() {
        let mut facts = healthy();
        iface(&mut facts).rx_queues[1].rps_cpus = Reading::Value(vec![2, 3]);
        assert_eq!(rule(NAME, &facts).findings[0].severity, Severity::Info, "nothing was steered in the window");
        grow(&mut facts, "softnet/cpu3", "received_rps", 500);
        only(
            NAME,
            &facts,
            &[
                "eth0/rx-1 rps_cpus names CPU 2-3",
                "its interrupts fire on CPU 0-1",
                "CPU 3 was woken by RPS 500 times in 1000 ms",
            ],
            &[],
        );
        let found = rule(NAME, &facts).findings.remove(0);
        assert_eq!(found.severity, Severity::Warning);
        assert_eq!(
            (found.remedy.settings[0].target.to_string().as_str(), found.remedy.settings[0].value.as_str()),
            ("eth0/rx-1", "off")
        );
    }

    #[test]
    fn to_where_the_interrupt_fires_is_not_a_fault() {
        let mut facts = healthy();
        iface(&mut facts).rx_queues[0].rps_cpus = Reading::Value(vec![0]);
        assert_eq!(rule(NAME, &facts), Seen::default());
    }

    #[test]
    fn to_where_the_application_runs_is_not_a_fault() {
        let mut facts = healthy();
        iface(&mut facts).rx_queues[0].rps_cpus = Reading::Value(vec![3]);
        let check = |app| {
            let baseline = crate::tests::baseline(Some(app));
            crate::find(NAME)
                .unwrap()
                .check(&Input { facts: &facts, baseline: Some(&baseline), goal_ns: None })
                .findings
        };
        assert_eq!(check(3), []);
        assert_eq!(check(2)[0].evidence[2], "the prober runs on CPU 2");
    }

    #[test]
    fn without_a_window_the_mask_is_enough() {
        let mut facts = healthy();
        facts.window = None;
        facts.irqs = Reading::Value(vec![]);
        iface(&mut facts).rx_queues[0].rps_cpus = Reading::Value(vec![1]);
        let seen = rule(NAME, &facts);
        assert_eq!((seen.findings[0].severity, seen.not_seen.len()), (Severity::Warning, 1));
    }

    #[test]
    fn blind_without_the_mask() {
        let mut facts = healthy();
        iface(&mut facts).rx_queues[0].rps_cpus = Reading::Denied("x".into());
        blind(NAME, &facts, "eth0/rx-0 rps_cpus", "denied");
    }
}
