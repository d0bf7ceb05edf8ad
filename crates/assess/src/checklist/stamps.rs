//! Item 7: hardware stamps.

use lowlat_model::document::{ChecklistItem, item as id};

use super::{devices, item};
use crate::Input;
use crate::words::percent;

/// 7: where the NIC advertises hardware stamps, some arrived in the measurement. Advertised is not enough: some
/// drivers accept the setting and never deliver one (e1000e in QEMU does).
pub(crate) fn hardware_stamps(input: &Input<'_>) -> ChecklistItem {
    let name = (id::STAMPS, "hardware timestamps on where available");
    let devices = devices(input.now());
    let mut rests = Vec::new();
    let (mut able, mut unread) = (Vec::new(), Vec::new());
    for (iface, nic) in &devices {
        rests.push(input.fact(format!("interfaces.{iface}.timestamping")));
        match nic.timestamping.value() {
            Some(s) if s.capabilities.iter().any(|c| c == "hardware-transmit" || c == "hardware-receive") => {
                able.push(*iface);
            }
            Some(_) => {}
            None => {
                let (kind, why) = nic.timestamping.why_not().unwrap_or(("absent", ""));
                unread.push(format!("the stamping of {iface} was not read: {kind}: {why}"));
            }
        }
    }
    if able.is_empty() {
        let evidence = if devices.is_empty() {
            "no interface was in focus".to_owned()
        } else if unread.is_empty() {
            format!("{} has none", devices.iter().map(|(iface, _)| *iface).collect::<Vec<_>>().join(", "))
        } else {
            unread.join("; ")
        };
        return item(name, None, evidence, rests);
    }
    let Some(m) = input.present() else {
        return item(name, None, "nothing was measured", rests);
    };
    rests.push(input.figure("stamp_coverage"));
    let mut came: Vec<String> = Vec::new();
    for (kind, ratio) in m.stamp_coverage.iter().filter(|(k, r)| k.starts_with("hardware") && **r > 0.0) {
        came.push(format!("{kind} on {}", percent(*ratio)));
    }
    if came.is_empty() {
        item(name, Some(false), format!("{} advertises them but none arrived", able.join(", ")), rests)
    } else {
        item(name, Some(true), came.join(", "), rests)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use lowlat_model::{Reading, facts::Timestamping};

    #[test]
    fn advertised_is_not_arrived() {
        let mut run = sample::Run::good();
        assert_eq!(hardware_stamps(&run.input()).met, None);
        run.iface().timestamping =
            Reading::Value(Timestamping { capabilities: vec!["hardware-receive".into()], ..Timestamping::default() });
        assert_eq!(hardware_stamps(&run.input()).met, Some(false));
        run.result.as_mut().unwrap().stamp_coverage.insert("hardware-rx".into(), 0.0);
        assert_eq!(hardware_stamps(&run.input()).met, Some(false));
        run.result.as_mut().unwrap().stamp_coverage.insert("hardware-rx".into(), 0.98);
        assert_eq!(hardware_stamps(&run.input()).met, Some(true));
    }
}
