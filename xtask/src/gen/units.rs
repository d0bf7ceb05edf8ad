//! One page per knob, rule, collector, engine, far-end protocol and NIC family.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use lowlat_collect::COLLECTORS;
use lowlat_families::FAMILIES;
use lowlat_knobs::KNOBS;
use lowlat_model::Risk;
use lowlat_peers::PEERS;
use lowlat_rules::RULES;
use lowlat_transport::{ENGINES, Proto};

use super::Pages;
use super::text::{NOTE, cell, list, module_docs, source};
use crate::tree::{Tree, product};

/// Name, cost and file of an engine.
pub(crate) struct EngineFacts {
    /// Name in `--engine`.
    pub(crate) name: &'static str,
    /// What it costs its user.
    pub(crate) costs: &'static str,
    /// The file whose `//!` docs are its page.
    pub(crate) file: String,
}

/// Every engine: the socket ones, then those with a crate of their own.
pub(crate) fn engine_facts() -> Vec<EngineFacts> {
    use {lowlat_transport_dpdk as dpdk, lowlat_transport_uring as uring, lowlat_transport_xdp as xdp};
    let socket = ENGINES.iter().map(|e| EngineFacts {
        name: e.name,
        costs: e.costs,
        file: format!("crates/transport/src/{}.rs", e.name.replace('-', "_")),
    });
    let own = [
        EngineFacts { name: uring::NAME, costs: uring::COSTS, file: "crates/transport-uring/src/lib.rs".to_owned() },
        EngineFacts { name: xdp::NAME, costs: xdp::COSTS, file: "crates/transport-xdp/src/lib.rs".to_owned() },
        EngineFacts { name: dpdk::NAME, costs: dpdk::COSTS, file: "crates/transport-dpdk/src/lib.rs".to_owned() },
    ];
    socket.chain(own).collect()
}

/// What a risk means to the reader.
pub(crate) fn risk(risk: Risk) -> &'static str {
    match risk {
        Risk::Low => "low: reverts cleanly, touches one path or one setting",
        Risk::Medium => "medium: host-wide, or other programs feel it",
        Risk::High => "high: resets the link or may cut a connection; needs `--allow-disruptive`",
        Risk::Reboot => "reboot: takes effect only after one, so lowlat never applies it live",
    }
}

/// Knobs that a rule's remedies name, in the catalogue's order: those that stand as a string in its code.
pub(crate) fn remedies(tree: &Tree, file: &str) -> Vec<&'static str> {
    let code = product(tree.text(file).unwrap_or_default());
    KNOBS.iter().map(|k| k.meta.name).filter(|name| code.contains(&format!("\"{name}\""))).collect()
}

fn code_link(file: &str) -> String {
    format!("[{file}](../../../{file})")
}

pub(crate) fn knobs(tree: &Tree, pages: &mut Pages) {
    for knob in KNOBS {
        let m = &knob.meta;
        let reset = match (knob.place.part(), m.resets_link) {
            (Some(_), _) => "as the driver does: see [resets](../resets.md)",
            (None, true) => "yes, for a moment",
            (None, false) => "no",
        };
        let mut page = format!("{NOTE}\n# {}\n\n| | |\n|---|---|\n", m.name);
        for (name, value) in [
            ("Kernels", m.kernels),
            ("Phase", if m.phase == 3 { "3, bypass" } else { "2, kernel" }),
            ("Standing", m.standing.words()),
            ("Risk", risk(m.risk)),
            ("Resets the link", reset),
        ] {
            let _ = writeln!(page, "| {name} | {} |", cell(value));
        }
        if !m.also.is_empty() {
            let _ = writeln!(page, "| Also known as | {} |", cell(&m.also.join(", ")));
        }
        if !m.needs.is_empty() {
            let needs = m.needs.iter().map(|n| format!("[{n}]({n}.md)")).collect::<Vec<_>>().join(", ");
            let _ = writeln!(page, "| Acts with | {needs} |");
        }
        let _ = writeln!(page, "| Code | {} |\n\n{}", code_link(m.file), m.page.trim());
        let rules = RULES.iter().map(|r| r.meta()).filter(|r| remedies(tree, r.file).contains(&m.name));
        page.push_str(&list("Asked for by", rules.map(|r| format!("[{0}](../rules/{0}.md)", r.name))));
        page.push_str(&list("Sources", m.sources.iter().map(|s| source(s))));
        pages.insert(format!("knobs/{}.md", m.name), page);
    }
}

