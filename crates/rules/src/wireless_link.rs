//! A path over radio.

use crate::look::{chosen, finding, on_path};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// A Wi-Fi link among the interfaces of the path.
    /// ## Why it matters
    /// A station that saves power sleeps between beacons: a packet for it waits at the access point until the next
    /// beacon that it listens to, commonly about 100 ms, and longer where it skips some. Frames that are lost on the
    /// air are sent again, and the medium is shared. None of this shows in the counters that wired devices have.
    /// ## Threshold
    /// The interface belongs to the kernel's wireless stack; the evidence says whether it saves power now. Without a goal
    /// and without a measured path the finding is `info` only: some hosts use Wi-Fi on purpose.
    /// ## Remedy
    /// Use a cable where possible. Otherwise switch power saving off (`iw dev IF set power_save off`; NetworkManager:
    /// `802-11-wireless.powersave 2`), and stay near the access point on a quiet channel. Do not set the rings,
    /// coalescing and queues of such a device.
    pub WirelessLink = "wireless-link";
    sources [
        "net/wireless/nl80211.c in linux 6.12: nl80211_set_power_save, nl80211_get_power_save",
        "net/wireless/core.c in linux 6.12: wiphy_new_nm, CONFIG_CFG80211_DEFAULT_PS (power saving is on by default where it is configured)",
        "https://github.com/CachyOS/CachyOS-Settings/pull/224",
        "not confirmed: the waiting time, which depends on the access point's beacon interval",
    ];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    for (name, iface) in on_path(input.facts) {
        let Some(wireless) = seen.need_of(input.facts, format!("{name} wireless"), &iface.wireless) else { continue };
        if !wireless {
            continue;
        }
        let saves = seen.need(format!("{name} power saving"), &iface.power_save).copied();
        let driver = iface.driver.value().map_or_else(|| "unknown".to_owned(), Clone::clone);
        seen.found(finding(
            NAME,
            chosen(input),
            match saves {
                Some(false) => format!("{name} is a Wi-Fi link: the air adds milliseconds"),
                _ => format!("{name} is a Wi-Fi link: power saving and the air add milliseconds"),
            },
            [format!("{name} has a wireless device (driver {driver})")]
                .into_iter()
                .chain(saves.map(|on| format!("{name} power saving: {}", if on { "on" } else { "off" })))
                .collect(),
            "use a cable, or switch power saving off (iw dev IF set power_save off) and stay near the access point",
        ));
    }
}

#[cfg(test)]
mod tests {
    use lowlat_model::Reading;
    use lowlat_testkit::facts::{healthy, iface};

    use super::*;
    use crate::look::test::{blind, only};

    #[test]
    fn over_radio() {
        let mut facts = healthy();
        iface(&mut facts).wireless = Reading::Value(true);
        iface(&mut facts).driver = Reading::Value("iwlwifi".into());
        for (saves, says) in [(true, "eth0 power saving: on"), (false, "eth0 power saving: off")] {
            iface(&mut facts).power_save = Reading::Value(saves);
            only(NAME, &facts, &["eth0 has a wireless device (driver iwlwifi)", says], &[]);
        }
        iface(&mut facts).power_save = Reading::Denied("x".into());
        let seen = crate::look::test::rule(NAME, &facts);
        assert_eq!(seen.findings[0].evidence.len(), 1);
        assert_eq!((seen.not_seen[0].fact.as_str(), seen.not_seen[0].why.as_str()), ("eth0 power saving", "denied: x"));
    }

    #[test]
    fn blind_where_it_may_not_be_read() {
        let mut facts = healthy();
        iface(&mut facts).wireless = Reading::Denied("x".into());
        blind(NAME, &facts, "eth0 wireless", "denied");
    }
}
