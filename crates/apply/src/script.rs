//! The way back without lowlat: a plain shell script next to the journal.

use std::fmt::Write as _;

use lowlat_knobs::shell;
use lowlat_model::Locus;

use crate::ledger::{HolderId, Ledger, Standing};

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
    if ledger.standing.iter().any(|s| inode(s).is_some()) {
        out.push_str(CALLED);
    }
    for (n, s) in ledger.standing.iter().enumerate().rev() {
        if ledger.standing[..n].iter().any(|first| first.op.locus == s.op.locus) {
            continue;
        }
        let _ = write!(out, "\n# {} on {}\n{} || failed=1\n", s.knob, s.target, command(s));
        // Only lowlat can give a single NAPI instance its value; where it is the device's, the write above did.
        for b in s.beside.iter().filter(|b| matches!(b.locus, Locus::Napi { .. }) && b.state != s.prior) {
            let _ = writeln!(out, "{} || failed=1", shell::restore(&b.locus, &b.state));
        }
    }
    out.push_str("\nexit $failed\n");
    out
}

/// The present name of an interface, by the inode of its directory in sysfs, which a rename keeps.
const CALLED: &str = r#"called() {
  for d in /sys/class/net/*/.; do
    n=$(ls -di "$d" | tr -d ' ')
    if [ "${n%%/*}" = "$1" ]; then d=${d%/.}; echo "${d##*/}"; return 0; fi
  done
  echo "interface $2 is not in this network namespace any more" >&2
  return 1
}
"#;

fn inode(s: &Standing) -> Option<(u64, &str)> {
    let device = s.device.as_ref()?;
    Some((device.inode?, device.name.as_str()))
}

fn command(s: &Standing) -> String {
    match &s.holder {
        // The pipe is the same in every process-id namespace; opened for both ways it never waits (fifo(7)).
        Some(HolderId { token: Some(token), .. }) => {
            return format!("h=${{0%/*}}/hold-{token}\nif [ -p \"$h\" ]; then echo end 1<>\"$h\"; fi");
        }
        // Gone is as good as ended; an id that another process has now is left alone.
        Some(h) => return format!("if grep -qsx lowlat-hold /proc/{0}/comm; then kill {0}; fi", h.pid),
        None => {}
    }
    // What a shell cannot put back is told by the name it had.
    let told = matches!(s.op.locus, Locus::Napi { .. } | Locus::Rss { .. });
    let Some((inode, name)) = inode(s).filter(|_| !told) else { return shell::restore(&s.op.locus, &s.prior) };
    let text = shell::restore(&s.op.locus.on(STANDS_FOR), &s.prior);
    // In the pattern of sed the name stands between single quotes.
    let text = text.replace(&format!("[ ,]{STANDS_FOR}"), r#"[ ,]'"$i"'"#).replace(STANDS_FOR, r#""$i""#);
    format!("i=$(called {inode} {}) && {{\n{text}\n}}", shell::quote(name))
}

/// Stands for the interface's name until it is known; no word that a shell would quote, and longer than a name can be.
const STANDS_FOR: &str = "THE_INTERFACE_OF_THIS_COMMAND";

#[cfg(test)]
mod tests {
    use lowlat_model::journal::{Beside, Device, JournalEntry};
    use lowlat_model::{Op, Schema, State};

    use super::*;

    #[test]
    fn an_interface_is_called_by_its_present_name() {
        let of = |locus: Locus, was: &str| {
            let begin = JournalEntry::Begin {
                schema: Schema::current("journal"),
                transaction: "t".into(),
                boot_id: "b".into(),
                netns: 1,
                netns_cookie: None,
                pid: 1,
                at_unix_ns: 0,
            };
            let intent = JournalEntry::Intent {
                seq: 0,
                knob: "k".into(),
                target: "eth0".parse().unwrap(),
                op: Op::text(locus, "x"),
                prior: State::Text(was.into()),
                device: Some(Device { name: "eth0".into(), inode: Some(77), ..Device::default() }),
                beside: ["5", "9"]
                    .map(|v| Beside {
                        locus: Locus::Napi { iface: "eth0".into(), id: 8193, param: "gro-flush-timeout".into() },
                        state: State::Text(v.into()),
                    })
                    .into(),
            };
            write(&Ledger::fold(&[begin, intent]).unwrap().unwrap())
        };
        let text = of(Locus::File { path: "/sys/class/net/eth0/gro_flush_timeout".into() }, "9");
        assert!(
            text.contains("i=$(called 77 eth0) && {\nprintf '%s\\n' 9 > /sys/class/net/\"$i\"/gro_flush_timeout\n}"),
            "{text}"
        );
        assert!(text.contains("gro-flush-timeout was 5") && !text.contains("gro-flush-timeout was 9"), "{text}");
        let text = of(Locus::Ring { iface: "eth0".into(), param: "rx".into() }, "9");
        assert!(text.contains("ethtool -G \"$i\" rx 9"), "{text}");
        let text = of(Locus::IrqAffinity { iface: "eth0".into(), index: 0 }, "9");
        assert!(text.contains("d=/sys/class/net/\"$i\"/device") && text.contains("[ ,]'\"$i\"'\\("), "{text}");
        assert!(!text.contains(STANDS_FOR), "{text}");
    }
}
