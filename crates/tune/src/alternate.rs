//! Rounds of two configurations, alternated: the one loop behind every A/B test of the program.

use lowlat_model::verdict::Stopped;
use lowlat_verdict::sequential::{Coins, Next};

use crate::{Bench, BenchError, TuneError};

/// Before every round, whether a setting was toggled or not, ns: longer than the writes of a step and what they leave
/// in caches, queues and the prober's own run queue.
const SETTLE_NS: u64 = 2_000_000;

/// Why an alternation ended before its test did.
#[derive(Debug)]
pub enum Halt {
    /// The host did not take the change; it is as it was.
    Refused(String),
    /// A toggle reset the link or its queues without notice.
    Reset(String),
    /// The run cannot go on.
    Fail(TuneError),
}

impl From<TuneError> for Halt {
    fn from(error: TuneError) -> Self {
        Self::Fail(error)
    }
}

impl From<BenchError> for Halt {
    fn from(error: BenchError) -> Self {
        Self::Fail(error.into())
    }
}

/// Makes side A (`false`) or B (`true`) ready for a round; the last argument says whether it has to be brought about,
/// or stands already.
pub type Switch<'a> = &'a mut dyn FnMut(&mut dyn Bench, bool, bool) -> Result<(), Halt>;
/// One round of a side, on the flow of this source port.
pub type OneRound<'a, T> = &'a mut dyn FnMut(&mut dyn Bench, bool, u16) -> Result<T, Halt>;

/// What is alternated.
pub struct Pairing<'a, T> {
    /// Called before every round. What a toggle stirs up has to settle alike before each of them: where the side stays
    /// nothing is toggled, and a disturbance that only some rounds have would be taken for an effect.
    pub switch: Switch<'a>,
    /// Called twice a pair.
    pub round: OneRound<'a, T>,
    /// A whole pair, A first whichever ran first.
    pub push: &'a mut dyn FnMut(T, T) -> Next,
}

impl<T> std::fmt::Debug for Pairing<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pairing")
    }
}

/// A path that went during a round or a toggle is why that failed: an interface that is gone reads as "network unreachable" to
/// a socket, and as a setting that cannot be put back to the host. Whoever called rolls back and says how that went.
fn or_lost(bench: &mut dyn Bench, halt: Halt) -> Halt {
    if !matches!(halt, Halt::Refused(_) | Halt::Fail(TuneError::Bench(_) | TuneError::Host(_))) {
        return halt;
    }
    bench.path_lost().map_or(halt, |why| TuneError::PathLost(why).into())
}

/// Runs pairs until the test stops. A fair coin of its own decides the order of each pair: under "no effect" the sign
/// of a pair's difference is then that coin, whatever the noise does, which is all that the test assumes.
///
/// Both rounds of a pair use one flow, and pairs vary it, so that the receive queue falls on both sides alike. A signal
/// ends it with [`TuneError::Interrupted`]; the pairs pushed so far are whole ones.
pub fn alternate<T>(bench: &mut dyn Bench, coins: &mut Coins, pairing: &mut Pairing<'_, T>) -> Result<Stopped, Halt> {
    let mut standing = None;
    loop {
        if let Some(why) = bench.path_lost() {
            return Err(TuneError::PathLost(why).into());
        }
        let port = bench.source_port()?;
        let b_first = coins.b_first();
        let mut first = None;
        for is_b in [b_first, !b_first] {
            if bench.stopped() {
                return Err(TuneError::Interrupted.into());
            }
            (pairing.switch)(bench, is_b, standing != Some(is_b)).map_err(|halt| or_lost(bench, halt))?;
            standing = Some(is_b);
            bench.wait(SETTLE_NS);
            let round = (pairing.round)(bench, is_b, port).map_err(|halt| or_lost(bench, halt))?;
            if bench.stopped() {
                // The signal may have cut the round short.
                return Err(TuneError::Interrupted.into());
            }
            match first.take() {
                None => first = Some(round),
                Some(earlier) => {
                    let (a, b) = if is_b { (earlier, round) } else { (round, earlier) };
                    if let Next::Stop(stopped) = (pairing.push)(a, b) {
                        return Ok(stopped);
                    }
                }
            }
        }
    }
}
