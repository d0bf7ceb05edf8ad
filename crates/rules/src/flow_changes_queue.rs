//! A flow whose packets come by one queue of the device and then by another.

use crate::look::{chosen, few, finding, socket};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// A connection of the application whose packets came by one receive queue at the window's start, and by another at its
    /// end.
    /// ## Why it matters
    /// Each queue has its own interrupt and mostly its own CPU. A flow that moves finds cold caches, can be overtaken by its
    /// own later packets, and may land on the queue that a bulk transfer fills. A program that polls one queue, or one NAPI
    /// instance, misses it altogether until it follows.
    /// ## Threshold
    /// The NAPI instance of the last packet (SO_INCOMING_NAPI_ID) differs between the two readings and is known at both.
    /// Without a goal and without a measured path that is only worth knowing. Interfaces without NAPI, as the loopback, have
    /// no instance. One move in a long life, as after a change of the table, is reported as well.
    /// ## Remedy
    /// A rule of the device that binds the flow to a queue (steer.flow-rule, where the driver has nic.feature.ntuple), or
    /// accelerated RFS, which follows the reader's CPU: pin the reader. Drivers that follow the sender's CPU on their own
    /// (Intel's ATR in ixgbe and i40e) stay with a thread that is pinned (sched.cpu-affinity). Find who changes the table
    /// (`ethtool -x`).
    pub FlowChangesQueue = "flow-changes-queue";
    sources [
        "man 7 socket (SO_INCOMING_CPU, SO_INCOMING_NAPI_ID)",
        "include/net/busy_poll.h in linux 6.12: sk_mark_napi_id",
        "Documentation/networking/scaling.rst in linux 6.12: Accelerated RFS",
        "drivers/net/ethernet/intel/ixgbe/ixgbe_main.c in linux 6.12: ixgbe_atr",
    ];
    follows ["thread-migrates"];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(application) = &input.facts.application else { return };
    let mut evidence = Vec::new();
    for s in &application.sockets {
        let (Some(first), Some(last)) = (s.arrivals.first(), s.arrivals.last()) else { continue };
        if first.napi == last.napi || first.napi == 0 || last.napi == 0 {
            continue;
        }
        let on = |cpu: Option<u32>| cpu.map_or_else(String::new, |c| format!(" (CPU {c})"));
        evidence.push(format!(
            "{}: packets came by NAPI instance {}{}, later by {}{}",
            socket(s),
            first.napi,
            on(first.cpu),
            last.napi,
            on(last.cpu)
        ));
    }
    if evidence.is_empty() {
        return;
    }
    seen.found(finding(
        NAME,
        chosen(input),
        "a flow of the application moves from one receive queue to another".to_owned(),
        few(evidence),
        "bind the flow to a queue (steer.flow-rule) and pin its thread; see who changes the table (ethtool -x)",
    ));
}

#[cfg(test)]
mod tests {
    use lowlat_model::Severity;
    use lowlat_model::application::FlowArrival;
    use lowlat_testkit::application::of;
    use lowlat_testkit::facts::healthy;

    use super::*;
    use crate::look::test::{only, rule, rule_for};

    #[test]
    fn two_instances_and_one() {
        let mut facts = healthy();
        let by = |napi, cpu| FlowArrival { napi, cpu };
        of(&mut facts).sockets[0].arrivals = vec![by(8193, Some(0)), by(8195, None)];
        let line = "feed[812] fd 7: tcp 192.0.2.1:5000 to 192.0.2.2:40000: packets came by NAPI instance 8193 (CPU 0), \
                    later by 8195";
        only(NAME, &facts, &[line], &[]);
        assert_eq!(rule_for(NAME, &facts, 50_000).findings[0].severity, Severity::Warning);
        for same in
            [vec![by(8193, Some(0)), by(8193, Some(2))], vec![by(0, None), by(8193, None)], vec![by(8193, None)]]
        {
            of(&mut facts).sockets[0].arrivals = same;
            assert_eq!(rule(NAME, &facts), Seen::default());
        }
    }
}
