//! Stored plans and journals against the catalogue: a write is made or undone only at a place that its knob has, and a
//! plan's value is one that its knob writes. A file that says otherwise was not written by lowlat.

use lowlat_knobs::find;
use lowlat_model::op::Target;
use lowlat_model::{Op, Plan, PlannedStep};
use lowlat_settings::AtBoot;
use lowlat_sys::Sys;

use crate::boot::KNOB as PERSIST;
use crate::ledger::StandingWrite;

/// Asks the catalogue for the writes of every step once more, and refuses a plan that holds others: one that was
/// changed by hand, or that this host no longer fits.
pub fn plan(sys: &dyn Sys, plan: &Plan) -> Result<(), String> {
    plan.steps.iter().try_for_each(|s| step(sys, s).map_err(|why| format!("{} on {}: {why}", s.knob, s.target)))
}

fn step(sys: &dyn Sys, step: &PlannedStep) -> Result<(), String> {
    if !step.members.is_empty() && step.members.iter().map(|m| m.ops).sum::<usize>() != step.ops.len() {
        return Err("its members and its writes are not as many".to_owned());
    }
    let one = [(step.knob.as_str(), &step.target, step.to.as_str(), step.ops.len())];
    let many: Vec<_> = step.members.iter().map(|m| (m.knob.as_str(), &m.target, m.to.as_str(), m.ops)).collect();
    let mut ops = step.ops.as_slice();
    for (knob, target, to, count) in if many.is_empty() { &one[..] } else { &many[..] } {
        let (mine, rest) = ops.split_at(*count);
        ops = rest;
        setting(sys, knob, target, to, mine)?;
    }
    Ok(())
}

fn setting(sys: &dyn Sys, name: &str, target: &Target, to: &str, ops: &[Op]) -> Result<(), String> {
    let knob = find(name).ok_or_else(|| format!("there is no knob {name:?}"))?;
    if let Some(op) = ops.iter().find(|op| !knob.owns(target, &op.locus)) {
        return Err(format!("{} is not a place of {name} at {target}", crate::words(&op.locus)));
    }
    // What the host needs by now may be less: a step before may have set a part of it.
    let fresh = knob.ops(sys, target, to)?;
    for op in &fresh {
        match ops.iter().find(|o| o.locus == op.locus) {
            Some(o) if o.set == op.set => {}
            Some(o) => return Err(format!("{} to {}: {to} is {}", crate::words(&op.locus), o.set, op.set)),
            None => return Err(format!("it does not write {}", crate::words(&op.locus))),
        }
    }
    Ok(())
}

