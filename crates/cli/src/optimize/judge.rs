//! One A/B test: rounds without and with a change, alternated on the live path.

use lowlat_model::verdict::{Comparison, Round, Rounds};

use crate::failure::Failure;
use crate::probe::{self, Ask};
use crate::signals;

/// Runs `pairs` pairs of rounds. `toggle(true)` brings the change, `toggle(false)` takes it away; each is called only
/// when the state differs, and pairs run AB, BA, AB, … so that the host's drift falls on both arms alike and one toggle
/// a pair is enough.
pub fn alternate(
    a: &Ask<'_>,
    b: &Ask<'_>,
    names: (&str, &str),
    pairs: u32,
    toggle: &mut dyn FnMut(bool) -> Result<(), Failure>,
) -> Result<Rounds, Failure> {
    let mut rounds = Vec::with_capacity(pairs as usize * 2);
    let mut now = None;
    for pair in 0..pairs {
        for is_b in if pair % 2 == 0 { [false, true] } else { [true, false] } {
            if signals::stopped() {
                return Err(Failure::new("A/B test: interrupted by a signal"));
            }
            if now != Some(is_b) {
                toggle(is_b)?;
                now = Some(is_b);
            }
            rounds.push(Round { is_b, samples_ns: probe::round(if is_b { b } else { a })? });
        }
    }
    Ok(Rounds { a_name: names.0.to_owned(), b_name: names.1.to_owned(), rounds })
}

/// What the rounds show.
pub fn compare(rounds: &Rounds) -> Comparison {
    lowlat_verdict::compare(rounds, &lowlat_verdict::Options::default())
}
