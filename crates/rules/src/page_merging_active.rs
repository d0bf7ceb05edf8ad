//! Equal pages that are searched for.

use lowlat_model::op::Target;
use lowlat_model::{Reading, Severity};

use crate::look::{finding, set, with};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// Kernel same-page merging (KSM) that is running.
    /// ## Why it matters
    /// ksmd compares pages all the time, which takes CPU time, and a program that writes to a merged page takes a fault
    /// and a copy. Pages of programs that never asked for merging are not touched.
    /// ## Threshold
    /// `/sys/kernel/mm/ksm/run` is 1. Its default is 0; hosts with many virtual machines switch it on.
    /// ## Remedy
    /// Switch it off while latency matters: memory.ksm 0 keeps merged pages, 2 separates them again, which needs the
    /// memory.
    pub PageMergingActive = "page-merging-active";
    sources [
        "Documentation/admin-guide/mm/ksm.rst in linux 6.12: KSM daemon sysfs interface",
    ];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let run = match &input.facts.host.ksm {
        Reading::Absent(_) => return,
        other => seen.need("same-page merging", other),
    };
    if run.is_none_or(|run| *run != 1) {
        return;
    }
    let found = finding(
        NAME,
        Severity::Info,
        "the kernel searches for equal pages to merge".to_owned(),
        vec!["/sys/kernel/mm/ksm/run = 1".to_owned()],
        "turn same-page merging off while latency counts, unless this host needs the memory",
    );
    seen.found(with(found, [set("memory.ksm", Target::Host, 0)]));
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::facts::healthy;

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn at_work_stopped_and_not_there() {
        let mut facts = healthy();
        facts.host.ksm = Reading::Value(1);
        only(NAME, &facts, &["/sys/kernel/mm/ksm/run = 1"], &[]);
        assert_eq!(rule(NAME, &facts).findings[0].remedy.settings[0].value, "0");
        facts.host.ksm = Reading::Absent("no KSM".into());
        assert_eq!(rule(NAME, &facts), Seen::default());
        facts.host.ksm = Reading::Denied("x".into());
        blind(NAME, &facts, "same-page merging", "denied");
    }
}
