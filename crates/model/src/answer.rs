//! What commands answer that store nothing: `rollback`, `confirm`, `persist`, `bypass`, `explain`, `serve`, `measure
//! --self`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::op::Target;
use crate::tune::Resets;
use crate::{Locus, Quantiles, Reading, Schema};

/// The document of `lowlat rollback`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RollbackDocument {
    /// `lowlat.rollback`.
    pub schema: Schema,
    /// Everything is as it was before lowlat, or gone.
    pub complete: bool,
    /// What became of each setting: those that are settled first.
    pub settings: Vec<PutBack>,
    /// Transactions whose journal ends in the middle of an entry: the write that it announces never began.
    pub torn: Vec<String>,
    /// Why a journal could not be brought to its end, though the settings went back; `null` where it could.
    #[serde(default)]
    pub unwritten: Option<String>,
}

/// One setting of a rollback.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PutBack {
    /// Transaction.
    pub transaction: String,
    /// Knob.
    pub knob: String,
    /// Where.
    pub target: Target,
    /// Exact place.
    pub locus: Locus,
    /// What was there before lowlat.
    pub was: String,
    /// `restored`, `already_prior`, `changed_by_other`, `absent`, `gone_with_boot`, `gone_with_namespace`,
    /// `other_namespace`, `failed`.
    pub outcome: String,
    /// Nothing of lowlat's is left there.
    pub settled: bool,
    /// For people.
    pub words: String,
}

/// The document of `lowlat confirm`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConfirmDocument {
    /// `lowlat.confirm`.
    pub schema: Schema,
    /// Transactions that waited for it.
    pub confirmed: usize,
}

/// The document of `lowlat persist`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PersistDocument {
    /// `lowlat.persist`.
    pub schema: Schema,
    /// Files written; with `--print` those that would be, with `--remove` none.
    pub wrote: Vec<String>,
    /// Files taken away, or put to what they were before, by `--remove`.
    #[serde(default)]
    pub removed: Vec<String>,
    /// The text of each file, by its path; empty but for `--print`.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// What is not kept, and what else there is to know.
    pub remarks: Vec<String>,
    /// Something else sets a setting after these files, so that it is not kept.
    #[serde(default)]
    pub contested: bool,
}

/// The document of `lowlat bypass check`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BypassDocument {
    /// `lowlat.bypass`.
    pub schema: Schema,
    /// Interface.
    pub iface: String,
    /// AF_XDP on it.
    pub af_xdp: Reading<AfXdp>,
    /// What is given up, said before anything is done.
    pub costs: Vec<String>,
}

/// What AF_XDP can do on one interface.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AfXdp {
    /// Why the engine would be refused; `null` if it would not.
    pub refused: Option<String>,
    /// Interface that would get program and sockets: the one asked for, or the device under a VLAN interface.
    #[serde(default)]
    pub device: String,
    /// Its MTU, bytes.
    #[serde(default)]
    pub mtu: u32,
    /// Release of the running kernel.
    #[serde(default)]
    pub kernel: String,
    /// Memory that the sockets pin, bytes.
    #[serde(default)]
    pub memory_bytes: u64,
    /// What this process may pin (`RLIMIT_MEMLOCK`), bytes; `null` where no limit applies.
    #[serde(default)]
    pub memory_limit_bytes: Option<u64>,
    /// Driver.
    pub driver: String,
    /// RX queues, each of which needs a socket.
    pub rx_queues: u32,
    /// XDP abilities as the driver reports them; `null` before Linux 6.3.
    pub features: Option<Vec<String>>,
    /// Why sockets may not ask for preferred busy polling; `null` if they may.
    pub no_busy_poll: Option<String>,
    /// Each mode, in the order in which the engine tries them.
    pub modes: Vec<AfXdpMode>,
    /// What resets when an XDP program is attached, and when it is taken off.
    #[serde(default)]
    pub attaching_resets: Resets,
    /// Why, or that it is not known for this driver; `null` where nothing is known to reset.
    #[serde(default)]
    pub attaching_resets_why: Option<String>,
    /// What else there is to say.
    pub remarks: Vec<String>,
}

