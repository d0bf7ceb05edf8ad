//! A translation that is taken back for each packet.

use lowlat_model::{Reading, Severity};

use crate::look::{finding, on_path};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// A device whose memory accesses go through an IOMMU in strict mode.
    /// ## Why it matters
    /// In strict mode each buffer that is unmapped costs an invalidation of the IOMMU's cache, for which the CPU waits.
    /// Drivers that keep their buffers mapped (page pools) pay this for sent packets only. Strict mode protects the
    /// host against the device.
    /// ## Threshold
    /// The type of the device's IOMMU group is `DMA` (strict). `DMA-FQ` (lazy) and `identity` are not reported. Only a
    /// measurement shows what strict mode costs on this path.
    /// ## Remedy
    /// Weigh the trade-off: lazy translation or none gives up protection for time. `DMA-FQ` can be written into the
    /// group's `type` while the device works; `iommu.strict=0` or `iommu=pt` at boot applies to all devices. lowlat
    /// sets none of them.
    pub StrictIommu = "strict-iommu";
    sources [
        "Documentation/ABI/testing/sysfs-kernel-iommu_groups in linux 6.12: type",
        "Documentation/admin-guide/kernel-parameters.txt in linux 6.12: iommu.strict=, iommu=",
        "drivers/iommu/iommu.c in linux 6.12: iommu_group_store_type (DMA to DMA-FQ without unbinding)",
    ];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    for (name, iface) in on_path(input.facts) {
        // Without an IOMMU, or before 5.11, there is nothing to ask.
        let kind = match &iface.iommu {
            Reading::Absent(_) | Reading::Unsupported(_) => continue,
            other => seen.need(format!("{name} IOMMU mode"), other),
        };
        if kind.is_none_or(|kind| kind != "DMA") {
            continue;
        }
        seen.found(finding(
            NAME,
            Severity::Info,
            format!("the IOMMU translates memory accesses of {name} in strict mode"),
            vec![format!("{name} iommu_group type: DMA")],
            "weigh it: DMA-FQ in the group's type, or iommu.strict=0 or iommu=pt at boot, trade protection for time",
        ));
    }
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::facts::{healthy, iface};

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn strict_lazy_and_denied() {
        let mut facts = healthy();
        iface(&mut facts).iommu = Reading::Value("DMA".into());
        only(NAME, &facts, &["eth0 iommu_group type: DMA"], &[]);
        iface(&mut facts).iommu = Reading::Value("DMA-FQ".into());
        assert_eq!(rule(NAME, &facts), Seen::default());
        iface(&mut facts).iommu = Reading::Denied("x".into());
        blind(NAME, &facts, "IOMMU", "denied");
    }
}