/// Whether a journal's write can be lowlat's own, and the places next to it: those are put back too.
pub(crate) fn standing(s: &StandingWrite) -> Result<(), String> {
    let locus = &s.op.locus;
    let owned = || find(&s.knob).is_some_and(|k| k.owns(&s.target, locus));
    let ours = if s.knob == PERSIST && lowlat_settings::at(locus).at_boot() == AtBoot::Itself {
        true
    } else if s.is_guard() {
        // What a link reset may disturb is journalled next to it, under the knob that resets; what another program may set,
        // under its own.
        (locus.iface().is_some() && locus.iface() == s.target.iface()) || owned()
    } else {
        owned()
    };
    if !ours {
        return Err(format!("{} is not a place of {:?} at {}", crate::words(locus), s.knob, s.target));
    }
    let mut others = s.beside.iter().chain(s.changed.iter().flatten());
    match others.find(|b| !lowlat_settings::at(locus).may_change(&b.locus)) {
        Some(b) => Err(format!("a write of {} does not change {}", crate::words(locus), crate::words(&b.locus))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use lowlat_model::journal::Beside;
    use lowlat_model::{Locus, Schema, State};
    use lowlat_testkit::FakeSys;

    use super::*;

    fn autocorking(path: &str, set: &str) -> Plan {
        let step = PlannedStep {
            knob: "sysctl.net.ipv4.tcp_autocorking".into(),
            to: "0".into(),
            ops: vec![Op::file(path, set)],
            ..PlannedStep::default()
        };
        Plan { schema: Schema::current("plan"), iface: None, steps: vec![step], left_out: Vec::new() }
    }

    #[test]
    fn a_plan_writes_its_knobs_values_at_its_knobs_places_alone() {
        let sys = FakeSys::new().file("/proc/sys/net/ipv4/tcp_autocorking", "1\n");
        let at = "/proc/sys/net/ipv4/tcp_autocorking";
        assert_eq!(plan(&sys, &autocorking(at, "0")), Ok(()));
        for (path, set) in [("/proc/sys/net/ipv4/ip_forward", "0"), (at, "7"), (at, "0\n1")] {
            assert!(plan(&sys, &autocorking(path, set)).is_err(), "{path} = {set:?}");
        }
        let mut renamed = autocorking(at, "0");
        renamed.steps[0].knob = "x\ntouch P\n#".into();
        assert!(plan(&sys, &renamed).is_err_and(|why| why.contains("no knob")));
        let mut more = autocorking(at, "0");
        more.steps[0].ops.push(Op::file("/proc/sys/net/ipv4/ip_forward", "1"));
        assert!(plan(&sys, &more).is_err());
    }

    #[test]
    fn a_journal_puts_back_next_to_a_write_what_it_may_change_alone() {
        let beside = |locus: Locus, changed: bool| {
            let other = vec![Beside { locus, state: State::Text("1".into()) }];
            let path = "/sys/class/net/eth0/gro_flush_timeout";
            standing(&StandingWrite {
                seq: 0,
                knob: "nic.gro-flush-timeout".into(),
                target: "eth0".parse().unwrap(),
                op: Op::file(path, "1"),
                prior: State::Text("0".into()),
                read_back: None,
                holder: None,
                device: None,
                beside: if changed { Vec::new() } else { other.clone() },
                changed: changed.then_some(other),
                at: None,
            })
        };
        let napi = |iface: &str, param: &str| Locus::Napi { iface: iface.into(), id: 7, param: param.into() };
        for changed in [false, true] {
            assert_eq!(beside(napi("eth0", "gro-flush-timeout"), changed), Ok(()));
            assert!(beside(napi("eth1", "gro-flush-timeout"), changed).is_err());
            assert!(beside(napi("eth0", "threaded"), changed).is_err());
            assert!(beside(Locus::File { path: "/proc/sys/kernel/core_pattern".into() }, changed).is_err());
        }
    }

    #[test]
    fn a_journal_undoes_at_its_knobs_places_alone() {
        let of = |knob: &str, target: &str, path: &str, prior: &str| {
            standing(&StandingWrite {
                seq: 0,
                knob: knob.into(),
                target: target.parse().unwrap(),
                op: Op::file(path, "1"),
                prior: State::Text(prior.into()),
                read_back: None,
                holder: None,
                device: None,
                beside: Vec::new(),
                changed: None,
                at: None,
            })
        };
        let rps = "/sys/class/net/eth0/queues/rx-0/rps_cpus";
        assert!(of("steer.rps", "eth0/rx-0", rps, "0").is_ok());
        assert!(of("nic.ring.rx", "eth0", rps, "1").is_ok(), "a place that a link reset disturbs");
        assert!(of("nic.ring.rx", "eth1", rps, "1").is_err());
        assert!(of("nic.ring.rx", "eth0", rps, "0").is_err());
        let (knob, own) = ("sysctl.net.ipv4.tcp_autocorking", "/proc/sys/net/ipv4/tcp_autocorking");
        assert!(of(knob, "host", own, "1").is_ok(), "a place that another program may set");
        assert!(of("sysctl.net.core.busy_read", "host", own, "1").is_err());
        assert!(of("sysctl.net.ipv4.tcp_autocorking", "host", "/proc/sys/net/ipv4/ip_forward", "0").is_err());
        assert!(of("sysctl.net.ipv4.tcp_autocorking", "host", "/proc/sys/net/ipv4/ip_forward", "1").is_err());
        assert!(of("no.such", "host", "/proc/sys/net/ipv4/tcp_autocorking", "0").is_err());
    }
}
