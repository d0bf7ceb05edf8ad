//! Energy-efficient Ethernet.

use lowlat_model::op::Target;

use crate::look::{chosen, finding, on_path, set, with};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// Energy-efficient Ethernet (EEE) that both ends of the link negotiated.
    /// ## Why it matters
    /// The transmitter sleeps between packets and must wake before it can send. By the standard that takes 16.5 µs at
    /// 1 Gbit/s and 4.48 µs or more at 10 Gbit/s, on each hop that uses EEE.
    /// ## Threshold
    /// The driver reports EEE as active. EEE that is advertised but not negotiated costs nothing. Without a goal and
    /// without a measured path the finding is `info` only: some hosts use EEE on purpose.
    /// ## Remedy
    /// Switch it off, on the switch port too. The link may go down for some seconds while both ends negotiate again, so
    /// this needs consent on the interface that carries the login session.
    pub EeeActive = "eee-active";
    sources [
        "IEEE 802.3az-2010 (table 78-4, Tw_sys_tx: 16.5 µs for 1000BASE-T, 4.48 µs for 10GBASE-T case 2)",
        "Documentation/networking/ethtool-netlink.rst in linux 6.12: EEE_GET",
        "not confirmed: the standard itself was not opened; the two figures are those that the EEE literature quotes",
    ];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    for (name, iface) in on_path(input.facts) {
        let Some(eee) = seen.need_of(input.facts, format!("{name} energy-efficient ethernet"), &iface.eee) else {
            continue;
        };
        if !eee.get("active").copied().unwrap_or(false) {
            continue;
        }
        let found = finding(
            NAME,
            chosen(input),
            format!("{name} sleeps between packets (energy-efficient ethernet)"),
            vec![format!("{name} eee: active")],
            "turn it off here and on the switch port; the link may go down for a few seconds",
        );
        seen.found(with(found, [set("nic.eee", Target::Iface(name.to_owned()), "off")]));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use lowlat_model::Reading;
    use lowlat_testkit::facts::{healthy, iface};

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn active_and_only_enabled() {
        let mut facts = healthy();
        iface(&mut facts).eee = Reading::Value(BTreeMap::from([("enabled".into(), true), ("active".into(), false)]));
        assert_eq!(rule(NAME, &facts), Seen::default());
        iface(&mut facts).eee = Reading::Value(BTreeMap::from([("enabled".into(), true), ("active".into(), true)]));
        only(NAME, &facts, &["eth0 eee: active"], &[]);
        assert_eq!(rule(NAME, &facts).findings[0].remedy.settings[0].value, "off");
    }

    #[test]
    fn blind_where_it_cannot_be_asked() {
        let mut facts = healthy();
        iface(&mut facts).eee = Reading::Denied("x".into());
        blind(NAME, &facts, "energy-efficient ethernet", "denied");
    }
}
