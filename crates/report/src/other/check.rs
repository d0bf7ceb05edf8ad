//! `lowlat check`: findings, their evidence and remedies, and what could not be seen.

use std::fmt::Write as _;

use lowlat_model::finding::CheckDocument;
use lowlat_model::{Finding, NotSeen, Severity};

use crate::figures::line;
use crate::page::{Block, Section, text};

/// The document as text.
pub(crate) fn check(d: &CheckDocument) -> String {
    let mut out = String::new();
    if d.findings.is_empty() {
        out.push_str("No fault found.\n");
    }
    for f in &d.findings {
        let _ = writeln!(out, "[{}] {}: {}", severity(f.severity), line(&f.rule), line(&f.title));
        for evidence in &f.evidence {
            let _ = writeln!(out, "    seen:   {}", line(evidence));
        }
        let _ = writeln!(out, "    advice: {}", line(&f.remedy.advice));
        for s in &f.remedy.settings {
            let _ = writeln!(out, "    try:    {} on {} = {}", line(&s.knob), s.target, line(&s.value));
        }
    }
    if !d.not_seen.is_empty() {
        out.push_str(&text(&[Section::new("Not seen", vec![not_seen(&d.not_seen)])]));
    }
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
