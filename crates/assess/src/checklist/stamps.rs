//! Item 7: hardware stamps.

use lowlat_model::document::{ChecklistItem, item as id};

use super::item;
use crate::Input;
use crate::words::percent;

/// 7: where the NIC advertises hardware stamps, some arrived in the measurement. Advertised is not enough: some
/// drivers accept the setting and never deliver one (e1000e in QEMU does).
pub(crate) fn hardware_stamps(input: &Input<'_>) -> ChecklistItem {
    let name = (id::STAMPS, "hardware timestamps on where available");
    let Some((iface, nic)) = input.now().focus() else {
        return item(name, None, "no interface was in focus");
    };
    let Some(stamping) = nic.timestamping.value() else {
        let (kind, why) = nic.timestamping.why_not().unwrap_or(("absent", ""));
        return item(name, None, format!("the stamping of {iface} was not read: {kind}: {why}"));
    };
    let able = stamping.capabilities.iter().any(|c| c == "hardware-transmit" || c == "hardware-receive");
    if !able {
        return item(name, None, format!("{iface} has none"));
    }
    let Some(m) = input.present() else {
        return item(name, None, "nothing was measured");
    };
    let mut came: Vec<String> = Vec::new();
    for (kind, ratio) in m.stamp_coverage.iter().filter(|(k, r)| k.starts_with("hardware") && **r > 0.0) {
        came.push(format!("{kind} on {}", percent(*ratio)));
    }
    if came.is_empty() {
        item(name, Some(false), format!("{iface} advertises them but none arrived"))
    } else {
        item(name, Some(true), came.join(", "))
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
