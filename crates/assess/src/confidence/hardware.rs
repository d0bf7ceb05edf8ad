//! 15 points: what the hardware can do is known.

use lowlat_model::document::{ConfidencePart, part as names};
use lowlat_model::{Facts, Reading};

use super::part;
use crate::Input;

/// 15 points when the interface in focus answered every question about itself. "The driver does not offer it" is an
/// answer; denied, garbled and absent are not.
pub(crate) fn hardware(input: &Input<'_>) -> ConfidencePart {
    let open = unanswered(input.now());
    match open {
        None => part(names::HARDWARE, 0, 15, "no interface was in focus".to_owned()),
        Some(open) if open.is_empty() => {
            part(names::HARDWARE, 15, 15, "driver, features, rings, coalescing and stamping were read".to_owned())
        }
        Some(open) => part(names::HARDWARE, 0, 15, format!("not read: {}", open.join("; "))),
    }
}

/// Where the answers are.
pub(super) fn rests(input: &Input<'_>) -> Vec<String> {
    let Some((iface, _)) = input.now().focus() else { return vec![input.fact("iface")] };
    let of = ["driver", "features", "rings", "coalesce", "timestamping"];
    of.map(|what| input.fact(format!("interfaces.{iface}.{what}"))).to_vec()
}

/// The questions the interface did not answer, with the reason; `None` without an interface.
fn unanswered(facts: &Facts) -> Option<Vec<String>> {
    let (_, iface) = facts.focus()?;
    let questions = [
        ("driver", answer(&iface.driver)),
        ("features", answer(&iface.features)),
        ("rings", answer(&iface.rings)),
        ("coalescing", answer(&iface.coalesce)),
        ("stamping", answer(&iface.timestamping)),
    ];
    Some(questions.into_iter().filter_map(|(what, why)| Some(format!("{what}: {}", why?))).collect())
}

/// Why a reading is not an answer; `None` when it is one.
fn answer<T>(reading: &Reading<T>) -> Option<String> {
    match reading {
        Reading::Value(_) | Reading::Unsupported(_) => None,
        other => other.why_not().map(|(kind, why)| format!("{kind}: {why}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn unsupported_is_an_answer_and_denied_is_not() {
        let mut run = sample::Run::good();
        run.iface().rings = Reading::Unsupported("veth has no rings".into());
        assert_eq!(hardware(&run.input()).points, 15);
        run.iface().rings = Reading::Denied("needs root".into());
        let part = hardware(&run.input());
        assert_eq!(part.points, 0);
        assert_eq!(part.why, "not read: rings: denied: needs root");
    }
}
