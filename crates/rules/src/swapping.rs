//! Pages that go to a disk and come back.

use lowlat_model::Severity;

use crate::look::finding;
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// Pages that were swapped in or out.
    /// ## Why it matters
    /// A page that was swapped out is read from a disk when a program touches it, and the program waits: hundreds of
    /// microseconds and more.
    /// ## Threshold
    /// Any growth of `pswpin` or `pswpout` in the counter window. A latency-critical host should have memory to spare.
    /// ## Remedy
    /// Add memory, or run fewer programs. Lock the memory of the latency-critical program (memory.mlock). A lower
    /// sysctl.vm.swappiness swaps later.
    pub Swapping = "swapping";
    sources [
        "mm/vmstat.c in linux 6.12: pswpin, pswpout",
        "Documentation/admin-guide/sysctl/vm.rst in linux 6.12: swappiness",
    ];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(window) = seen.window(input) else { return };
    if !seen.counted(window, "vmstat") {
        return;
    }
    // A kernel without swap counts neither.
    let grown = |key: &&str| window.delta("vmstat", key).is_some_and(|by| by > 0);
    let keys: Vec<&str> = ["pswpin", "pswpout"].into_iter().filter(|key| grown(key)).collect();
    let evidence = seen.grown(window, "vmstat", &keys, "/proc/vmstat");
    if evidence.is_empty() {
        return;
    }
    seen.found(finding(
        NAME,
        Severity::Warning,
        "memory is swapped to disk".to_owned(),
        evidence,
        "give the host memory to spare, and lock that of the latency-critical program (mlockall)",
    ));
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::facts::{deny_group, grow, healthy};

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn swapped_in() {
        let mut facts = healthy();
        grow(&mut facts, "vmstat", "pswpin", 4);
        only(NAME, &facts, &["pswpin grew by 4 in 1000 ms (/proc/vmstat)"], &[]);
        deny_group(&mut facts, "vmstat");
        blind(NAME, &facts, "vmstat", "denied");
        assert_eq!(rule(NAME, &healthy()), Seen::default());
    }
}
