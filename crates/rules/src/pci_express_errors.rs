//! Errors on the way between device and processor.

use lowlat_model::Severity;

use crate::look::{finding, on_path};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// Errors that the device's PCI Express link reported.
    /// ## Why it matters
    /// A correctable error was fixed by a retransmission, which takes time; an uncorrectable one lost data or resets
    /// the device. A healthy link has none.
    /// ## Threshold
    /// Any growth of the device's error totals in the counter window. Correctable ones are a warning, the others
    /// critical. Devices without error reporting, including virtual ones, are skipped.
    /// ## Remedy
    /// Reseat the card, try another slot or riser, update its firmware. No kernel setting fixes this; `pci=noaer` only
    /// hides it.
    pub PciExpressErrors = "pci-express-errors";
    sources [
        "Documentation/ABI/testing/sysfs-bus-pci-devices-aer_stats in linux 6.12: aer_dev_correctable, aer_dev_nonfatal, aer_dev_fatal",
        "Documentation/PCI/pcieaer-howto.rst in linux 6.12: AER error output",
    ];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(window) = seen.window(input) else { return };
    for (name, _) in on_path(input.facts) {
        let group = format!("aer/{name}");
        if !seen.counted(window, &group) {
            continue;
        }
        let lost = seen.grown(window, &group, &["nonfatal", "fatal"], "aer_dev_*");
        let fixed = seen.grown(window, &group, &["correctable"], "aer_dev_*");
        let severity = if lost.is_empty() { Severity::Warning } else { Severity::Critical };
        let evidence: Vec<String> = lost.into_iter().chain(fixed).map(|line| format!("{name} {line}")).collect();
        if evidence.is_empty() {
            continue;
        }
        seen.found(finding(
            NAME,
            severity,
            format!("the PCI Express link of {name} reports errors"),
            evidence,
            "reseat the card, try another slot, update its firmware: no kernel setting fixes this",
        ));
    }
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::facts::{deny_group, grow, healthy};

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn fixed_ones_warn_and_lost_ones_are_critical() {
        let mut facts = healthy();
        grow(&mut facts, "aer/eth0", "correctable", 2);
        only(NAME, &facts, &["eth0 correctable grew by 2 in 1000 ms (aer_dev_*)"], &[]);
        assert_eq!(rule(NAME, &facts).findings[0].severity, Severity::Warning);
        grow(&mut facts, "aer/eth0", "fatal", 1);
        assert_eq!(rule(NAME, &facts).findings[0].severity, Severity::Critical);
    }

    #[test]
    fn a_device_that_reports_none_is_not_a_fact_missed_and_a_denied_one_is() {
        let mut facts = healthy();
        facts.window.as_mut().unwrap().after.groups.remove("aer/eth0");
        assert_eq!(rule(NAME, &facts), Seen::default());
        deny_group(&mut facts, "aer/eth0");
        blind(NAME, &facts, "aer/eth0", "denied");
    }
}
