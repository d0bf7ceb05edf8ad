//! How long programs stood still for want of a processor or of memory.

use std::collections::BTreeMap;

use lowlat_model::Reading;
use lowlat_sys::Sys;

use super::Groups;
use crate::text::garbled;

crate::collector! {
    /// Time in µs during which at least one program waited for a processor (`pressure/cpu`) or for memory
    /// (`pressure/memory`): the kernel's pressure stall information for the whole host.
    pub PRESSURE = "counters/pressure";
    reads ["/proc/pressure/cpu", "/proc/pressure/memory"];
    sources [
        "Documentation/accounting/psi.rst in linux 6.12: Pressure interface",
    ];
}

pub(crate) fn read(sys: &dyn Sys, groups: &mut Groups) {
    for what in ["cpu", "memory"] {
        let path = format!("/proc/pressure/{what}");
        groups.insert(format!("pressure/{what}"), sys.read(&path).and_then(|t| parse(&path, &t)));
    }
}

/// `some avg10=0.00 avg60=0.00 avg300=0.00 total=12`.
fn parse(path: &str, text: &str) -> Reading<BTreeMap<String, u64>> {
    let some = text.lines().find_map(|line| line.strip_prefix("some "));
    let total = some.and_then(|line| line.split_whitespace().find_map(|w| w.strip_prefix("total=")));
    match total.map(str::parse) {
        Some(Ok(us)) => Reading::Value(BTreeMap::from([("some_us".to_owned(), us)])),
        _ => garbled(path, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_of_some() {
        let text = "some avg10=0.00 avg60=0.00 avg300=0.00 total=12\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=3\n";
        assert_eq!(parse("x", text).into_value().unwrap()["some_us"], 12);
        assert!(matches!(parse("x", "some total=x\n"), Reading::Garbled(_)));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "(?s).*") {
            let _ = parse("x", &text);
        }
    }
}
