//! A process whose pages the kernel may take away.

use lowlat_model::Severity;

use crate::look::{chosen, finding};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// A process of the application that has locked none of its memory.
    /// ## Why it matters
    /// The kernel may drop or swap out pages that are not locked, code too, and the next access reads them from a disk.
    /// Locked pages may still be moved by compaction (vm.compact_unevictable_allowed).
    /// ## Threshold
    /// VmLck is 0. Where some of the process's memory is swapped out already that costs latency, else it is only worth
    /// knowing unless there is a goal.
    /// ## Remedy
    /// mlockall(MCL_CURRENT | MCL_FUTURE) at the start, with RLIMIT_MEMLOCK or CAP_IPC_LOCK; in a unit of systemd
    /// LimitMEMLOCK=infinity.
    pub MemoryNotLocked = "memory-not-locked";
    sources [
        "man 2 mlockall, man 5 proc (VmLck, VmSwap), man 5 systemd.exec (LimitMEMLOCK=)",
        "Documentation/admin-guide/sysctl/vm.rst in linux 6.12: compact_unevictable_allowed",
    ];
    follows ["swapping"];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(application) = &input.facts.application else { return };
    let (mut evidence, mut swapped) = (Vec::new(), false);
    for process in &application.processes {
        let who = format!("{}[{}]", process.command, process.pid);
        let Some(locked) = seen.need(format!("locked memory of {who}"), &process.locked_kb) else { continue };
        if *locked > 0 {
            continue;
        }
        let out = process.swapped_kb.value().copied().unwrap_or(0);
        swapped |= out > 0;
        let used = process.resident_kb.value().map_or_else(String::new, |kb| format!(" of {kb} kB in use"));
        evidence.push(format!("{who}: 0 kB{used} locked, {out} kB swapped out"));
    }
    if evidence.is_empty() {
        return;
    }
    seen.found(finding(
        NAME,
        if swapped { Severity::Warning } else { chosen(input) },
        "the application's memory is not locked".to_owned(),
        evidence,
        "mlockall(MCL_CURRENT | MCL_FUTURE) at the start, with RLIMIT_MEMLOCK raised or CAP_IPC_LOCK",
    ));
}

#[cfg(test)]
mod tests {
    use lowlat_model::Reading;
    use lowlat_testkit::application::of;
    use lowlat_testkit::facts::healthy;

    use super::*;
    use crate::look::test::{blind, only, rule, rule_for};

    #[test]
    fn nothing_locked() {
        let mut facts = healthy();
        of(&mut facts).processes[0].locked_kb = Reading::Value(0);
        only(NAME, &facts, &["feed[812]: 0 kB of 30000 kB in use locked, 0 kB swapped out"], &[]);
        assert_eq!(rule(NAME, &facts).findings[0].severity, Severity::Info);
        assert_eq!(rule_for(NAME, &facts, 50_000).findings[0].severity, Severity::Warning);
        of(&mut facts).processes[0].swapped_kb = Reading::Value(4);
        assert_eq!(rule(NAME, &facts).findings[0].severity, Severity::Warning);
        of(&mut facts).processes[0].locked_kb = Reading::Denied("x".into());
        blind(NAME, &facts, "locked memory of feed[812]", "denied");
    }
}
