//! What a measurement shows besides its round trips: stages, stamps, one-way delays, interruptions, conditions.

use lowlat_model::conditions::{Ptp, WakeUp};
use lowlat_model::stamps::{StampKind, StampReport};
use lowlat_model::{Conditions, GapMarks, Measurement, OneWay, Quantiles};

use crate::figures::{line, percent, signed_time, time};
use crate::page::{Block, Section, Table};

/// The sections, in this order, of those that there is something for.
pub(super) fn sections(m: &Measurement) -> Vec<Section> {
    let mut out = Vec::new();
    if let Some(stamps) = &m.stamps {
        out.extend(stages(stamps));
        out.push(kinds(stamps));
    }
    out.extend(m.one_way.as_ref().map(one_way));
    out.extend(m.gaps.as_ref().map(|g| gaps(g, &m.rtt)));
    out.extend(m.conditions.as_ref().map(conditions));
    out
}

fn stages(stamps: &StampReport) -> Option<Section> {
    if stamps.stages.is_empty() {
        return None;
    }
    let rows = stamps
        .stages
        .iter()
        .map(|s| {
            let q = &s.time;
            let mut row = vec![format!("{} → {}", line(&s.from), line(&s.to))];
            row.extend([q.p50_ns, q.p90_ns, q.p99_ns, q.p999_ns].map(time));
            row.push(s.share.map_or_else(|| "not on the path".to_owned(), |r| format!("{} %", percent(r))));
            row.push(line(&s.what));
            row
        })
        .collect();
    let mut blocks = vec![Table::block(&["", "P50", "P90", "P99", "P99.9", "share of the mean", "what"], rows)];
    if stamps.misplaced > 0 {
        let words = format!(
            "left out: {} stages below zero or longer than their round trip (the clock was set in between, or the stamp \
             was another packet's)",
            stamps.misplaced
        );
        blocks.push(Block::Words(words));
    }
    Some(Section::new("Where the time goes", blocks))
}

fn kinds(stamps: &StampReport) -> Section {
    let row = |k: &StampKind| match (k.ratio, &k.why_not) {
        (Some(ratio), _) => format!("{}: {} of {} ({} %)", line(&k.kind), k.arrived, k.asked, percent(ratio)),
        (None, Some(why)) => format!("{}: none; {}", line(&k.kind), line(why)),
        (None, None) => format!(
            "{}: {} of {} probes before the run, none asked for in it",
            line(&k.kind),
            k.probed_arrived,
            k.probed
        ),
    };
    let mut list: Vec<String> = stamps.kinds.iter().map(row).collect();
    list.extend(stamps.nic.iter().map(|nic| format!("NIC timestamps: {}", line(nic))));
    list.extend(stamps.notes.iter().map(|n| line(n)));
    if let Some(cost) = &stamps.cost {
        list.push(format!("cost to the round trip: {}", line(&cost.words)));
    }
    Section::new("Timestamps received", vec![Block::Words(line(&stamps.engine)), Block::List(list)])
}

fn one_way(o: &OneWay) -> Section {
    let rows = o
        .delays
        .iter()
        .map(|d| {
            let q = &d.time;
            let mut row = vec![format!("{} → {}", line(&d.from), line(&d.to)), format!("± {}", time(Some(d.bound_ns)))];
            row.extend([q.min_ns, q.p50_ns, q.p90_ns, q.p99_ns, q.max_ns].map(time));
            row
        })
        .collect();
    let clocks = if o.same_clock {
        line(&o.method)
    } else {
        let drift = match (o.drift_low_ppm, o.drift_high_ppm) {
            (Some(low), Some(high)) => format!(", drift {low:.1} to {high:.1} ppm"),
            _ => String::new(),
        };
        let offset = signed_time(o.offset_ns);
        format!("far clock offset {offset} ± {}{drift}; {}", time(Some(o.bound_ns)), line(&o.method))
    };
    let table = Table::block(&["", "bound", "min", "P50", "P90", "P99", "max"], rows);
    Section::new("One-way delays", vec![table, Block::Words(clocks)])
}

fn gaps(g: &GapMarks, all: &Quantiles) -> Section {
    let (Some(threshold), Some(seen), Some(marked)) = (g.threshold_ns, g.seen, g.marked) else {
        return Section::new("Host interruptions", vec![Block::Words(line(&g.how))]);
    };
    let longest = g.longest_ns.map(|ns| format!(", longest {}", time(Some(ns)))).unwrap_or_default();
    let words = format!(
        "{seen} interruptions of {} or more{longest}; {marked} probes were in flight during one ({})",
        time(Some(threshold)),
        line(&g.how)
    );
    let mut blocks = vec![Block::Words(words)];
    if let Some(without) = g.rtt_without.as_ref().filter(|_| marked > 0) {
        let row = |name: &str, q: &Quantiles| {
            let mut row = vec![name.to_owned(), q.samples.to_string()];
            row.extend([q.p50_ns, q.p90_ns, q.p99_ns, q.p999_ns, q.p9999_ns, q.max_ns].map(time));
            row
        };
        let rows = vec![row("all probes", all), row("without probes in flight", without)];
        blocks.push(Table::block(&["", "probes", "P50", "P90", "P99", "P99.9", "P99.99", "max"], rows));
    }
    Section::new("Host interruptions", blocks)
}

