//! `lowlat plan`: a diff that changes nothing.

use std::fmt::Write as _;

use lowlat_model::{Plan, Risk};

use crate::figures::line;

/// The plan as a diff: what stands there, what would, why, at what risk, and what undoes it.
pub(crate) fn plan(p: &Plan) -> String {
    let mut out = String::new();
    if p.steps.is_empty() {
        out.push_str("Nothing to change.\n");
    }
    for (n, s) in p.steps.iter().enumerate() {
        let _ = writeln!(out, "@@ {} {} on {} @@", n + 1, line(&s.knob), s.target);
        let _ = writeln!(out, "- {}", line(&s.from));
        let _ = writeln!(out, "+ {}", line(&s.to));
        let link = if s.resets_link { ", resets the link" } else { "" };
        let _ = writeln!(out, "  risk:   {}{link}", risk(s.risk));
        let _ = writeln!(out, "  reason: {}", line(&s.reason));
        let _ = writeln!(out, "  undo:   {}", line(&s.undo));
    }
    if !p.left_out.is_empty() {
        let _ = writeln!(out, "\nLEFT OUT:");
        for l in &p.left_out {
            let _ = writeln!(out, "- {} on {}: {}", line(&l.knob), l.target, line(&l.why));
        }
    }
    out
}

fn risk(r: Risk) -> &'static str {
    match r {
        Risk::Low => "low",
        Risk::Medium => "medium (host-wide, or other programs feel it)",
        Risk::High => "high (can cut a connection)",
        Risk::Reboot => "takes effect only after a reboot",
    }
}
