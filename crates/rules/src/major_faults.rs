//! Pages that are read when they are touched.

use lowlat_model::Severity;

use crate::look::{finding, within};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// Page faults that had to read from a disk.
    /// ## Why it matters
    /// The program that touches such a page waits for the read: hundreds of microseconds and more. A program that has
    /// just started always has some.
    /// ## Threshold
    /// More than ten a second in the counter window, on the whole host (a heuristic; the counter does not say which
    /// program had them).
    /// ## Remedy
    /// Lock the memory of the latency-critical program and touch it before the traffic starts (memory.mlock); warm the
    /// program up. More memory keeps more files cached.
    pub MajorFaults = "major-faults";
    sources [
        "mm/vmstat.c in linux 6.12: pgmajfault",
        "man 2 mlockall (NOTES)",
        "heuristic: ten a second",
    ];
    follows ["swapping"];
}

const PER_SECOND: f64 = 10.0;

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(window) = seen.window(input) else { return };
    let Some(by) = seen.growth(window, "vmstat", "pgmajfault") else { return };
    if window.rate("vmstat", "pgmajfault").is_none_or(|rate| rate <= PER_SECOND) {
        return;
    }
    seen.found(finding(
        NAME,
        Severity::Info,
        "programs wait for pages read from disk".to_owned(),
        vec![format!("pgmajfault grew by {by} {} (/proc/vmstat, whole host)", within(window))],
        "lock and touch the memory of the latency-critical program before the traffic starts",
    ));
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::facts::{deny_group, grow, healthy};

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn many_of_them() {
        let mut facts = healthy();
        grow(&mut facts, "vmstat", "pgmajfault", 10);
        assert_eq!(rule(NAME, &facts), Seen::default());
        grow(&mut facts, "vmstat", "pgmajfault", 40);
        only(NAME, &facts, &["pgmajfault grew by 50 in 1000 ms (/proc/vmstat, whole host)"], &[]);
        deny_group(&mut facts, "vmstat");
        blind(NAME, &facts, "vmstat", "denied");
    }
}
