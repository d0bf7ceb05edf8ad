//! `lowlat facts`: a summary for people; the whole is JSON.

use std::fmt::Display;

use lowlat_model::facts::Interface;
use lowlat_model::{Facts, Reading};

use crate::figures::line;
use crate::page::{Section, Table, text_at};

/// The host, its processors and each interface, in short.
pub(crate) fn facts(f: &Facts, width: usize) -> String {
    let host = vec![
        vec!["kernel".to_owned(), show(&f.host.release)],
        vec!["machine".to_owned(), show(&f.host.machine)],
        vec!["virtualization".to_owned(), show(&f.host.virtualization)],
        vec!["realtime".to_owned(), show(&f.host.realtime)],
        vec!["clocksource".to_owned(), show(&f.host.clocksource)],
        vec!["network namespace".to_owned(), show(&f.host.netns)],
        vec!["processor".to_owned(), show(&f.cpus.model)],
        vec!["online CPUs".to_owned(), show_list(&f.cpus.online)],
        vec!["isolated CPUs".to_owned(), show_list(&f.cpus.isolated)],
        vec!["SMT".to_owned(), show(&f.cpus.smt)],
        vec!["irqbalance".to_owned(), show(&f.time.irqbalance)],
        vec!["clock synchronized".to_owned(), show(&f.time.synchronized)],
    ];
    let mut sections = vec![Section::new("Host", vec![Table::block(&["", ""], host)])];
    // With a focus only that interface; without one, all.
    for (name, iface) in &f.interfaces {
        if f.iface.as_deref().is_none_or(|focus| focus == name) {
            sections.push(Section::new(&format!("Interface {}", line(name)), vec![interface(iface)]));
        }
    }
    let qdiscs: Vec<Vec<String>> = f
        .qdiscs
        .value()
        .into_iter()
        .flatten()
        .filter(|q| f.iface.as_deref().is_none_or(|focus| focus == q.iface))
        .map(|q| {
            vec![
                line(&q.iface),
                line(&q.parent),
                line(&q.kind),
                line(&q.summary),
                q.qlen.to_string(),
                q.drops.to_string(),
            ]
        })
        .collect();
    if !qdiscs.is_empty() {
        let columns = ["interface", "parent", "kind", "options", "queued", "drops"];
        sections.push(Section::new("Queue disciplines", vec![Table::block(&columns, qdiscs)]));
    }
    text_at(&sections, width).trim_start().to_owned()
}

fn interface(i: &Interface) -> crate::page::Block {
    let map = |r: &Reading<std::collections::BTreeMap<String, u32>>| match r {
        Reading::Value(m) => m.iter().map(|(k, v)| format!("{k} {v}")).collect::<Vec<_>>().join(", "),
        other => why(other),
    };
    let limits = |r: &Reading<std::collections::BTreeMap<String, lowlat_model::facts::Limit>>| match r {
        Reading::Value(m) => {
            m.iter().map(|(k, l)| format!("{k} {}/{}", l.current, l.max)).collect::<Vec<_>>().join(", ")
        }
        other => why(other),
    };
    let rows = [
        ("state", show(&i.operstate)),
        ("addresses", i.addresses.join(", ")),
        ("driver", show(&i.driver)),
        ("driver version", show(&i.driver_version)),
        ("firmware", show(&i.firmware)),
        ("bus", show(&i.bus)),
        ("NUMA node", show(&i.numa_node)),
        ("speed, Mbit/s", show(&i.speed_mbps)),
        ("coalescing", map(&i.coalesce)),
        ("rings", limits(&i.rings)),
        ("channels", limits(&i.channels)),
        ("XDP", show(&i.xdp)),
    ];
    Table::block(&["", ""], rows.map(|(k, v)| vec![k.to_owned(), line(&v)]).to_vec())
}

fn show<T: Display>(r: &Reading<T>) -> String {
    r.value().map_or_else(|| why(r), |v| line(&v.to_string()))
}

fn show_list(r: &Reading<Vec<u32>>) -> String {
    match r {
        Reading::Value(list) if list.is_empty() => "none".to_owned(),
        Reading::Value(list) => list.iter().map(u32::to_string).collect::<Vec<_>>().join(", "),
        other => why(other),
    }
}

fn why<T>(r: &Reading<T>) -> String {
    r.why_not().map_or_else(String::new, |(kind, why)| line(&format!("{kind}: {why}")))
}
