//! Memory that is rearranged under running programs.

use lowlat_model::op::Target;
use lowlat_model::{Reading, Severity};

use crate::look::{finding, set, with};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// Transparent huge pages made by stopping programs or copying their pages.
    /// ## Why it matters
    /// A page fault may stop to compact memory: everywhere where the policy `defrag` is `always`, in regions for which a
    /// program asked with its default, `madvise`. With `always` in `enabled` khugepaged copies small pages into a large one behind
    /// the program's back, with its mapping taken away meanwhile.
    /// ## Threshold
    /// The policy is `always`, and `compact_stall` or `thp_collapse_alloc` grew in the counter window.
    /// ## Remedy
    /// `madvise`: programs that want large pages ask for them. One that locks and touches its memory at the start is
    /// hurt least.
    pub HugePageCompaction = "huge-page-compaction";
    sources [
        "Documentation/admin-guide/mm/transhuge.rst in linux 6.12: Global THP controls, Monitoring usage",
        "mm/huge_memory.c in linux 6.12: vma_thp_gfp_mask (defrag)",
        "mm/vmstat.c in linux 6.12: compact_stall, thp_collapse_alloc",
    ];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let thp = match &input.facts.host.thp {
        // A kernel without them has no such file: that is not a fact missed.
        Reading::Absent(_) => return,
        other => seen.need("transparent huge pages", other),
    };
    if thp.is_none_or(|policy| policy != "always") {
        return;
    }
    let Some(window) = seen.window(input) else { return };
    if !seen.counted(window, "vmstat") {
        return;
    }
    // Which of the two a kernel counts is a matter of its configuration.
    let grown = |key: &&str| window.delta("vmstat", key).is_some_and(|by| by > 0);
    let keys: Vec<&str> = ["compact_stall", "thp_collapse_alloc"].into_iter().filter(|key| grown(key)).collect();
    let mut evidence = seen.grown(window, "vmstat", &keys, "/proc/vmstat");
    if evidence.is_empty() {
        return;
    }
    evidence.push("transparent huge pages: always".to_owned());
    let found = finding(
        NAME,
        Severity::Warning,
        "memory is compacted into huge pages under running programs".to_owned(),
        evidence,
        "set transparent huge pages to madvise, so that only programs that ask get them",
    );
    seen.found(with(found, [set("memory.thp", Target::Host, "madvise")]));
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::facts::{deny_group, grow, healthy};

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn only_with_always() {
        let mut facts = healthy();
        grow(&mut facts, "vmstat", "compact_stall", 2);
        assert_eq!(rule(NAME, &facts), Seen::default());
        facts.host.thp = Reading::Value("always".into());
        only(
            NAME,
            &facts,
            &["compact_stall grew by 2 in 1000 ms (/proc/vmstat)", "transparent huge pages: always"],
            &[],
        );
        assert_eq!(rule(NAME, &facts).findings[0].remedy.settings[0].value, "madvise");
        deny_group(&mut facts, "vmstat");
        blind(NAME, &facts, "vmstat", "denied");
        facts.host.thp = Reading::Denied("x".into());
        blind(NAME, &facts, "transparent huge pages", "denied");
    }
}