pub(crate) fn rules(tree: &Tree, pages: &mut Pages) {
    for rule in RULES {
        let m = rule.meta();
        let mut page = format!("{NOTE}\n# {}\n\n{}\n", m.name, m.page.trim());
        page.push_str(&list(
            "Settings it asks for",
            remedies(tree, m.file).iter().map(|k| format!("[{k}](../knobs/{k}.md)")),
        ));
        page.push_str(&list("Sources", m.sources.iter().map(|s| source(s))));
        let _ = write!(page, "\nCode: {}\n", code_link(m.file));
        pages.insert(format!("rules/{}.md", m.name), page);
    }
}

/// A collector's page file: its name, whose `/` is none in a file name.
pub(crate) fn collector_file(name: &str) -> String {
    format!("{}.md", name.replace('/', "."))
}

pub(crate) fn collectors(pages: &mut Pages) {
    for collector in COLLECTORS {
        let mut page = format!("{NOTE}\n# {}\n\n{}\n", collector.name, collector.page.trim());
        page.push_str(&list("Reads", collector.reads.iter().map(|r| format!("`{r}`"))));
        page.push_str(&list("Sources", collector.sources.iter().map(|s| source(s))));
        let _ = write!(page, "\nCode: {}\n", code_link(collector.file));
        pages.insert(format!("collectors/{}", collector_file(collector.name)), page);
    }
}

pub(crate) fn families(pages: &mut Pages) {
    for family in FAMILIES {
        let drivers = family.drivers.iter().map(|d| format!("`{d}`")).collect::<Vec<_>>().join(", ");
        let mut page = format!("{NOTE}\n# {}\n\nDrivers: {drivers}\n\n{}\n", family.name, family.page.trim());
        page.push_str(&list("Sources", family.sources.iter().map(|s| source(s))));
        let _ = write!(page, "\nCode: {}\n", code_link(family.file));
        pages.insert(format!("families/{}.md", family.name), page);
    }
}

pub(crate) fn engines(tree: &Tree, pages: &mut Pages) -> Result<()> {
    for engine in engine_facts() {
        let text =
            tree.text(&engine.file).with_context(|| format!("engine {}: no file {}", engine.name, engine.file))?;
        let page = format!(
            "{NOTE}\n# {}\n\nCosts: {}.\n\n{}\n\nCode: {}\n",
            engine.name,
            engine.costs,
            module_docs(text),
            code_link(&engine.file)
        );
        pages.insert(format!("engines/{}.md", engine.name), page);
    }
    Ok(())
}

fn protocols(protos: &[Proto]) -> String {
    let names = protos.iter().map(|p| match p {
        Proto::Icmp => "ICMP",
        Proto::Udp => "UDP",
        Proto::Tcp => "TCP",
        Proto::TcpConnect => "TCP handshakes",
        Proto::Tls => "TLS greetings",
        Proto::UdpClosed => "UDP to a closed port",
        Proto::Arp => "ARP",
        Proto::Nd => "neighbour discovery",
    });
    names.collect::<Vec<_>>().join(", ")
}

pub(crate) fn peers(tree: &Tree, pages: &mut Pages) -> Result<()> {
    for peer in PEERS {
        let file = format!("crates/peers/src/{}.rs", peer.name.replace('-', "_"));
        let text = tree.text(&file).with_context(|| format!("peer {}: no file {file}", peer.name))?;
        let port = if peer.default_port == 0 { "none".to_owned() } else { peer.default_port.to_string() };
        let page = format!(
            "{NOTE}\n# {}\n\nRuns on: {}. Port: {port}.\n\n{}\n\nCode: {}\n",
            peer.name,
            protocols(peer.protos),
            module_docs(text),
            code_link(&file)
        );
        pages.insert(format!("peers/{}.md", peer.name), page);
    }
    Ok(())
}
