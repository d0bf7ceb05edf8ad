//! A link slower than its port, or a device slower than its slot allows.

use lowlat_model::Severity;

use crate::look::{finding, on_path};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// A link that runs below its port's highest speed or at half duplex, or a device whose PCI Express link is slower
    /// or narrower than the device supports.
    /// ## Why it matters
    /// Each frame takes longer on a slower wire: 1514 bytes take 12 µs at 1 Gbit/s and 1.2 µs at 10 Gbit/s. A link that
    /// fell back to a lower speed usually has a bad cable, connector or port, and loses frames too. At half duplex
    /// frames collide.
    /// ## Threshold
    /// A current speed below the highest mode that the port supports; half duplex; PCI Express speed or width below the
    /// device's own. It is a warning at half duplex; where both the port and the link partner support a faster mode
    /// than the current one; and, where the partner's modes are not known, below 1 Gbit/s on a port of 1 Gbit/s or
    /// more, which a broken wire pair causes. Otherwise it is `info`: a partner without a faster mode is not a fault of
    /// this host, and often the partner is not known, as in a virtual machine.
    /// ## Remedy
    /// Check cable, transceiver, switch port and slot before you tune anything: no kernel setting fixes this.
    pub LinkBelowCapability = "link-below-capability";
    sources [
        "Documentation/networking/ethtool-netlink.rst in linux 6.12: LINKMODES_GET (ETHTOOL_A_LINKMODES_OURS, ETHTOOL_A_LINKMODES_PEER)",
        "drivers/pci/pci-sysfs.c in linux 6.12: current_link_speed_show, max_link_speed_show, current_link_width_show, max_link_width_show",
    ];
    follows ["link-errors", "pci-express-errors"];
}

/// Mbit/s.
const GIGABIT: u32 = 1_000;

fn look(input: &Input<'_>, seen: &mut Seen) {
    let facts = input.facts;
    for (name, iface) in on_path(facts) {
        let mut wire = Vec::new();
        let speed = seen.need_of(facts, format!("{name} speed"), &iface.speed_mbps);
        let max = seen.need_of(facts, format!("{name} highest speed"), &iface.max_speed_mbps);
        if let (Some(speed), Some(max)) = (speed, max)
            && speed < max
        {
            wire.push(format!("{name} runs at {speed} Mbit/s, its port supports {max} Mbit/s"));
        }
        let peer = iface.peer_max_speed_mbps.value().copied();
        if let (Some(peer), false) = (peer, wire.is_empty()) {
            wire.push(format!("its link partner advertises {peer} Mbit/s at most"));
        }
        if iface.duplex.value().is_some_and(|d| d == "half") {
            wire.push(format!("{name} runs at half duplex"));
        }
        let mut bus = Vec::new();
        if let Some(pcie) = seen.need_of(facts, format!("{name} PCI Express link"), &iface.pcie) {
            if pcie.speed_gts < pcie.max_speed_gts {
                bus.push(format!("{name} PCI Express runs at {} GT/s of {}", pcie.speed_gts, pcie.max_speed_gts));
            }
            if pcie.width < pcie.max_width {
                bus.push(format!("{name} PCI Express runs with {} lanes of {}", pcie.width, pcie.max_width));
            }
        }
        // A narrow slot may be the best the board has, and a switch may have no faster port. Half duplex and a gigabit link
        // at 100 Mbit/s or less are faults.
        let fell_back = match (speed.copied(), max.copied(), peer) {
            (Some(speed), Some(max), Some(peer)) => speed < max.min(peer),
            (Some(speed), Some(max), None) => speed < GIGABIT && max >= GIGABIT,
            _ => false,
        };
        let half = iface.duplex.value().is_some_and(|d| d == "half");
        let severity = if half || fell_back { Severity::Warning } else { Severity::Info };
        wire.extend(bus);
        if !wire.is_empty() {
            seen.found(finding(
                NAME,
                severity,
                format!("{name} runs below what its hardware can do"),
                wire,
                "check cable, transceiver, switch port and slot before tuning: no kernel setting fixes this",
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use lowlat_model::Reading;
    use lowlat_testkit::facts::{healthy, iface};

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn a_tenth_of_the_speed() {
        let mut facts = healthy();
        iface(&mut facts).speed_mbps = Reading::Value(1_000);
        only(NAME, &facts, &["eth0 runs at 1000 Mbit/s, its port supports 10000 Mbit/s"], &[]);
        let found = rule(NAME, &facts).findings.remove(0);
        assert_eq!((found.severity, found.remedy.settings.len()), (Severity::Info, 0), "the switch may have no more");
        iface(&mut facts).speed_mbps = Reading::Value(100);
        assert_eq!(rule(NAME, &facts).findings[0].severity, Severity::Warning);
    }

    #[test]
    fn what_the_partner_advertises_decides() {
        let mut facts = healthy();
        iface(&mut facts).speed_mbps = Reading::Value(100);
        iface(&mut facts).peer_max_speed_mbps = Reading::Value(100);
        let found = rule(NAME, &facts).findings.remove(0);
        assert_eq!(found.severity, Severity::Info, "a switch of 100 Mbit/s has no more");
        assert_eq!(found.evidence[1], "its link partner advertises 100 Mbit/s at most");
        iface(&mut facts).speed_mbps = Reading::Value(1_000);
        iface(&mut facts).peer_max_speed_mbps = Reading::Value(10_000);
        assert_eq!(rule(NAME, &facts).findings[0].severity, Severity::Warning, "both could do more");
    }

    #[test]
    fn half_duplex_and_half_a_slot() {
        let mut facts = healthy();
        iface(&mut facts).duplex = Reading::Value("half".into());
        if let Reading::Value(pcie) = &mut iface(&mut facts).pcie {
            pcie.width = 4;
        }
        let want = ["eth0 runs at half duplex", "eth0 PCI Express runs with 4 lanes of 8"];
        assert_eq!(rule(NAME, &facts).findings[0].evidence, want);
        iface(&mut facts).duplex = Reading::Value("full".into());
        assert_eq!(rule(NAME, &facts).findings[0].severity, Severity::Info);
    }

    #[test]
    fn blind_where_the_link_does_not_report() {
        let mut facts = healthy();
        iface(&mut facts).speed_mbps = Reading::Unsupported("a virtual link".into());
        blind(NAME, &facts, "eth0 speed", "unsupported");
    }
}
