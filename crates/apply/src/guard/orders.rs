//! What a guard receives on its command line.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::path::Path;

/// The hidden subcommand; [`Orders::words`] are its arguments.
const SUBCOMMAND: &str = "rollback-unless-confirmed";

/// A target that the guard watches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watch {
    /// As the user named it.
    pub target: String,
    /// The path counts as cut when no answer came for this long, ns.
    pub lost_after_ns: u64,
}

/// What a guard waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orders {
    /// Transaction.
    pub transaction: String,
    /// By which the guard is known again.
    pub token: String,
    /// `CLOCK_BOOTTIME` at which it goes back, ns.
    pub deadline_boot_ns: u64,
    /// What it watches meanwhile.
    pub watch: Option<Watch>,
}

impl Orders {
    /// As arguments: subcommand, transaction, token, deadline, and target and patience where there is one.
    pub fn words(&self) -> Vec<String> {
        let mut words = vec![
            SUBCOMMAND.to_owned(),
            self.transaction.clone(),
            self.token.clone(),
            self.deadline_boot_ns.to_string(),
        ];
        if let Some(watch) = &self.watch {
            words.extend([watch.target.clone(), watch.lost_after_ns.to_string()]);
        }
        words
    }
}

/// A name that nobody can know before; the random numbers are the system's (each state of this kind is seeded anew).
pub(super) fn token() -> String {
    format!("{:016x}", RandomState::new().build_hasher().finish())
}

/// The options of `systemd-run` (systemd-run(1), systemd.kill(5), systemd.exec(5)). A stop of the unit, which comes at
/// shutdown only, does not wait for a process that takes no SIGTERM.
pub(super) fn unit(transaction: &str, state: &Path) -> Vec<String> {
    vec![
        "--quiet".to_owned(),
        "--collect".to_owned(),
        format!("--unit=lowlat-guard-{transaction}"),
        "--description=lowlat: goes back unless confirmed".to_owned(),
        "--property=TimeoutStopSec=2s".to_owned(),
        "--property=OOMScoreAdjust=-1000".to_owned(),
        format!("--setenv=LOWLAT_STATE={}", state.display()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_words_and_no_two_tokens_are_alike() {
        let mut orders = Orders { transaction: "1".into(), token: token(), deadline_boot_ns: 7, watch: None };
        assert_eq!(orders.words()[..2], [SUBCOMMAND, "1"]);
        assert_eq!((orders.words().len(), orders.token.len()), (4, 16));
        orders.watch = Some(Watch { target: "192.0.2.1".into(), lost_after_ns: 9 });
        assert_eq!(orders.words()[4..], ["192.0.2.1", "9"]);
        assert_ne!(token(), token());
    }

    #[test]
    fn the_unit_knows_its_state_directory_and_ends_at_once_at_shutdown() {
        let options = unit("00042", Path::new("/var/lib/lowlat"));
        for option in
            ["--unit=lowlat-guard-00042", "--setenv=LOWLAT_STATE=/var/lib/lowlat", "--property=TimeoutStopSec=2s"]
        {
            assert!(options.iter().any(|o| o == option), "{option}: {options:?}");
        }
    }
}
