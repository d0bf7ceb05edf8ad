//! FILL IN: the fault in a few words.

use lowlat_model::Severity;

use crate::look::finding;
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// FILL IN: the fault, in words that need no knowledge of the code.
    /// ## Why it matters
    /// FILL IN: what it does to a round trip, with figures.
    /// ## Threshold
    /// FILL IN: from where on it is a fault, as a figure.
    /// ## Remedy
    /// FILL IN: what fixes it, and what that costs.
    pub NewUnit = "new-unit";
    sources [
        "FILL IN: where the threshold comes from, in a form of crates/model/src/source.rs",
    ];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    // FILL IN: each fact it needs by `seen.need`, so that one that is missing is said; then the threshold.
    let Some(fact) = seen.need("FILL IN: the fact", &input.facts.host.machine) else { return };
    if fact != "FILL IN: what is wrong with it" {
        return;
    }
    seen.found(finding(
        NAME,
        Severity::Warning,
        "FILL IN: the fault in one line".to_owned(),
        vec![format!("FILL IN: the fact as it is: {fact}")],
        "FILL IN: the remedy in one line",
    ));
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::facts::healthy;

    use super::*;
    use crate::look::test::rule;

    #[test]
    fn the_fault_is_found() {
        // FILL IN: plant the fault, and ask with `only` for exactly this finding with its evidence.
        let facts = healthy();
        assert_ne!(rule(NAME, &facts), Seen::default(), "FILL IN: the fault is not planted yet");
    }

    #[test]
    fn a_fact_that_is_denied_is_said() {
        // FILL IN: deny each fact in turn, and ask with `blind` for its name.
        let facts = healthy();
        assert_ne!(rule(NAME, &facts).not_seen, [], "FILL IN: no fact is denied yet");
    }
}
