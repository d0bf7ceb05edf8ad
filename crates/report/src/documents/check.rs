//! `lowlat check`: findings, their evidence and remedies, and what could not be seen.

use lowlat_model::finding::{CheckDocument, Setting};
use lowlat_model::{Finding, NotSeen, Severity};

use super::application::application;
use crate::figures::line;
use crate::fill::fill;
use crate::page::{Block, Section, text_at};

/// The document as text.
pub(crate) fn check(d: &CheckDocument, width: usize) -> String {
    let mut out = String::new();
    if d.findings.is_empty() {
        out.push_str("No fault found.\n");
    }
    for f in &d.findings {
        let head = format!("{}: {}", line(&f.rule), line(&f.title));
        fill(&mut out, &format!("[{}] ", severity(f.severity)), &head, 4, width);
        if let Some(cause) = &f.follows {
            fill(&mut out, "    cause:  ", &format!("likely {}, above", line(cause)), 12, width);
        }
        for evidence in &f.evidence {
            fill(&mut out, "    seen:   ", &line(evidence), 12, width);
        }
        fill(&mut out, "    advice: ", &line(&f.remedy.advice), 12, width);
        for group in f.remedy.settings.chunk_by(|a, b| a.joint.is_some() && a.joint == b.joint) {
            fill(&mut out, "    try:    ", &tried(group), 12, width);
        }
    }
    if d.path.len() > 1 {
        let path = d.path.iter().map(|p| line(p)).collect::<Vec<_>>().join(", ");
        fill(&mut out, "Path: ", &path, 6, width);
    }
    let mut more: Vec<Section> = d.application.iter().map(application).collect();
    if !d.elsewhere.is_empty() {
        more.push(Section::new("Elsewhere on this host", vec![elsewhere(&d.elsewhere)]));
    }
    if !d.not_seen.is_empty() {
        more.push(Section::new("Could not be checked", vec![not_seen(&d.not_seen)]));
    }
    out.push_str(&text_at(&more, width));
    out
}

/// Most settings of one step that are named one by one.
const NAMED: usize = 4;

/// Settings that are one step, on one line: `cpu.governor on cpu0, cpu1 = performance, as one step`.
fn tried(group: &[Setting]) -> String {
    let Some(first) = group.first() else { return String::new() };
    let alike = group.iter().all(|s| s.knob == first.knob && s.value == first.value);
    let named = |words: &dyn Fn(&Setting) -> String| {
        let mut all: Vec<String> = group.iter().take(NAMED).map(words).collect();
        if group.len() > NAMED {
            all.push(format!("{} more", group.len() - NAMED));
        }
        all.join(", ")
    };
    let each = |s: &Setting| format!("{} on {} = {}", line(&s.knob), s.target, line(&s.value));
    let words = if alike {
        format!("{} on {} = {}", line(&first.knob), named(&|s| s.target.to_string()), line(&first.value))
    } else {
        named(&each)
    };
    if group.len() > 1 { format!("{words}, as one step") } else { words }
}

/// What is conspicuous off the path: weight, fault and what shows it. Nothing is advised: nobody measured there.
pub(crate) fn elsewhere(findings: &[Finding]) -> Block {
    let item = |f: &Finding| {
        let evidence: Vec<String> = f.evidence.iter().map(|e| line(e)).collect();
        format!("[{}] {}: {} (seen: {})", severity(f.severity), line(&f.rule), line(&f.title), evidence.join("; "))
    };
    Block::List(findings.iter().map(item).collect())
}

/// `critical`, `warning`, `info`.
pub(crate) fn severity(s: Severity) -> &'static str {
    match s {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    }
}

/// Findings, one item each: weight, fault, what shows it, and what to do. Evidence is too long for a table's cell.
pub(crate) fn findings(findings: &[Finding]) -> Block {
    let item = |f: &Finding| {
        let evidence: Vec<String> = f.evidence.iter().map(|e| line(e)).collect();
        format!(
            "[{}] {}: {} (seen: {}); {}",
            severity(f.severity),
            line(&f.rule),
            line(&f.title),
            evidence.join("; "),
            line(&f.remedy.advice)
        )
    };
    Block::List(findings.iter().map(item).collect())
}

/// What could not be seen, as a list.
pub(crate) fn not_seen(list: &[NotSeen]) -> Block {
    Block::List(list.iter().map(|n| format!("{}: {}", line(&n.fact), line(&n.why))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use lowlat_model::Schema;
    use lowlat_model::op::Target;
    use lowlat_testkit::run::finding;

    #[test]
    fn what_is_off_the_path_is_distinguished_from_faults_of_the_path() {
        let mut d = CheckDocument {
            schema: Schema::current("check"),
            iface: Some("eth0".into()),
            findings: vec![],
            not_seen: vec![],
            elsewhere: vec![finding("netem-on-path", Severity::Critical, "qdisc.kind", Target::Host, "default")],
            path: vec!["bond0".into(), "eth0".into()],
            application: None,
        };
        let reported = check(&d, 80);
        assert!(reported.starts_with("No fault found.\nPath: bond0, eth0\n\nELSEWHERE ON THIS HOST:\n"), "{reported}");
        assert!(reported.contains("netem-on-path") && !reported.contains("try:"), "{reported}");
        d.elsewhere.clear();
        assert_eq!(check(&d, 80), "No fault found.\nPath: bond0, eth0\n");
        d.path.truncate(1);
        assert_eq!(check(&d, 80), "No fault found.\n");
    }

    fn setting(knob: &str, target: &str, value: &str) -> Setting {
        let target = target.parse().unwrap();
        Setting { knob: knob.into(), target, value: value.into(), joint: Some("group".into()) }
    }

    #[test]
    fn settings_of_one_step_are_one_line() {
        let all: Vec<Setting> = (0..64).map(|n| setting("cpu.governor", &format!("cpu{n}"), "performance")).collect();
        assert_eq!(tried(&all[..2]), "cpu.governor on cpu0, cpu1 = performance, as one step");
        assert_eq!(tried(&all), "cpu.governor on cpu0, cpu1, cpu2, cpu3, 60 more = performance, as one step");
        assert_eq!(tried(&all[..1]), "cpu.governor on cpu0 = performance");
        let pair = [setting("nic.coalesce.rx-usecs", "eth0", "0"), setting("nic.coalesce.rx-frames", "eth0", "1")];
        assert_eq!(tried(&pair), "nic.coalesce.rx-usecs on eth0 = 0, nic.coalesce.rx-frames on eth0 = 1, as one step");
    }
}
