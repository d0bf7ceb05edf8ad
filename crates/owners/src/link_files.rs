//! `.link` files, which udev applies to an interface when it appears.

use lowlat_model::{Claim, Locus};

use crate::ini::{Entry, on_off, truth};
use crate::netplan::is_netplans;
use crate::{Host, Owner, coalesced, feature_matches, link_match};

#[derive(Debug)]
pub(crate) struct LinkFiles;

impl Owner for LinkFiles {
    fn file(&self) -> &'static str {
        file!()
    }
    fn claims(&self, host: &Host<'_>, locus: &Locus) -> Vec<Claim> {
        of_file(host, locus).filter(|c| !c.file.as_deref().is_some_and(is_netplans)).into_iter().collect()
    }
}

/// What the `.link` file that applies to the place's interface sets there.
pub(crate) fn of_file(host: &Host<'_>, locus: &Locus) -> Option<Claim> {
    let iface = interface(locus)?;
    let (_, entries) = link_match::applies(host.sys, &iface, ".link")?;
    let (file, entry, value) = entries
        .iter()
        .rev()
        .filter(|(_, e)| e.section == "Link")
        .find_map(|(file, e)| sets(locus, e).map(|value| (file, e, value)))?;
    Some(Claim {
        by: "systemd-udevd".to_owned(),
        file: Some(format!("{file}:{}", entry.line)),
        sets: Some(value),
        runs: false,
        // lowlat.service is ordered after the device, which udev announces when it has applied the file.
        wins: false,
        rule: "udev applies the first .link file that matches whenever the interface appears (systemd.link(5)); \
               lowlat.service sets its value after that at boot, but not when the driver is loaded again"
            .to_owned(),
        remedy: format!("write lowlat's value to {} in {file}", entry.key),
    })
}

pub(crate) fn interface(locus: &Locus) -> Option<String> {
    locus.iface().map(str::to_owned)
}

/// Microseconds of a time span (systemd.time(7)); without a unit it counts seconds.
fn usecs(value: &str) -> Option<String> {
    let digits = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    let n: u64 = value[..digits].parse().ok()?;
    let unit = match value[digits..].trim() {
        "us" | "usec" | "µs" => 1,
        "ms" | "msec" => 1_000,
        "" | "s" | "sec" => 1_000_000,
        _ => return None,
    };
    n.checked_mul(unit).map(|n| n.to_string())
}

/// The value at a place, if the assignment is for it (systemd.link(5), `[Link]`).
fn sets(locus: &Locus, e: &Entry) -> Option<String> {
    let flag = |v: &str| truth(v).map(|on| u8::from(on).to_string());
    match (locus, e.key.as_str()) {
        (Locus::Ring { param, .. }, "RxBufferSize") if param == "rx" => Some(e.value.clone()),
        (Locus::Ring { param, .. }, "TxBufferSize") if param == "tx" => Some(e.value.clone()),
        (Locus::Channels { param, .. }, "CombinedChannels") if param == "combined" => Some(e.value.clone()),
        (Locus::Channels { param, .. }, "RxChannels") if param == "rx" => Some(e.value.clone()),
        (Locus::Channels { param, .. }, "TxChannels") if param == "tx" => Some(e.value.clone()),
        (Locus::Pause { param, .. }, "RxFlowControl") if param == "rx" => on_off(&e.value),
        (Locus::Pause { param, .. }, "TxFlowControl") if param == "tx" => on_off(&e.value),
        (Locus::Pause { param, .. }, "AutoNegotiationFlowControl") if param == "autoneg" => on_off(&e.value),
        (Locus::Feature { name, .. }, key) => {
            let short = match key {
                "GenericReceiveOffload" => "gro",
                "GenericReceiveOffloadHardware" => "rx-gro-hw",
                "GenericSegmentationOffload" => "gso",
                "TCPSegmentationOffload" => "tx-tcp-segmentation",
                "TCP6SegmentationOffload" => "tx-tcp6-segmentation",
                "LargeReceiveOffload" => "lro",
                "ReceiveChecksumOffload" => "rx",
                "TransmitChecksumOffload" => "tx",
                "NTupleFilter" => "ntuple",
                _ => return None,
            };
            if feature_matches(short, name) { on_off(&e.value) } else { None }
        }
        (_, "RxCoalesceSec") => coalesced(locus, "rx-usecs", &usecs(&e.value)?),
        (_, "TxCoalesceSec") => coalesced(locus, "tx-usecs", &usecs(&e.value)?),
        (_, "RxMaxCoalescedFrames") => coalesced(locus, "rx-frames", &e.value),
        (_, "TxMaxCoalescedFrames") => coalesced(locus, "tx-frames", &e.value),
        (_, "UseAdaptiveRxCoalesce") => coalesced(locus, "adaptive-rx", &flag(&e.value)?),
        (_, "UseAdaptiveTxCoalesce") => coalesced(locus, "adaptive-tx", &flag(&e.value)?),
        (Locus::File { path }, "TransmitQueueLength") if path.ends_with("/tx_queue_len") => Some(e.value.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lowlat_model::State;
    use lowlat_testkit::FakeSys;

    fn host() -> FakeSys {
        FakeSys::new()
            .file("/sys/class/net/eth0/address", "02:00:00:00:00:01\n")
            .link("/sys/class/net/eth0/device", "../../../0000:00:03.0")
            .file("/usr/lib/systemd/network/99-default.link", "[Match]\nOriginalName=*\n[Link]\nNamePolicy=keep\n")
            .file("/etc/systemd/network/20-other.link", "[Match]\nOriginalName=wan*\n[Link]\nRxBufferSize=64\n")
            .file(
                "/etc/systemd/network/50-lan.link",
                "[Match]\nPath=pci-0000:00:03.*\n[Link]\nRxBufferSize=4096\nRxCoalesceSec=30us\nGenericReceiveOffload=no\n",
            )
            .file("/etc/systemd/network/60-late.link", "[Match]\nOriginalName=eth0\n[Link]\nRxBufferSize=128\n")
    }

    #[test]
    fn the_first_file_that_matches_is_named_with_its_line() {
        let sys = host().file("/etc/systemd/network/50-lan.link.d/10.conf", "[Link]\nRxBufferSize=2048\n");
        let others = |l: Locus, set: &str| Host::new(&sys).others(&l, &State::Text(set.into()));
        let ring = || Locus::Ring { iface: "eth0".into(), param: "rx".into() };
        let found = others(ring(), "512");
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].sets.as_deref(), Some("2048"));
        assert_eq!(found[0].file.as_deref(), Some("/etc/systemd/network/50-lan.link.d/10.conf:2"));
        assert!(!found[0].wins);
        assert!(others(ring(), "2048").is_empty(), "who wants the same is not an other");
        let usecs = others(Locus::Coalesce { iface: "eth0".into(), param: "rx-usecs".into() }, "0");
        assert_eq!(usecs[0].sets.as_deref(), Some("30"));
        let whole = Locus::Moderation { iface: "eth0".into(), direction: "rx".into() };
        assert!(others(whole.clone(), "adaptive-rx=0 rx-usecs=30").is_empty());
        assert_eq!(others(whole, "adaptive-rx=0 rx-usecs=0")[0].sets.as_deref(), Some("rx-usecs=30"));
        assert_eq!(others(Locus::Feature { iface: "eth0".into(), name: "rx-gro".into() }, "on").len(), 1);
        assert!(others(Locus::Ring { iface: "eth1".into(), param: "rx".into() }, "1").is_empty());
    }
}
