//! 10 points: the kernel is one that lowlat knows.

use lowlat_model::document::{ConfidencePart, part as names};

use super::part;
use crate::Input;

/// The oldest kernel on which lowlat's interfaces (ethtool over netlink among them, which came with 5.6 and was
/// completed by 5.10) are exercised.
const OLDEST: (u32, u32) = (5, 10);

/// 10 points when `uname -r` was read, parses, and is 5.10 or newer.
pub(crate) fn versions(input: &Input<'_>) -> ConfidencePart {
    let release = &input.facts.host.release;
    let (points, why) = match release.value() {
        None => {
            let (kind, why) = release.why_not().unwrap_or(("absent", ""));
            (0, format!("the kernel's release was not read: {kind}: {why}"))
        }
        Some(text) => match parse(text) {
            None => (0, format!("the kernel's release {text:?} does not parse")),
            Some(v) if v < OLDEST => (0, format!("kernel {text} is older than 5.10, the oldest that lowlat knows")),
            Some(_) => (10, format!("kernel {text}")),
        },
    };
    part(names::VERSIONS, points, 10, why)
}

/// `6.12.95-cloud` → `(6, 12)`.
fn parse(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use lowlat_model::Reading;

    #[test]
    fn five_ten_is_new_enough_and_five_nine_is_not() {
        let mut run = sample::Run::good();
        for (release, points) in [("5.10.0-30-amd64", 10), ("5.9.16", 0), ("6.18.44", 10), ("4.19", 0), ("next", 0)] {
            run.facts.host.release = Reading::Value(release.into());
            assert_eq!(versions(&run.input()).points, points, "{release}");
        }
        run.facts.host.release = Reading::Denied("no".into());
        assert_eq!(versions(&run.input()).points, 0);
    }
}