/// One mode of AF_XDP.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AfXdpMode {
    /// `native zero-copy`, `native copy`, `generic (skb) copy`.
    pub mode: String,
    /// `null`: only a try would tell.
    pub possible: Option<bool>,
    /// Why.
    pub why: String,
}

/// The document of `lowlat explain`: a page, or without a name the names there are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExplainDocument {
    /// `lowlat.explain`.
    pub schema: Schema,
    /// What was asked for.
    pub name: Option<String>,
    /// Its page, Markdown.
    pub page: Option<String>,
    /// Every name, in groups.
    pub names: Vec<Names>,
    /// What a search found, best first.
    #[serde(default)]
    pub found: Vec<FoundPage>,
}

/// A page that a search found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FoundPage {
    /// Its name.
    pub name: String,
    /// Knobs, rules, …
    pub group: String,
    /// The first line of it that holds one of the words.
    pub line: String,
}

/// One group of names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Names {
    /// Knobs, rules, …
    pub group: String,
    /// Names.
    pub names: Vec<String>,
}

/// The document of `lowlat serve`, printed when it ends.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServeDocument {
    /// `lowlat.serve`.
    pub schema: Schema,
    /// Messages that came.
    pub received: u64,
    /// Answers handed to the kernel.
    pub answered: u64,
    /// Of those, on a socket connected to the client.
    #[serde(alias = "seated")]
    pub answered_connected: u64,
    /// Not a message of the protocol, too long, or an answer.
    pub malformed: u64,
    /// Without the right tag.
    pub unauthenticated: u64,
    /// With the right tag, but they came before.
    #[serde(default)]
    pub replayed: u64,
    /// Asked for no answer.
    pub none_wanted: u64,
    /// From a source that is not on the allow-list.
    pub not_allowed: u64,
    /// Above one source's rate.
    pub source_limited: u64,
    /// Above the total rate.
    pub total_limited: u64,
    /// Answers the kernel did not take.
    pub send_failed: u64,
    /// Receive calls that failed.
    pub receive_failed: u64,
    /// Datagrams the kernel dropped before this program.
    pub kernel_dropped: u64,
    /// TCP connections taken.
    pub connections: u64,
    /// TCP connections closed at once: too many, in all or from one source.
    pub connections_refused: u64,
    /// TCP connections closed because nothing whole came for too long.
    pub connections_idle: u64,
    /// Bytes thrown away on sink connections.
    pub sink_bytes: u64,
    /// Time from receive to the end of the send, of every 16th answer: P50. `null` where nothing was answered.
    pub residence_p50_ns: Option<u64>,
    /// Its P99.
    pub residence_p99_ns: Option<u64>,
    /// Its maximum.
    pub residence_max_ns: Option<u64>,
    /// Next to the sockets' counts, which know nothing of these; `null` without the XDP program.
    pub answered_by_xdp: Option<u64>,
}

/// The document of `lowlat measure --self`: what this tool and this host cannot go below.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SelfDocument {
    /// `lowlat.self`.
    pub schema: Schema,
    /// The clock that was used, as text.
    pub clock: String,
    /// The other one, where the kernel's was used.
    pub beside: Option<String>,
    /// What weakens the clock's figures.
    pub warning: Option<String>,
    /// What recording one sample costs, in picoseconds: it is a few nanoseconds.
    pub record_ps: u64,
    /// Round trips that no path can be faster than.
    pub floors: Vec<Floor>,
}

/// One floor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Floor {
    /// What was timed.
    pub what: String,
    /// Its round trips.
    pub rtt: Quantiles,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_read_under_its_old_name() {
        let now = serde_json::to_string(&ServeDocument { answered_connected: 7, ..ServeDocument::default() }).unwrap();
        let then = now.replace("answered_connected", "seated");
        assert_ne!(then, now);
        assert_eq!(serde_json::from_str::<ServeDocument>(&then).unwrap().answered_connected, 7);
    }
}
