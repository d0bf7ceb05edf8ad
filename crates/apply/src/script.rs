//! The way back without lowlat: a plain shell script next to the journal.

use std::fmt::Write as _;

use lowlat_knobs::shell;

use crate::ledger::{HolderId, Ledger};

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
        let command = match &s.holder {
            // The pipe is the same in every process-id namespace; opened for both ways it never waits (fifo(7)).
            Some(HolderId { token: Some(token), .. }) => {
                format!("h=${{0%/*}}/hold-{token}\nif [ -p \"$h\" ]; then echo end 1<>\"$h\"; fi")
            }
            // Gone is as good as ended; an id that another process has now is left alone.
            Some(h) => format!("if grep -qsx lowlat-hold /proc/{0}/comm; then kill {0}; fi", h.pid),
            None => shell::restore(&s.op.locus, &s.prior),
        };
        let _ = write!(out, "\n# {} on {}\n{command} || failed=1\n", s.knob, s.target);
    }
    out.push_str("\nexit $failed\n");
    out
}
