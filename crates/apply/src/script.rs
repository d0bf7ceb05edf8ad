//! The rollback without lowlat: a plain shell script next to the journal.

use std::fmt::Write as _;

use lowlat_model::{Locus, State};
use lowlat_settings::{at, shell, undo, undo_together, undone_at_once};

use crate::ledger::{HolderId, Ledger, StandingWrite};

/// File name next to the journal.
pub fn name(transaction: &str) -> String {
    format!("{transaction}.rollback.sh")
}

/// Restores what was there before the transaction, newest place first. Each place appears once, with what stood there
/// before its first write. One whose transaction was closed meanwhile does nothing: what it knows is of the past.
pub fn write(ledger: &Ledger) -> String {
    let mut out = format!(
        "#!/bin/sh\n{LINT}\n# Puts back what lowlat changed in transaction {}, without lowlat.\n\
         # Run as root, in the same network namespace (inode {}) and before a reboot:\n\
         # live settings end with the boot {}.\nfailed=0\n",
        ledger.transaction, ledger.netns, ledger.boot_id
    );
    if ledger.standing.iter().any(|s| inode(s).is_some()) {
        out.push_str(CALLED);
    }
    let oldest: Vec<&StandingWrite> = restored(ledger).rev().collect();
    for run in oldest.chunk_by(|a, b| undone_at_once(&a.op.locus, &b.op.locus) && inode(a) == inode(b)) {
        out.push_str(&at_once(run));
        for s in run {
            let what = shell::comment(&format!("{} on {}", s.knob, s.target));
            let _ = write!(out, "\n# {what}\n{} || failed=1\n", command(s));
            // Only lowlat can give a single NAPI instance its value; where it is the device's, the write above did.
            for b in s.beside.iter().filter(|b| !at(&b.locus).undone_by_shell() && b.state != s.prior) {
                let _ = writeln!(out, "{} || failed=1", undo(&b.locus, &b.state));
            }
        }
    }
    out.push_str("\nexit $failed\n");
    out
}

/// The oldest write of each place that stands, in the order in which they were made: the script puts back what was there
/// before it.
pub(crate) fn restored(ledger: &Ledger) -> impl DoubleEndedIterator<Item = &StandingWrite> {
    let is_first =
        |(n, s): &(usize, &StandingWrite)| !ledger.standing[..*n].iter().any(|first| first.op.locus == s.op.locus);
    ledger.standing.iter().enumerate().filter(is_first).map(|(_, s)| s)
}

/// What shellcheck would say and is meant: a route's words are split, a failed command is known by its last word, no interface's name holds a blank
/// (net/core/dev.c, `dev_valid_name`). Before the first command it is of the whole file.
pub(crate) const LINT: &str = "# shellcheck disable=SC2012,SC2015,SC2046";

/// Coalescing parameters or features of one interface in one command, since one may be taken only with another; the commands
/// of each that follow put back what a driver takes only alone.
fn at_once(run: &[&StandingWrite]) -> String {
    let Some(newest) = run.first() else { return String::new() };
    let command = by_present_name(newest, |called| {
        let loci: Vec<Locus> =
            run.iter().map(|s| called.map_or_else(|| s.op.locus.clone(), |name| s.op.locus.on(name))).collect();
        let places: Vec<_> = loci.iter().zip(run.iter().map(|s| &s.prior)).collect();
        undo_together(&places)
    });
    // A refusal here is not lost: each place is put back alone after this, and what fails there sets the exit code.
    command.map_or_else(String::new, |command| {
        format!("\n# of one interface: at once, then one by one\n{command} 2>/dev/null || true\n")
    })
}

/// The present name of an interface, by the inode of its directory in sysfs, which a rename keeps.
const CALLED: &str = r#"called() {
  for d in /sys/class/net/*/.; do
    n=$(ls -di "$d" | tr -d ' ')
    if [ "${n%%/*}" = "$1" ]; then d=${d%/.}; echo "${d##*/}"; return 0; fi
  done
  echo "interface $2 is no longer in this network namespace" >&2
  return 1
}
"#;

fn inode(s: &StandingWrite) -> Option<(u64, &str)> {
    let device = s.device.as_ref()?;
    Some((device.inode?, device.name.as_str()))
}

