//! Control groups whose CPUs are not their own although they ask for it.

use lowlat_model::{Reading, Severity};

use crate::look::finding;
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// A cpuset partition (`cpuset.cpus.partition` of cgroup version 2) that the kernel calls invalid.
    /// ## Why it matters
    /// Whoever wrote `isolated` or `root` there wants these CPUs for the group alone. An invalid partition is an ordinary
    /// group: the scheduler balances other tasks onto its CPUs. The kernel makes a partition invalid at any time, without
    /// a message: a sibling that claims a CPU, a CPU that goes offline, or systemd that writes `cpuset.cpus` anew.
    /// ## Threshold
    /// One is enough. The kernel's own reason is quoted, where it gives one: a partition that a sibling took the CPUs of has
    /// none.
    /// ## Remedy
    /// Fix what the kernel names, usually another group that has one of the CPUs, then write the kind to
    /// `cpuset.cpus.partition` again. lowlat writes no control group (sched.cpuset-partition says why).
    pub CpusetPartitionInvalid = "cpuset-partition-invalid";
    sources ["Documentation/admin-guide/cgroup-v2.rst in linux 6.12: cpuset.cpus.partition"];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let partitions = match &input.facts.cpus.partitions {
        // Cgroup version 1 has no partitions.
        Reading::Absent(_) | Reading::Unsupported(_) => return,
        other => seen.need("cpuset partitions", other),
    };
    let invalid = |(group, p): (&String, &lowlat_model::facts::CpusetPartition)| {
        let why = p.invalid.as_ref()?;
        Some(format!("cpuset.cpus.partition of {group}: {} invalid ({why})", p.kind))
    };
    let evidence: Vec<String> = partitions.into_iter().flatten().filter_map(invalid).collect();
    if evidence.is_empty() {
        return;
    }
    seen.found(finding(
        NAME,
        Severity::Warning,
        "a cpuset partition is not in force: others run on its CPUs".to_owned(),
        evidence,
        "fix what the kernel names, then write the kind to cpuset.cpus.partition again",
    ));
}

#[cfg(test)]
mod tests {
    use lowlat_model::facts::CpusetPartition;
    use lowlat_testkit::facts::healthy;

    use super::*;
    use crate::look::test::{blind, only, rule};

    fn partition(invalid: Option<&str>) -> CpusetPartition {
        CpusetPartition { kind: "isolated".into(), cpus: vec![3], invalid: invalid.map(str::to_owned) }
    }

    #[test]
    fn the_kernel_s_reason_is_quoted() {
        let mut facts = healthy();
        facts.cpus.partitions = Reading::Value([("/rt".to_owned(), partition(None))].into());
        assert_eq!(rule(NAME, &facts), Seen::default());
        facts.cpus.partitions =
            Reading::Value([("/rt".to_owned(), partition(Some("Parent is not a partition root")))].into());
        only(NAME, &facts, &["cpuset.cpus.partition of /rt: isolated invalid (Parent is not a partition root)"], &[]);
    }

    #[test]
    fn blind_where_they_may_not_be_read() {
        let mut facts = healthy();
        facts.cpus.partitions = Reading::Denied("x".into());
        blind(NAME, &facts, "cpuset partitions", "denied");
        facts.cpus.partitions = Reading::Absent("version 1".into());
        assert_eq!(rule(NAME, &facts), Seen::default());
    }
}
