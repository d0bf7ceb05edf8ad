//! Item 5: offloads and coalescing as latency wants them.

use lowlat_model::Verdict;
use lowlat_model::document::{ChecklistItem, StepResult, item as id};
use lowlat_model::facts::Interface;

use super::{devices, item};
use crate::Input;

/// The highest `rx-usecs` that passes: the threshold of the rule `interrupt-coalescing`.
const RX_USECS: u32 = 10;

/// 5: LRO is off, receive coalescing is not adaptive and at most 10 µs, read back after the run. LRO holds packets to
/// merge them and helps no single one; GRO, TSO and GSO are not asked for here, because whether they cost latency
/// depends on the traffic: the A/B test of their own knob judges them. A coalescing setting that its own A/B test could
/// not better stands as it is. Looked at are the devices beneath a bond or a VLAN, which have none of their own.
pub(crate) fn offloads(input: &Input<'_>) -> ChecklistItem {
    let name = (id::OFFLOADS, "offloads set for latency");
    let devices = devices(input.now());
    if devices.is_empty() {
        return item(name, None, "no interface was in focus", []);
    }
    let (mut bad, mut seen, mut unread, mut rests) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (iface, nic) in &devices {
        // Of one device the name says nothing that the report's head does not.
        let of = if devices.len() == 1 { String::new() } else { format!("{iface}: ") };
        let (wrong, right) = match judge(input, iface, nic, &mut rests) {
            Ok(both) => both,
            Err(why) => {
                unread.push(why);
                continue;
            }
        };
        bad.extend((!wrong.is_empty()).then(|| format!("{of}{}", wrong.join(", "))));
        seen.push(format!("{of}{}", right.join(", ")));
    }
    match (bad.is_empty(), unread.is_empty()) {
        (false, _) => item(name, Some(false), bad.join("; "), rests),
        (true, false) => item(name, None, unread.join("; "), rests),
        (true, true) => item(name, Some(true), seen.join("; "), rests),
    }
}

/// What of one device is wrong, and what is right; or why it was not read.
fn judge(
    input: &Input<'_>,
    iface: &str,
    nic: &Interface,
    rests: &mut Vec<String>,
) -> Result<(Vec<String>, Vec<String>), String> {
    let place = |what: &str| input.fact(format!("interfaces.{iface}.{what}"));
    rests.push(place("features.rx-lro"));
    let Some(features) = nic.features.value() else {
        let (kind, why) = nic.features.why_not().unwrap_or(("absent", ""));
        return Err(format!("the features of {iface} were not read: {kind}: {why}"));
    };
    let mut bad = Vec::new();
    if features.get("rx-lro").is_some_and(|f| f.active) {
        bad.push("LRO is on".to_owned());
    }
    let mut seen = vec!["LRO off".to_owned()];
    let Some(coalesce) = nic.coalesce.value() else {
        rests.push(place("coalesce"));
        seen.push("no coalescing to set".to_owned());
        return Ok((bad, seen));
    };
    for (param, most) in [("adaptive-rx", 0), ("rx-usecs", RX_USECS)] {
        let Some(&value) = coalesce.get(param) else { continue };
        rests.push(place(&format!("coalesce.{param}")));
        let by_test = judged(input, param);
        rests.extend(by_test.map(|s| format!("run.steps[{} on {}]", s.knob, s.target)).filter(|_| value > most));
        if value <= most || by_test.is_some() {
            seen.push(format!("{param} {value}"));
        } else {
            bad.push(format!("{param} is {value}"));
        }
    }
    Ok((bad, seen))
}

/// The A/B test that tried another value of this parameter and showed none better.
fn judged<'a>(input: &Input<'a>, param: &str) -> Option<&'a StepResult> {
    let knob = format!("nic.coalesce.{param}");
    input.steps.iter().find(|s| s.knob == knob && matches!(s.verdict, Verdict::Same | Verdict::Worse))
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
