//! `lowlat check`: findings, their evidence and remedies, and what could not be seen.

use lowlat_model::finding::CheckDocument;
use lowlat_model::{Finding, NotSeen, Severity};

use crate::figures::line;
use crate::fill::fill;
use crate::page::{Block, Section, WIDTH, text};

/// The document as text.
pub fn check(d: &CheckDocument) -> String {
    let mut out = String::new();
    if d.findings.is_empty() {
        out.push_str("No fault found.\n");
    }
    for f in &d.findings {
        let head = format!("{}: {}", line(&f.rule), line(&f.title));
        fill(&mut out, &format!("[{}] ", severity(f.severity)), &head, 4, WIDTH);
        for evidence in &f.evidence {
            fill(&mut out, "    seen:   ", &line(evidence), 12, WIDTH);
        }
        fill(&mut out, "    advice: ", &line(&f.remedy.advice), 12, WIDTH);
        for s in &f.remedy.settings {
            let setting = format!("{} on {} = {}", line(&s.knob), s.target, line(&s.value));
            fill(&mut out, "    try:    ", &setting, 12, WIDTH);
        }
    }
    let mut more = Vec::new();
    if !d.elsewhere.is_empty() {
        let words = Block::Words(format!("Off the path ({}):", d.path.join(", ")));
        more.push(Section::new("Elsewhere on this host", vec![words, findings(&d.elsewhere)]));
    }
    if !d.not_seen.is_empty() {
        more.push(Section::new("Could not be checked", vec![not_seen(&d.not_seen)]));
    }
    out.push_str(&text(&more));
    out
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
    fn what_is_off_the_path_is_told_apart_from_faults_of_the_path() {
        let mut d = CheckDocument {
            schema: Schema::current("check"),
            iface: Some("eth0".into()),
            findings: vec![],
            not_seen: vec![],
            elsewhere: vec![finding("netem-on-path", Severity::Critical, "qdisc.kind", Target::Host, "default")],
            path: vec!["bond0".into(), "eth0".into()],
        };
        let told = check(&d);
        assert!(told.starts_with("No fault found.\n\nELSEWHERE ON THIS HOST:\nOff the path (bond0, eth0):"), "{told}");
        d.elsewhere.clear();
        assert_eq!(check(&d), "No fault found.\n");
    }
}
