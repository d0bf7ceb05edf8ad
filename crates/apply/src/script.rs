//! The way back without lowlat: a plain shell script next to the journal.

use std::fmt::Write as _;

use lowlat_knobs::shell;

use crate::ledger::{HolderId, Ledger, Standing};
use crate::writer::together;

/// File name beside the journal.
pub fn name(transaction: &str) -> String {
    format!("{transaction}.rollback.sh")
}

/// Restores what was there before the transaction, newest place first. Each place appears once, with what stood there
/// before its first write. One whose transaction was closed meanwhile does nothing: what it knows is of the past.
pub fn write(ledger: &Ledger) -> String {
    let mut out = format!(
        "#!/bin/sh\n# Puts back what lowlat changed in transaction {}, without lowlat.\n\
         # Run as root, in the same network namespace (inode {}) and before a reboot:\n\
         # live settings end with the boot {}.\nfailed=0\n",
        ledger.transaction, ledger.netns, ledger.boot_id
    );
    let first = |(n, s): &(usize, &Standing)| !ledger.standing[..*n].iter().any(|first| first.op.locus == s.op.locus);
    let oldest: Vec<&Standing> = ledger.standing.iter().enumerate().filter(first).map(|(_, s)| s).rev().collect();
    for (n, s) in oldest.iter().enumerate() {
        let newer = n.checked_sub(1).and_then(|n| oldest.get(n));
        if newer.is_none_or(|newer| !together(&newer.op.locus, &s.op.locus)) {
            let run = oldest[n..].iter().take_while(|o| together(&o.op.locus, &s.op.locus));
            out.push_str(&at_once(&run.copied().collect::<Vec<_>>()));
        }
        let command = match &s.holder {
            // The pipe is the same in every process-id namespace; opened for both ways it never waits (fifo(7)).
            Some(HolderId { token: Some(token), .. }) => {
                format!("h=${{0%/*}}/hold-{token}\nif [ -p \"$h\" ]; then echo end 1<>\"$h\"; fi")
            }
            // Gone is as good as ended; an id that another process has now is left alone.
            Some(h) => format!("if grep -qsx lowlat-hold /proc/{0}/comm; then kill {0}; fi", h.pid),
            None => shell::restore(&s.op.locus, &s.prior),
        };
        let what = shell::comment(&format!("{} on {}", s.knob, s.target));
        let _ = write!(out, "\n# {what}\n{command} || failed=1\n");
    }
    out.push_str("\nexit $failed\n");
    out
}

/// Coalescing parameters of one interface in one command, for drivers that check them against each other; the commands
/// of each that follow put back what a driver takes only alone.
fn at_once(run: &[&Standing]) -> String {
    let places: Vec<_> = run.iter().map(|s| (&s.op.locus, &s.prior)).collect();
    let Some(command) = shell::coalesce_at_once(&places) else { return String::new() };
    format!("\n# coalescing of one interface: at once, then one by one\n{command} 2>/dev/null || true\n")
}

#[cfg(test)]
mod tests {
    use lowlat_model::journal::NetnsId;
    use lowlat_model::{Locus, Op, State};

    use super::*;

    #[test]
    fn a_coalescing_group_goes_back_at_once_and_then_one_by_one() {
        let stands = |seq: u64, locus: Locus, prior: &str| Standing {
            seq,
            knob: "k".into(),
            target: "eth0".parse().unwrap(),
            op: Op::text(locus, "9"),
            prior: State::Text(prior.into()),
            read_back: None,
            holder: None,
        };
        let param = |param: &str| Locus::Coalesce { iface: "eth0".into(), param: param.into() };
        let mut ledger = Ledger {
            transaction: "t".into(),
            boot_id: "b".into(),
            netns: NetnsId { inode: 1, cookie: None },
            pid: 1,
            at_unix_ns: 1,
            standing: vec![
                stands(0, param("adaptive-rx"), "1"),
                stands(1, param("rx-usecs"), "20"),
                stands(2, Locus::File { path: "/proc/sys/x".into() }, "3"),
            ],
            next_seq: 3,
            confirmed: false,
            closed: false,
        };
        let text = write(&ledger);
        let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("no {part:?} in {text}"));
        let order = [
            at("/proc/sys/x"),
            at("ethtool -C eth0 rx-usecs 20 adaptive-rx on 2>/dev/null || true\n"),
            at("ethtool -C eth0 rx-usecs 20 || failed=1"),
            at("ethtool -C eth0 adaptive-rx on || failed=1"),
        ];
        assert!(order.is_sorted(), "{text}");
        // One parameter alone needs no such line.
        ledger.standing.remove(0);
        assert!(!write(&ledger).contains("at once"));
    }
}
