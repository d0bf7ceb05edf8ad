//! A thread far from the NIC's memory.

use lowlat_model::Severity;

use crate::look::{few, finding, on_path, per_second, thread, watched};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// A thread of the application that runs on another NUMA node than the path's device.
    /// ## Why it matters
    /// Packets are written to memory of the node whose CPUs serve the queue, as a rule the device's. Each access to
    /// them that misses the cache then crosses the link between the processors.
    /// ## Threshold
    /// The thread had 1 % of a CPU or more in the window, and the CPU it was on last is of another node. Only with an
    /// interface in focus.
    /// ## Remedy
    /// Start the program on the device's node: numactl --cpunodebind=N --membind=N, so that its memory is there too.
    pub ThreadOffNicNode = "thread-off-nic-node";
    sources [
        "man 5 proc (/proc/pid/stat, processor)",
        "net/core/page_pool.c in linux 6.12: page_pool_refill_alloc_cache (pref_nid)",
        "man 8 numactl (--cpunodebind, --membind)",
        "heuristic: 1 % of a CPU",
    ];
}

const ACTIVE_NS_PER_SECOND: f64 = 1e7;

fn look(input: &Input<'_>, seen: &mut Seen) {
    let facts = input.facts;
    if facts.iface.is_none() {
        return;
    }
    let Some((seconds, threads)) = watched(seen, input) else { return };
    let mut evidence = Vec::new();
    for (name, nic) in on_path(facts) {
        let Some(node) = nic.numa_node.value() else { continue };
        for (process, t, grown) in &threads {
            let on = facts.cpus.node_of.get(&t.last_cpu);
            if per_second(grown.cpu_ns, seconds) >= ACTIVE_NS_PER_SECOND
                && let Some(on) = on.filter(|on| *on != node)
            {
                let who = thread(process, t);
                evidence.push(format!("{who} runs on CPU {} of node {on}, {name} is on node {node}", t.last_cpu));
            }
        }
    }
    if evidence.is_empty() {
        return;
    }
    seen.found(finding(
        NAME,
        Severity::Warning,
        "the application runs on another NUMA node than the NIC".to_owned(),
        few(evidence),
        "start it on the device's node: numactl --cpunodebind=N --membind=N",
    ));
}

#[cfg(test)]
mod tests {
    use lowlat_model::Reading;
    use lowlat_testkit::application::{grown, only_thread};
    use lowlat_testkit::facts::{healthy, iface};

    use super::*;
    use crate::look::test::{only, rule};

    #[test]
    fn on_the_other_node() {
        let mut facts = healthy();
        only_thread(&mut facts).last_cpu = 2;
        only(NAME, &facts, &["feed[812] runs on CPU 2 of node 1, eth0 is on node 0"], &[]);
        grown(&mut facts).cpu_ns = 9_000_000;
        assert_eq!(rule(NAME, &facts), Seen::default(), "it hardly runs");
        grown(&mut facts).cpu_ns = 10_000_000;
        iface(&mut facts).numa_node = Reading::Unsupported("one node".into());
        assert_eq!(rule(NAME, &facts), Seen::default());
    }
}
