//! Item 5: offloads and coalescing as latency wants them.

use lowlat_model::Verdict;
use lowlat_model::document::{ChecklistItem, item as id};

use super::item;
use crate::Input;

/// The highest `rx-usecs` that passes: the threshold of the rule `interrupt-coalescing`.
const RX_USECS: u32 = 10;

/// 5: LRO is off, receive coalescing is not adaptive and at most 10 µs, read back after the run. LRO holds packets to
/// merge them and helps no single one; GRO, TSO and GSO are not asked for here, because whether they cost latency
/// depends on the traffic: the A/B test of their own knob judges them. A coalescing setting that its own A/B test could
/// not better stands as it is.
pub(crate) fn offloads(input: &Input<'_>) -> ChecklistItem {
    let name = (id::OFFLOADS, "offloads set for latency");
    let Some((iface, nic)) = input.now().focus() else {
        return item(name, None, "no interface was in focus");
    };
    let Some(features) = nic.features.value() else {
        let (kind, why) = nic.features.why_not().unwrap_or(("absent", ""));
        return item(name, None, format!("the features of {iface} were not read: {kind}: {why}"));
    };
    let mut bad = Vec::new();
    if features.get("rx-lro").is_some_and(|f| f.active) {
        bad.push("LRO is on".to_owned());
    }
    let mut seen = vec!["LRO off".to_owned()];
    if let Some(coalesce) = nic.coalesce.value() {
        for (param, most) in [("adaptive-rx", 0), ("rx-usecs", RX_USECS)] {
            let Some(&value) = coalesce.get(param) else { continue };
            if value <= most || judged(input, param) {
                seen.push(format!("{param} {value}"));
            } else {
                bad.push(format!("{param} is {value}"));
            }
        }
    } else {
        seen.push("no coalescing to set".to_owned());
    }
    if bad.is_empty() { item(name, Some(true), seen.join(", ")) } else { item(name, Some(false), bad.join(", ")) }
}

/// An A/B test tried another value of this parameter and showed none better.
fn judged(input: &Input<'_>, param: &str) -> bool {
    let knob = format!("nic.coalesce.{param}");
    input.steps.iter().any(|s| s.knob == knob && matches!(s.verdict, Verdict::Same | Verdict::Worse))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use lowlat_model::op::Target;
    use lowlat_model::{Reading, facts::Feature};
    use lowlat_testkit::run as sample_run;

    fn set(run: &mut sample::Run, param: &str, value: u32) {
        if let Reading::Value(c) = &mut run.iface().coalesce {
            c.insert(param.into(), value);
        }
    }

    #[test]
    fn slow_coalescing_and_lro_are_seen() {
        let mut run = sample::Run::good();
        set(&mut run, "rx-usecs", 10);
        assert_eq!(offloads(&run.input()).met, Some(true));
        set(&mut run, "rx-usecs", 11);
        assert_eq!(offloads(&run.input()).met, Some(false));
        let worse = sample_run::comparison(80_000, 9_000, 8_000, 9_900, Verdict::Worse);
        run.steps.push(sample_run::step("nic.coalesce.rx-usecs", Target::Iface("eth0".into()), "11", "0", worse));
        assert_eq!(offloads(&run.input()).met, Some(true));
        if let Reading::Value(f) = &mut run.iface().features {
            f.insert("rx-lro".into(), Feature { active: true, changeable: true });
        }
        assert_eq!(offloads(&run.input()).met, Some(false));
        run.iface().features = Reading::Denied("no".into());
        assert_eq!(offloads(&run.input()).met, None);
    }
}
