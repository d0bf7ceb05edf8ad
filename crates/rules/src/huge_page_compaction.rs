//! Memory that is rearranged under running programs.

use lowlat_model::op::Target;
use lowlat_model::{Reading, Severity};

use crate::look::{finding, set, with};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// Transparent huge pages that the kernel makes by stalling programs or by copying their pages.
    /// ## Why it matters
    /// A page fault may stall while the kernel compacts memory: everywhere with the policy `defrag` at `always`, and
    /// with its default, `madvise`, in regions for which a program asked for huge pages. With `enabled` at `always`,
    /// khugepaged copies small pages into a huge one in the background, and the program's mapping is removed meanwhile.
    /// ## Threshold
    /// `enabled` is `always` and `thp_collapse_alloc` grew in the counter window; or `defrag` is `always` and
    /// `compact_stall` grew. With another `defrag`, only programs that asked for huge pages stall.
    /// ## Remedy
    /// Set both to `madvise` (memory.thp, memory.thp-defrag): programs that want huge pages ask for them. A program
    /// that locks and touches its memory at its start suffers least, but compaction moves locked pages too
    /// (sysctl.vm.compact_unevictable_allowed).
    pub HugePageCompaction = "huge-page-compaction";
    sources [
        "Documentation/admin-guide/mm/transhuge.rst in linux 6.12: Global THP controls, Monitoring usage",
        "mm/huge_memory.c in linux 6.12: vma_thp_gfp_mask (defrag)",
        "mm/vmstat.c in linux 6.12: compact_stall, thp_collapse_alloc",
    ];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let mut is_always = |what: &str, reading: &Reading<String>| match reading {
        // A kernel without them has no such file: that is not a fact missed.
        Reading::Absent(_) => false,
        other => seen.need(what, other).is_some_and(|policy| policy == "always"),
    };
    let enabled = is_always("transparent huge pages", &input.facts.host.thp);
    let defrag = is_always("defrag of transparent huge pages", &input.facts.host.thp_defrag);
    if !enabled && !defrag {
        return;
    }
    let Some(window) = seen.window(input) else { return };
    if !seen.counted(window, "vmstat") {
        return;
    }
    // Which of the two a kernel counts is a matter of its configuration.
    let grown = |key: &&str| window.delta("vmstat", key).is_some_and(|by| by > 0);
    let looked_at = [("compact_stall", defrag), ("thp_collapse_alloc", enabled)];
    let keys: Vec<&str> = looked_at.into_iter().filter(|(key, on)| *on && grown(key)).map(|(key, _)| key).collect();
    let mut evidence = seen.grown(window, "vmstat", &keys, "/proc/vmstat");
    if evidence.is_empty() {
        return;
    }
    let mut settings = Vec::new();
    if enabled {
        evidence.push("transparent huge pages: always".to_owned());
        settings.push(set("memory.thp", Target::Host, "madvise"));
    }
    if defrag {
        evidence.push("their defrag: always".to_owned());
        settings.push(set("memory.thp-defrag", Target::Host, "madvise"));
    }
    let found = finding(
        NAME,
        Severity::Warning,
        "memory is compacted into huge pages under running programs".to_owned(),
        evidence,
        "set transparent huge pages to madvise, so that only programs that ask get them",
    );
    seen.found(with(found, settings));
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
        assert_eq!(rule(NAME, &facts), Seen::default(), "whoever stalled asked for it");
        facts.host.thp_defrag = Reading::Value("always".into());
        let said = [
            "compact_stall grew by 2 in 1000 ms (/proc/vmstat)",
            "transparent huge pages: always",
            "their defrag: always",
        ];
        only(NAME, &facts, &said, &[]);
        let settings = rule(NAME, &facts).findings.remove(0).remedy.settings;
        assert_eq!(settings.iter().map(|s| s.knob.as_str()).collect::<Vec<_>>(), ["memory.thp", "memory.thp-defrag"]);
        facts.host.thp_defrag = Reading::Value("madvise".into());
        grow(&mut facts, "vmstat", "thp_collapse_alloc", 2);
        assert_eq!(rule(NAME, &facts).findings[0].evidence.len(), 2, "khugepaged takes mappings away whatever it is");
        deny_group(&mut facts, "vmstat");
        blind(NAME, &facts, "vmstat", "denied");
        facts.host.thp = Reading::Denied("x".into());
        blind(NAME, &facts, "transparent huge pages", "denied");
    }
}
