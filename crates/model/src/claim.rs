//! Who else sets a setting: a daemon that runs, or a file that something reads at boot.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One other owner of a setting, and the value that it wants there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Claim {
    /// Who sets it: `irqbalance`, `tuned`, `systemd-sysctl`, …
    pub by: String,
    /// The file that says so, with its line where that is one: `/etc/sysctl.d/99-x.conf:3`.
    pub file: Option<String>,
    /// What it sets, as text of the setting; `null` where it decides that itself.
    pub sets: Option<String>,
    /// It acts in this boot already: it runs now.
    pub runs: bool,
    /// Its value stands in the end, and not that of the files of `lowlat persist`.
    pub wins: bool,
    /// By which rule, with the place where that is documented.
    pub rule: String,
    /// What to do so that one of both sets it.
    pub remedy: String,
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.by)?;
        match &self.sets {
            Some(value) => write!(f, " sets it to {value}")?,
            None => f.write_str(" sets it as it decides")?,
        }
        if let Some(file) = &self.file {
            write!(f, " ({file})")?;
        }
        write!(f, ": {}; {}", self.rule, self.remedy)
    }
}
