//! `lowlat bypass verdict`: one page.

use lowlat_model::bypass_verdict::{BypassVerdict, EngineVerdict, Extent};
use lowlat_model::units;

use crate::figures::{line, percent, time};
use crate::page::{Block, Section, Table, text_at};

/// The document as text.
pub(crate) fn bypass_verdict(b: &BypassVerdict, width: usize) -> String {
    text_at(&sections(b), width).trim_start().to_owned()
}

/// The document laid out.
pub(crate) fn sections(b: &BypassVerdict) -> Vec<Section> {
    let go = match b.go {
        Some(true) => "go",
        Some(false) => "no-go",
        None => "not decided",
    };
    let iface = b.iface.as_deref().map_or_else(String::new, |iface| {
        let driver = if b.driver.is_empty() { String::new() } else { format!(" ({})", line(&b.driver)) };
        format!("{}{driver} ", line(iface))
    });
    let of = format!(
        "{iface}to {}, {}, {} bytes, kernel {}; {} rounds of each engine, alternated",
        line(&b.target),
        line(&b.proto),
        b.size_bytes,
        line(&b.kernel),
        b.laps
    );
    let mut sections =
        vec![Section::new(&format!("Kernel bypass: {go}"), vec![Block::Words(line(&b.why)), Block::Words(of)])];
    let ran: Vec<&EngineVerdict> = b.engines.iter().filter(|e| e.why_not.is_none()).collect();
    if !ran.is_empty() {
        let against = b.reference.as_deref().map_or_else(|| "P50".to_owned(), |r| format!("P50 to {}", line(r)));
        let columns = ["engine", "P50", "P99", "P99.9", &against, "P99"];
        let blocks = vec![Table::block(&columns, ran.iter().map(|e| latency(e)).collect())];
        sections.push(Section::new("Latency and change in %, with 95 % intervals", blocks));
        let columns = ["engine", "cores", "CPU", "ratio", "calls", "sleeps", "interrupts"];
        let blocks = vec![Table::block(&columns, ran.iter().map(|e| cost(e)).collect())];
        sections.push(Section::new("Cost of a message: CPU time, system calls, interrupts", blocks));
    }
    let not: Vec<String> =
        b.engines.iter().filter_map(|e| Some(format!("{}: {}", e.name(), e.why_not.as_deref()?))).collect();
    if !not.is_empty() {
        sections.push(Section::new("Not measured", vec![Block::List(not.iter().map(|l| line(l)).collect())]));
    }
    let lost: Vec<String> = b.engines.iter().filter(|e| !e.control && !e.loses.is_empty()).map(loses).collect();
    if !lost.is_empty() {
        sections.push(Section::new("What stops working for the flow", vec![Block::List(lost)]));
    }
    let mut rule =
        vec![Block::Words(format!("{}; worth having: {} % of the median", line(&b.rule), share(b.worth_ratio)))];
    if !b.warnings.is_empty() {
        rule.push(Block::List(b.warnings.iter().map(|w| line(w)).collect()));
    }
    sections.push(Section::new("Rule", rule));
    sections
}

fn latency(e: &EngineVerdict) -> Vec<String> {
    vec![
        line(&e.name()),
        time(e.p50_ns),
        time(e.p99_ns),
        time(e.p999_ns),
        change(e.p50_change_ratio, e.p50_change_low, e.p50_change_high),
        change(e.p99_change_ratio, e.p99_change_low, e.p99_change_high),
    ]
}

fn cost(e: &EngineVerdict) -> Vec<String> {
    let figure = |f: Option<f64>| f.map_or_else(|| "n/a".to_owned(), number);
    vec![
        line(&e.name()),
        figure(e.cores_busy),
        time(e.cpu_ns_per_message),
        figure(e.cpu_ratio),
        figure(e.syscalls_per_message),
        figure(e.sleeps_per_message),
        figure(e.interrupts_per_message),
    ]
}

/// What an engine loses, in the order of its page: the names, and the reasons are on the page.
fn loses(e: &EngineVerdict) -> String {
    let names: Vec<&str> = e.loses.iter().filter_map(|l| l.split(':').next()).collect();
    let how = match e.bypass {
        Extent::None => "no bypass",
        Extent::Partial => "partial bypass",
        Extent::Full => "full bypass",
    };
    line(&format!("{} ({how}): {}; see `lowlat explain {}`", e.engine, names.join(", "), e.engine))
}

