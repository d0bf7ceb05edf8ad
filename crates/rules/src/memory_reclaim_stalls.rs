//! Programs that have to free memory themselves.

use lowlat_model::Severity;

use crate::look::finding;
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// Allocations that had to wait until memory was freed (direct reclaim), or programs that stalled for lack of
    /// memory.
    /// ## Why it matters
    /// While there is enough free memory, the kernel frees more in the background. When it runs short, the program that
    /// allocates must free pages itself before it continues. That takes from tens of microseconds to milliseconds, in a
    /// system call or a page fault. In interrupt processing the allocation fails instead.
    /// ## Threshold
    /// Any growth of `allocstall_*` in the counter window, or programs that waited for memory for more than 1 % of the
    /// window (a heuristic).
    /// ## Remedy
    /// Keep more memory free (`vm.min_free_kbytes` starts the background work earlier), limit the program that fills
    /// it, and lock and touch the latency-critical program's memory at its start (memory.mlock). A limit of that
    /// program's own control group (`memory.high`, `memory.max`) causes the same stalls; the rule does not look at it.
    pub MemoryReclaimStalls = "memory-reclaim-stalls";
    sources [
        "mm/vmscan.c in linux 6.12: do_try_to_free_pages (ALLOCSTALL)",
        "mm/vmstat.c in linux 6.12: vmstat_text (allocstall of each zone)",
        "Documentation/accounting/psi.rst in linux 6.12: Pressure interface (memory)",
        "Documentation/admin-guide/sysctl/vm.rst in linux 6.12: min_free_kbytes",
        "heuristic: 1 % of the time",
    ];
    follows ["swapping"];
}

const SHARE: f64 = 0.01;

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(window) = seen.window(input) else { return };
    let stalls = seen.all_grown(window, "vmstat").into_iter().filter(|(key, _)| key.starts_with("allocstall"));
    let mut evidence: Vec<String> =
        stalls.map(|(key, by)| format!("{key} grew by {by} {} (/proc/vmstat)", crate::look::within(window))).collect();
    let span = window.duration_ns().max(1) as f64;
    if let Some(us) = window.delta("pressure/memory", "some_us").filter(|us| *us as f64 * 1e3 / span > SHARE) {
        evidence.push(format!("programs stood still for memory for {} ms (/proc/pressure/memory)", us / 1_000));
    }
    if evidence.is_empty() {
        return;
    }
    seen.found(finding(
        NAME,
        Severity::Warning,
        "programs free memory themselves before they go on".to_owned(),
        evidence,
        "give the host memory to spare and bound what fills it; lock the memory of the latency-critical program",
    ));
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::facts::{deny_group, grow, healthy};

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn direct_reclaim_and_pressure() {
        let mut facts = healthy();
        grow(&mut facts, "vmstat", "allocstall_normal", 3);
        only(NAME, &facts, &["allocstall_normal grew by 3 in 1000 ms (/proc/vmstat)"], &[]);
        let mut facts = healthy();
        grow(&mut facts, "pressure/memory", "some_us", 9_000);
        assert_eq!(rule(NAME, &facts), Seen::default(), "less than a hundredth");
        grow(&mut facts, "pressure/memory", "some_us", 40_000);
        assert_eq!(rule(NAME, &facts).findings.len(), 1);
    }

    #[test]
    fn blind_where_it_may_not_be_read() {
        let mut facts = healthy();
        deny_group(&mut facts, "vmstat");
        blind(NAME, &facts, "vmstat", "denied");
    }
}
