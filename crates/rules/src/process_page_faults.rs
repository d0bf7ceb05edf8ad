//! A thread that meets pages which are not there.

use lowlat_model::Severity;

use crate::look::{few, finding, per_second, thread, watched};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// A thread of the application that has page faults within the window.
    /// ## Why it matters
    /// A fault that is served from memory takes a microsecond or so, and longer where huge pages are made or other threads
    /// change the address space; one that reads from a disk takes hundreds and more. A program that has warmed up has
    /// neither.
    /// ## Threshold
    /// Any fault that read from a disk, or a hundred others a second (a heuristic).
    /// ## Remedy
    /// mlockall(MCL_CURRENT | MCL_FUTURE) and touch all memory, stacks too, before the traffic starts; keep the allocator
    /// from giving memory back: mallopt(M_TRIM_THRESHOLD, -1), mallopt(M_MMAP_MAX, 0).
    pub ProcessPageFaults = "process-page-faults";
    sources [
        "man 5 proc (/proc/pid/stat, minflt and majflt)",
        "man 2 mlockall (NOTES), man 3 mallopt (M_TRIM_THRESHOLD, M_MMAP_MAX)",
        "Documentation/admin-guide/mm/transhuge.rst in linux 6.12: Global THP controls (defrag)",
        "heuristic: a hundred a second",
    ];
    follows ["swapping", "memory-reclaim-stalls"];
}

const PER_SECOND: f64 = 100.0;

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some((seconds, threads)) = watched(seen, input) else { return };
    let evidence: Vec<String> = threads
        .into_iter()
        .filter(|(.., g)| g.major_faults > 0 || per_second(g.minor_faults, seconds) >= PER_SECOND)
        .map(|(process, t, g)| {
            let (who, minor, major) = (thread(process, t), g.minor_faults, g.major_faults);
            format!("{who}: {minor} faults from memory and {major} from a disk in the window")
        })
        .collect();
    if evidence.is_empty() {
        return;
    }
    seen.found(finding(
        NAME,
        Severity::Warning,
        "the application takes page faults while it runs".to_owned(),
        few(evidence),
        "mlockall(MCL_CURRENT | MCL_FUTURE), touch all memory before the traffic, mallopt(M_TRIM_THRESHOLD, -1)",
    ));
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::application::{grown, of};
    use lowlat_testkit::facts::healthy;

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn faults_from_memory_and_from_a_disk() {
        let mut facts = healthy();
        grown(&mut facts).minor_faults = 99;
        assert_eq!(rule(NAME, &facts), Seen::default());
        grown(&mut facts).minor_faults = 100;
        only(NAME, &facts, &["feed[812]: 100 faults from memory and 0 from a disk in the window"], &[]);
        grown(&mut facts).minor_faults = 0;
        grown(&mut facts).major_faults = 1;
        only(NAME, &facts, &["feed[812]: 0 faults from memory and 1 from a disk in the window"], &[]);
        of(&mut facts).window_ns = None;
        blind(NAME, &facts, "what the application's threads do", "absent");
    }
}
