//! The way back without lowlat: a plain shell script next to the journal.

use std::fmt::Write as _;

use lowlat_knobs::shell;

use crate::ledger::Ledger;

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
    for (n, s) in ledger.standing.iter().enumerate().rev() {
        if ledger.standing[..n].iter().any(|first| first.op.locus == s.op.locus) {
            continue;
        }
        let command = match s.holder {
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
