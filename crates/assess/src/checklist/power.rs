//! Item 9: the governor.

use lowlat_model::document::{ChecklistItem, item as id};

use super::item;
use crate::Input;
use crate::words::cpus;

/// 9: every online CPU whose governor could be read runs `performance`.
pub(crate) fn governor(input: &Input<'_>) -> ChecklistItem {
    let name = (id::GOVERNOR, "governor performance");
    let rests = [input.fact("cpus.power")];
    let power = &input.now().cpus.power;
    let mut slow = Vec::new();
    let mut read = 0_usize;
    let mut why_not = None;
    for (cpu, p) in power {
        match p.governor.value() {
            Some(g) => {
                read += 1;
                if g != "performance" {
                    slow.push(*cpu);
                }
            }
            None => why_not = p.governor.why_not().map(|(kind, why)| format!("{kind}: {why}")),
        }
    }
    if !slow.is_empty() {
        return item(name, Some(false), format!("another governor on CPU {}", cpus(&slow)), rests);
    }
    let (met, evidence) = match (read, why_not) {
        (0, why) => (None, format!("no governor to read: {}", why.unwrap_or_else(|| "no CPU was read".to_owned()))),
        (_, Some(why)) => (None, format!("performance on {read} CPUs, not read on the others: {why}")),
        (_, None) => (Some(true), format!("performance on {read} CPUs")),
    };
    item(name, met, evidence, rests)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use lowlat_model::Reading;

    #[test]
    fn one_slow_cpu_is_enough_and_none_to_read_is_not_an_answer() {
        let mut run = sample::Run::good();
        run.after().cpus.power.get_mut(&3).unwrap().governor = Reading::Value("powersave".into());
        assert_eq!(governor(&run.input()).met, Some(false));
        for p in run.after().cpus.power.values_mut() {
            p.governor = Reading::Absent("no cpufreq".into());
        }
        assert_eq!(governor(&run.input()).met, None);
    }
}