/// `−59 [−60, −58]`, `+1.4 [−1.0, +4.1]`: in whole percent from ten on, so that six columns fit a terminal.
fn change(ratio: Option<f64>, low: Option<f64>, high: Option<f64>) -> String {
    let signed = |r: f64| match r * 100.0 {
        // A tail that says as much says nothing.
        p if p >= 1000.0 => ">+999".to_owned(),
        p if p.abs() >= 10.0 => units::minus(&format!("{p:+.0}")),
        p => units::minus(&format!("{p:+.1}")),
    };
    match (ratio, low, high) {
        (Some(r), Some(l), Some(h)) => format!("{} [{}, {}]", signed(r), signed(l), signed(h)),
        (Some(r), ..) => signed(r),
        _ => "-".to_owned(),
    }
}

/// `20`, `0.5`.
fn share(ratio: f64) -> String {
    percent(ratio).trim_end_matches(".0").to_owned()
}

/// Three figures that carry meaning.
fn number(f: f64) -> String {
    if f >= 100.0 {
        format!("{f:.0}")
    } else if f >= 10.0 {
        format!("{f:.1}")
    } else {
        format!("{f:.2}")
    }
}

#[cfg(test)]
mod tests {
    use lowlat_model::stored::StoredRun;

    use super::*;

    fn engine(name: &str, p50: u64, change: Option<f64>) -> EngineVerdict {
        EngineVerdict {
            engine: name.to_owned(),
            p50_ns: Some(p50),
            p99_ns: Some(p50 * 2),
            p999_ns: Some(p50 * 9),
            p50_change_ratio: change,
            p50_change_low: change.map(|c| c - 0.012),
            p50_change_high: change.map(|c| c + 0.013),
            p99_change_ratio: change,
            p99_change_low: change.map(|c| c - 0.112),
            p99_change_high: change.map(|c| c + 0.113),
            cpu_ratio: Some(0.51),
            cpu_ns_per_message: Some(p50),
            cores_busy: Some(1.0),
            syscalls_per_message: Some(103.2),
            interrupts_per_message: None,
            sleeps_per_message: Some(2.01),
            costs: "one core".to_owned(),
            ..EngineVerdict::default()
        }
    }

    fn document() -> BypassVerdict {
        let loses = ["firewall: a", "routing: b", "sockets: c", "tcpdump: d"].map(str::to_owned).to_vec();
        let xdp = EngineVerdict { loses, bypass: Extent::Partial, ..engine("af-xdp", 5_000, Some(-0.5)) };
        let none = EngineVerdict {
            engine: "dpdk".into(),
            why_not: Some("dpdk: no hugepages".into()),
            ..EngineVerdict::default()
        };
        BypassVerdict {
            target: "198.18.0.2".into(),
            iface: Some("near0".into()),
            driver: "veth".into(),
            kernel: "6.12.1".into(),
            proto: "udp".into(),
            go: Some(true),
            why: "af-xdp: P50 −50.0 % [−51.2, −48.7] against spin, at least 20 % with the whole interval".into(),
            rule: "go where a bypass engine is shown to be better than the kernel's best".into(),
            reference: Some("spin".into()),
            worth_ratio: 0.2,
            laps: 20,
            engines: vec![
                engine("block", 12_000, Some(0.201)),
                engine("spin", 10_000, None),
                engine("busy-poll", 10_100, Some(0.01)),
                engine("epoll", 14_000, Some(0.4)),
                engine("io-uring", 13_000, Some(0.3)),
                xdp,
                none,
            ],
            ..BypassVerdict::default()
        }
    }

    #[test]
    fn it_is_one_page_of_eighty_columns_with_every_figure() {
        let text = bypass_verdict(&document(), 80);
        assert!(text.lines().all(|l| l.chars().count() <= 80), "{text}");
        assert!(text.lines().count() <= 36, "{} lines\n{text}", text.lines().count());
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in [
            "KERNEL BYPASS: GO:",
            "−50 [−51, −49]",
            "+1.0 [−0.2, +2.3]",
            "P50 to spin",
            "103",
            "n/a",
            "dpdk: dpdk: no hugepages",
            "partial bypass): firewall, routing, sockets, tcpdump",
            "worth having: 20 % of the median",
        ] {
            assert!(words.contains(part), "{part}\n{text}");
        }
        let of = |go| bypass_verdict(&BypassVerdict { go, ..document() }, 80);
        assert!(of(Some(false)).starts_with("KERNEL BYPASS: NO-GO"));
        assert!(of(None).starts_with("KERNEL BYPASS: NOT DECIDED"));
    }

    #[test]
    fn markdown_and_html_have_it_too() {
        let run = StoredRun::Bypass(Box::new(document()));
        for format in [crate::Format::Markdown, crate::Format::Html] {
            let text = crate::stored(&run, format, 80);
            assert!(text.contains("af-xdp") && text.contains("no hugepages") && text.contains("tcpdump"), "{text}");
        }
    }
}
