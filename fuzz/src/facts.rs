//! Stored facts: what reads as a host goes through every rule, and its findings into print.

use lowlat_model::Facts;
use lowlat_rules::Input;

/// A document.
pub fn run(data: &[u8]) {
    let Ok(facts) = serde_json::from_slice::<Facts>(data) else { return };
    let _ = lowlat_report::facts(&facts, lowlat_report::WIDTH);
    for goal_ns in [None, Some(50_000)] {
        let _ = lowlat_rules::check_all(&Input { facts: &facts, baseline: None, goal_ns });
    }
    let Ok(again) = serde_json::to_vec(&facts) else { panic!("facts that were read cannot be written") };
    assert!(serde_json::from_slice::<Facts>(&again).is_ok(), "facts that were written cannot be read");
}