fn command(s: &StandingWrite) -> String {
    match &s.holder {
        // The pipe is the same in every process-id namespace; opened for both ways it never waits (fifo(7)).
        Some(HolderId { token: Some(token), .. }) => {
            return format!("h=${{0%/*}}/hold-{token}\nif [ -p \"$h\" ]; then echo end 1<>\"$h\"; fi");
        }
        // Gone is as good as ended; an id that another process has now is left alone.
        Some(h) => return format!("if grep -qsx lowlat-hold /proc/{0}/comm; then kill {0}; fi", h.pid),
        None => {}
    }
    // What a shell cannot put back is named as it was called then.
    let restore = |called: Option<&str>| {
        Some(where_it_differs(&called.map_or_else(|| s.op.locus.clone(), |n| s.op.locus.on(n)), &s.prior))
    };
    if at(&s.op.locus).undone_by_shell() { by_present_name(s, restore) } else { restore(None) }.unwrap_or_default()
}

/// A file that holds the value already is not written: some refuse any value, as `tx_maxrate` does where the driver has no
/// limit (`EOPNOTSUPP`, net/core/net-sysfs.c), and were only recorded next to another.
fn where_it_differs(locus: &Locus, was: &State) -> String {
    let put_back = undo(locus, was);
    match (locus, was, at(locus).shown()) {
        (Locus::File { .. }, State::Text(text), Some(show)) => {
            format!("[ \"$({show} 2>/dev/null)\" = {} ] ||\n{put_back}", shell::quote(text))
        }
        _ => put_back,
    }
}

/// A command whose interface is found when it runs; by the name that it had where more is not known of it.
fn by_present_name(s: &StandingWrite, command: impl Fn(Option<&str>) -> Option<String>) -> Option<String> {
    let Some((inode, name)) = inode(s) else { return command(None) };
    let text = crate::boot_iface::on_the_name(|name| command(Some(name)))?;
    Some(format!("i=$(called {inode} {}) && {{\n{text}\n}}", shell::quote(name)))
}

#[cfg(test)]
mod tests {
    use lowlat_model::journal::{Beside, Device, JournalEntry, NetnsId};
    use lowlat_model::{Op, Schema};

    use super::*;

    #[test]
    fn a_coalescing_group_goes_back_at_once_and_then_one_by_one() {
        let stands = |seq: u64, locus: Locus, prior: &str| StandingWrite {
            seq,
            knob: "k".into(),
            target: "eth0".parse().unwrap(),
            op: Op::text(locus, "9"),
            prior: State::Text(prior.into()),
            read_back: None,
            holder: None,
            device: None,
            beside: Vec::new(),
            changed: None,
            at: None,
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
            guard: None,
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
        // A renamed interface is found for both, and what it cannot do at once is not a failure.
        for s in &mut ledger.standing[..2] {
            s.device = Some(Device { name: "eth0".into(), inode: Some(77), ..Device::default() });
        }
        let text = write(&ledger);
        let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("no {part:?} in {text}"));
        let called = "i=$(called 77 eth0) && {\n";
        let order = [
            at("called() {"),
            at(&format!("{called}ethtool -C \"$i\" rx-usecs 20 adaptive-rx on\n}} 2>/dev/null || true\n")),
            at(&format!("{called}ethtool -C \"$i\" rx-usecs 20\n}} || failed=1")),
        ];
        assert!(order.is_sorted(), "{text}");
        // One parameter alone needs no such line.
        ledger.standing.remove(0);
        assert!(!write(&ledger).contains("at once"));
    }

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
        assert!(text.contains("\" = 9 ] ||\nprintf '%s\\n' 9 > /sys/class/net/\"$i\"/gro_flush_timeout\n}"), "{text}");
        assert!(text.contains("gro-flush-timeout was 5") && !text.contains("gro-flush-timeout was 9"), "{text}");
        let text = of(Locus::Ring { iface: "eth0".into(), param: "rx".into() }, "9");
        assert!(text.contains("ethtool -G \"$i\" rx 9"), "{text}");
        let text = of(Locus::IrqAffinity { iface: "eth0".into(), index: 0 }, "9");
        assert!(text.contains("d=/sys/class/net/\"$i\"/device") && text.contains("[ ,]'\"$i\"'\\("), "{text}");
        assert!(!text.contains(crate::boot_iface::STANDS_FOR), "{text}");
    }
}
