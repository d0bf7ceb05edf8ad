//! The name and version every stored document carries.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `name` and `version` of a document's format. A reader refuses a version above the one it knows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Schema {
    /// For example `lowlat.facts`.
    pub name: String,
    /// Grows by one with each change that an old reader would misread.
    pub version: u32,
}

/// The documents lowlat writes, with the version this build writes and the newest it reads.
pub const DOCUMENTS: &[(&str, u32)] = &[
    ("facts", 1),
    ("check", 1),
    ("plan", 1),
    ("measure", 1),
    ("compare", 1),
    ("shape", 1),
    ("sweep", 1),
    ("zerocopy", 1),
    ("engines", 1),
    ("noise", 1),
    ("trace", 1),
    ("far-trace", 1),
    ("watch", 1),
    ("optimize", 1),
    ("status", 1),
    ("rollback", 1),
    ("confirm", 1),
    ("persist", 1),
    ("bypass", 1),
    ("bypass-verdict", 1),
    ("bypass-new", 1),
    ("explain", 1),
    ("serve", 1),
    ("self", 1),
    ("journal", 2),
];

impl Schema {
    /// The current schema of a document named in [`DOCUMENTS`]. Unknown names get version 0, which no reader accepts.
    pub fn current(name: &str) -> Self {
        let version = DOCUMENTS.iter().find(|(n, _)| *n == name).map_or(0, |(_, v)| *v);
        Self { name: format!("lowlat.{name}"), version }
    }

    /// Refuses a foreign document or one from a newer lowlat.
    pub fn expect(&self, name: &str) -> Result<(), String> {
        let want = Self::current(name);
        if self.name != want.name {
            return Err(format!("it is a {:?} document, not {:?}", self.name, want.name));
        }
        if self.version == 0 || self.version > want.version {
            return Err(format!(
                "it has {} version {}, this lowlat reads up to {}; use the lowlat that wrote it or a newer one",
                want.name, self.version, want.version
            ));
        }
        Ok(())
    }
}
