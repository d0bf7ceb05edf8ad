//! The ten items of the verification, each measured or read back after the run, never assumed.
//!
//! `met` is `null` where it cannot be determined, and the evidence says why; a condition that has nothing to hold on
//! (stamps of a NIC without any, a governor of a host without cpufreq) is `null` too, because a tick would claim a
//! check.

mod drops;
mod latency;
mod offloads;
mod persisted;
mod placement;
mod power;
mod stamps;

use lowlat_model::document::ChecklistItem;

use crate::Input;

/// One item.
type Item = fn(&Input<'_>) -> ChecklistItem;

/// The ten, in the order of the report.
pub(crate) static ITEMS: &[Item] = &[
    latency::baseline_documented,
    latency::latency_down,
    latency::jitter,
    placement::own_cores,
    offloads::offloads,
    persisted::persisted,
    stamps::hardware_stamps,
    drops::no_drops,
    power::governor,
    placement::one_node,
];

/// An item by its key and words.
fn item((id, item): (&str, &str), met: Option<bool>, evidence: impl Into<String>) -> ChecklistItem {
    ChecklistItem { id: id.to_owned(), item: item.to_owned(), met, evidence: evidence.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_good_run_meets_all_it_can_be_asked() {
        let run = sample::Run::good();
        let items: Vec<_> = ITEMS.iter().map(|i| i(&run.input())).collect();
        let ids: std::collections::BTreeSet<&str> = items.iter().map(|i| i.id.as_str()).collect();
        assert_eq!(ids.len(), items.len(), "an item twice: {ids:?}");
        for i in &items {
            let want = if i.id == lowlat_model::document::item::STAMPS { None } else { Some(true) };
            assert_eq!(i.met, want, "{i:?}");
            assert!(!i.evidence.is_empty(), "{i:?}");
        }
    }
}