/// `ptp4l SLAVE, -12 ns off its master; ptp0 +37000000000 ± 310 ns off the system's clock`; nothing where there is
/// none.
fn ptp(p: &Ptp) -> Option<String> {
    let daemon = p.ptp4l.as_ref().map(|d| match d.state.as_str() {
        "SLAVE" => format!("ptp4l SLAVE, {} off its master", signed_time(d.offset_from_master_ns)),
        state => format!("ptp4l {}", line(state)),
    });
    let clocks = p.clocks.iter().filter_map(|k| {
        let (offset, error) = (k.offset_ns?, k.error_ns?);
        Some(format!("{} {} ± {} off the system's clock", line(&k.name), signed_time(offset), time(Some(error))))
    });
    let all: Vec<String> = daemon.into_iter().chain(clocks).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

fn wake_up(w: &WakeUp) -> String {
    let spinning = w.spinning_ns.map_or_else(String::new, |ns| format!(", {} while it spins", time(Some(ns))));
    let after = w.sleeping_after_ns.map_or_else(String::new, |ns| format!("; {} after the run", time(Some(ns))));
    let between = if w.cpu == w.other_cpu {
        format!("on CPU {}", w.cpu)
    } else {
        format!("on CPU {} from CPU {}", w.cpu, w.other_cpu)
    };
    format!("{} {between}{spinning}{after}", time(Some(w.sleeping_ns)))
}

fn conditions(c: &Conditions) -> Section {
    let mut list = vec![format!("prober: {}", line(&c.placement))];
    let mut say = |name: &str, value: Option<String>| list.extend(value.map(|v| format!("{name}: {}", line(&v))));
    let cpus = |list: &[u32]| list.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    say("priority", c.rt_priority.map(|p| format!("SCHED_FIFO {p}")));
    let memory = match (&c.memory_refused, c.memory_locked) {
        (Some(why), _) => format!("not locked: {why}"),
        (None, true) => "locked".to_owned(),
        (None, false) => "not locked".to_owned(),
    };
    say("memory", Some(memory));
    say("interface", c.iface.clone());
    say("governor", c.governor.clone());
    say(
        "idle states",
        c.idle_states.as_ref().map(|all| {
            let all: Vec<String> = all.iter().map(|(name, us)| format!("{name} {us} µs")).collect();
            if all.is_empty() { "none enabled".to_owned() } else { all.join(", ") }
        }),
    );
    say("wake-up latency limit", c.cpu_dma_latency_us.map(|us| format!("{us} µs")));
    say("a wake-up", c.wake_up.as_ref().map(wake_up));
    say("SMT siblings", c.smt_siblings.as_ref().map(|all| if all.is_empty() { "none".to_owned() } else { cpus(all) }));
    say(
        "interrupts",
        c.irq_cpus.as_ref().map(|irqs| {
            let all: Vec<String> = irqs.iter().map(|(name, on)| format!("{name} on CPU {}", cpus(on))).collect();
            let on = match c.irq_on_prober_cpu {
                Some(true) => "; one fires on a CPU of the prober",
                Some(false) => "; none fires on a CPU of the prober",
                None => "",
            };
            format!("{}{on}", all.join(", "))
        }),
    );
    say(
        "coalescing",
        c.coalesce.as_ref().map(|all| {
            let set: Vec<String> = all.iter().filter(|(_, v)| **v > 0).map(|(k, v)| format!("{k} {v}")).collect();
            if set.is_empty() { "off".to_owned() } else { set.join(", ") }
        }),
    );
    say("queue discipline", c.qdisc.clone());
    say(
        "offloads",
        c.offloads.as_ref().map(|all| {
            let on: Vec<&str> = all.iter().filter(|(_, on)| **on).map(|(name, _)| name.as_str()).collect();
            if on.is_empty() { "all off".to_owned() } else { format!("{} on", on.join(", ")) }
        }),
    );
    say("TCP_NODELAY", c.tcp_nodelay.map(|on| if on { "on" } else { "off" }.to_owned()));
    say("busy_read", c.busy_read_us.map(|us| format!("{us} µs")));
    say("clocksource", c.clocksource.clone());
    say("wall clock", c.clock_sync.clone());
    say("PTP", c.ptp.as_ref().and_then(ptp));
    say("stolen by the hypervisor", c.steal_ratio.map(|r| format!("{} %", percent(r))));
    say("NIC stamps", c.hardware_stamps.clone());
    let unread: Vec<&str> = c.not_seen.iter().map(|n| n.fact.as_str()).collect();
    say("could not be read", (!unread.is_empty()).then(|| unread.join(", ")));
    Section::new("Measurement conditions", vec![Block::List(list)])
}
