//! What the firmware takes from the operating system.

use std::collections::BTreeMap;

use lowlat_sys::{Sys, query};

use super::Groups;

crate::collector! {
    /// How often the firmware stopped all processors for work of its own: system management interrupts, which no
    /// counter in `/proc` shows. The register is there on Intel's processors, and its device (`/dev/cpu/0/msr`) where
    /// the module `msr` is loaded; reading it needs root.
    pub FIRMWARE = "counters/firmware";
    reads ["net:smi-count"];
    sources [
        "arch/x86/include/asm/msr-index.h in linux 6.12: MSR_SMI_COUNT",
        "arch/x86/events/msr.c in linux 6.12: test_intel (PERF_MSR_SMI)",
        "arch/x86/kernel/msr.c in linux 6.12: msr_read",
        "man 4 msr",
    ];
}

pub(crate) fn read(sys: &dyn Sys, groups: &mut Groups) {
    let count = query::smi_count(sys).map(|count| BTreeMap::from([("count".to_owned(), count)]));
    groups.insert("smi".into(), count);
}

#[cfg(test)]
mod tests {
    use lowlat_model::Reading;
    use lowlat_sys::NetQuery;
    use lowlat_testkit::FakeSys;

    use super::*;

    #[test]
    fn a_count_and_none() {
        let group = |sys: &FakeSys| {
            let mut groups = Groups::new();
            read(sys, &mut groups);
            groups.remove("smi").unwrap()
        };
        let sys = FakeSys::new().net(&NetQuery::SmiCount, 7);
        assert_eq!(group(&sys).into_value().unwrap()["count"], 7);
        assert!(matches!(group(&FakeSys::new()), Reading::Absent(_)), "no count is not zero");
        let sys = FakeSys::new().net_reading(&NetQuery::SmiCount, Reading::Unsupported("x".into()));
        assert!(matches!(group(&sys), Reading::Unsupported(_)));
    }
}
