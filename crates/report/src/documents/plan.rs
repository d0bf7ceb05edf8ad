//! `lowlat plan`: a diff that changes nothing.

use std::fmt::Write as _;

use lowlat_model::plan::PlannedStep;
use lowlat_model::tune::Resets;
use lowlat_model::{Plan, Risk};

use crate::figures::line;
use crate::fill::fill;

/// The plan as a diff: the current value, what would, why, at what risk, and what undoes it.
pub(crate) fn plan(p: &Plan, width: usize) -> String {
    let mut out = String::new();
    if p.steps.is_empty() {
        out.push_str("Nothing to change.\n");
    }
    for (n, s) in p.steps.iter().enumerate() {
        let _ = writeln!(out, "@@ {} {} on {} @@", n + 1, line(&s.knob), s.target);
        let _ = writeln!(out, "- {}", line(&s.from));
        let _ = writeln!(out, "+ {}", line(&s.to));
        for m in &s.members {
            let _ = writeln!(out, "  with:   {} on {}: {} -> {}", line(&m.knob), m.target, line(&m.from), line(&m.to));
        }
        let _ = writeln!(out, "  risk:   {}{}", risk(s.risk), resets(s));
        if let Some(why) = &s.resets_why {
            fill(&mut out, "  resets: ", &line(why), 10, width);
        }
        fill(&mut out, "  reason: ", &line(&s.reason), 10, width);
        let _ = writeln!(out, "  undo:   {}", line(&s.undo));
    }
    if !p.left_out.is_empty() {
        let _ = writeln!(out, "\nLEFT OUT:");
        for l in &p.left_out {
            fill(&mut out, "- ", &format!("{} on {}: {}", line(&l.knob), l.target, line(&l.why)), 2, width);
        }
    }
    out
}

/// What goes down for a moment when it is written.
fn resets(s: &PlannedStep) -> &'static str {
    match s.resets {
        Resets::Link => ", resets the link",
        Resets::Queues => ", resets the queues",
        Resets::Nothing if s.resets_link => ", resets the link",
        Resets::Nothing => "",
    }
}

fn risk(r: Risk) -> &'static str {
    match r {
        Risk::Low => "low",
        Risk::Medium => "medium (host-wide, or affects other programs)",
        Risk::High => "high (can cut a connection)",
        Risk::Reboot => "takes effect only after a reboot",
    }
}
