//! A bus link that sleeps between packets.

use lowlat_model::Reading;
use lowlat_model::op::Target;

use crate::look::{chosen, finding, on_path, set, with};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// A device whose PCI Express link may sleep between transfers (ASPM L1).
    /// ## Why it matters
    /// The link has to wake before the device can fetch a descriptor or write a packet. After a pause in the traffic
    /// this delays the first packet, in both directions.
    /// ## Threshold
    /// The link's own switch for L1 is on, as the kernel set it up. The wake-up time is in the device's registers and
    /// not in the facts. Without a goal and without a measured path the finding is `info` only: some hosts save power
    /// on purpose.
    /// ## Remedy
    /// Switch L1 off for this link alone (pcie.aspm-l1); other links are not affected. The policy `performance` keeps all
    /// links of the host awake (pcie.aspm-policy). `pcie_aspm=off` at boot does not: it keeps what the firmware has set.
    pub PciExpressLinkSleeps = "pci-express-link-sleeps";
    sources [
        "Documentation/ABI/testing/sysfs-bus-pci in linux 6.12: /sys/bus/pci/devices/.../link/l1_aspm",
        "drivers/pci/pcie/aspm.c in linux 6.12: policy_to_aspm_state, pcie_aspm_set_policy, aspm_attr_store_common (L1 off takes L1SS with it)",
        "Documentation/admin-guide/kernel-parameters.txt in linux 6.12: pcie_aspm=",
        "not confirmed: how long a given link takes to wake",
    ];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    for (name, iface) in on_path(input.facts) {
        // The file is there only where the link can sleep.
        let sleeps = match &iface.aspm_l1 {
            Reading::Absent(_) | Reading::Unsupported(_) => continue,
            other => seen.need(format!("{name} PCI Express power management"), other),
        };
        if sleeps != Some(&true) {
            continue;
        }
        let mut evidence = vec![format!("{name} link/l1_aspm = 1")];
        let policy = input.facts.host.aspm_policy.value();
        evidence.extend(policy.map(|policy| format!("pcie_aspm policy: {policy}")));
        let found = finding(
            NAME,
            chosen(input),
            format!("the PCI Express link of {name} sleeps between packets"),
            evidence,
            "switch L1 off for this link (pcie.aspm-l1); where the firmware controls it, turn it off there",
        );
        seen.found(with(found, [set("pcie.aspm-l1", Target::Iface(name.to_owned()), "off")]));
    }
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::facts::{healthy, iface};

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn a_link_that_may_sleep() {
        let mut facts = healthy();
        facts.host.aspm_policy = Reading::Value("default".into());
        iface(&mut facts).aspm_l1 = Reading::Value(true);
        only(NAME, &facts, &["eth0 link/l1_aspm = 1", "pcie_aspm policy: default"], &[]);
        let setting = rule(NAME, &facts).findings.remove(0).remedy.settings.remove(0);
        assert_eq!((setting.knob.as_str(), setting.target.to_string().as_str()), ("pcie.aspm-l1", "eth0"));
    }

    #[test]
    fn silent_where_it_cannot_sleep_and_blind_where_it_may_not_be_read() {
        let mut facts = healthy();
        iface(&mut facts).aspm_l1 = Reading::Absent("no such file".into());
        assert_eq!(rule(NAME, &facts), Seen::default());
        iface(&mut facts).aspm_l1 = Reading::Denied("x".into());
        blind(NAME, &facts, "power management", "denied");
    }
}
