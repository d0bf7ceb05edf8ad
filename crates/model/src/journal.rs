//! What the journal on disk says. One entry per line; framing, checksums and flushing are the apply crate's.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::op::{Locus, State, Target};
use crate::{Op, Schema};

/// One journal entry.
///
/// An `Intent` is on disk before its write; `Done` after its read-back; `Undone` after the prior state was put back
/// and read again. A torn last line is a write that never began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "entry", rename_all = "snake_case")]
#[allow(clippy::large_enum_variant)] // a few entries live at a time, each for one write to disk
pub enum JournalEntry {
    /// First line.
    Begin {
        /// `lowlat.journal`.
        schema: Schema,
        /// Transaction id, also the file's name.
        transaction: String,
        /// Boot id: live settings of an earlier boot are gone by themselves, files are not.
        boot_id: String,
        /// Inode of the network namespace: loci of a namespace are restored only inside it.
        netns: u64,
        /// Its cookie, which distinguishes a namespace from a later one that got the same inode; `null` before Linux
        /// 5.14.
        #[serde(default)]
        netns_cookie: Option<u64>,
        /// Process id of the writer, for the lock's message.
        pid: u32,
        /// Wall clock, ns since the epoch.
        at_unix_ns: u64,
    },
    /// About to write.
    Intent {
        /// Counts up from 0.
        seq: u64,
        /// Knob the write belongs to.
        knob: String,
        /// Where, for people.
        target: Target,
        /// The write.
        op: Op,
        /// The current value now; undo puts this back.
        prior: State,
        /// The interface that the place belongs to, as the kernel knows it: undo follows it under another name and into
        /// another namespace. `null` where it belongs to none, and in journals before it was recorded.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        device: Option<Device>,
        /// Other places that the write may change, with the current value now.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        beside: Vec<Beside>,
    },
    /// Written and read back.
    Done {
        /// The intent's number.
        seq: u64,
        /// The current value after the write; differs from the intent where a driver clamps.
        read_back: State,
        /// Those of the intent's other places that the write changed, with the current value after it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        beside: Vec<Beside>,
    },
    /// The write was refused; nothing changed (read back to be sure).
    Refused {
        /// The intent's number.
        seq: u64,
        /// The kernel's or driver's answer.
        why: String,
    },
    /// About to put the prior state back, which overwrites other places too.
    Undoing {
        /// The intent's number.
        seq: u64,
        /// Those places, with what shall stand there in the end: what was there before lowlat, or what another program
        /// has set since.
        beside: Vec<Beside>,
    },
    /// The prior state was put back and read again.
    Undone {
        /// The intent's number.
        seq: u64,
    },
    /// The prior state can no longer be put back, and nothing is left to put it back to: the boot, the namespace or
    /// the interface that held it is gone.
    Abandoned {
        /// The intent's number.
        seq: u64,
        /// What is gone.
        why: String,
    },
    /// A process holds a setting open (`/dev/cpu_dma_latency`).
    Holder {
        /// The intent's number.
        seq: u64,
        /// Process id.
        pid: u32,
        /// Field 22 of `/proc/PID/stat`: distinguishes a reused id from the holder.
        start_time: u64,
        /// The name of its pipe in the state directory, by which it is known in every process-id namespace; `null` in
        /// journals before it had one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<String>,
    },
    /// A guard waits: what is set goes back at its deadline unless `confirm` comes first. A later one takes its place.
    Guarded {
        /// Who, and until when.
        guard: Guard,
    },
    /// `confirm` was given: the changes stay, rollback still knows them.
    Confirmed {
        /// Wall clock, ns since the epoch.
        at_unix_ns: u64,
    },
    /// Every intent is undone or refused: nothing of this transaction is left.
    Closed {
        /// Wall clock, ns since the epoch.
        at_unix_ns: u64,
    },
}

/// A place and the current value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Beside {
    /// Where.
    pub locus: Locus,
    /// The current value.
    pub state: State,
}

/// An interface as the kernel knows it, whatever it is called.
///
/// Its directory in sysfs is one object from registration to the end: a rename and a move to another namespace keep its
/// inode (`kernfs_rename_ns`, fs/kernfs/dir.c), and numbers are given in turn, with a generation next to them
/// (`__kernfs_new_node`). So where both inodes are known, they decide. Otherwise the index does within a namespace,
/// together with the address or the device's path: an index can be asked for by number when a link is made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Device {
    /// Its name when it was written to.
    pub name: String,
    /// Index in its namespace.
    pub index: u32,
    /// Link-layer address, `aa:bb:…`.
    #[serde(default)]
    pub mac: Option<String>,
    /// Where `/sys/class/net/NAME/device` leads; none for a virtual link.
    #[serde(default)]
    pub path: Option<String>,
    /// Inode of its directory in sysfs; `null` where `/sys` does not show this namespace.
    #[serde(default)]
    pub inode: Option<u64>,
    /// For an interrupt of it: the action's name, which identifies the line when numbers and positions have changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub irq: Option<String>,
}

impl Device {
    /// Whether both are one interface. `same_netns`: both were read in one namespace, so that their indices compare.
    pub fn is(&self, other: &Self, same_netns: bool) -> bool {
        if let (Some(a), Some(b)) = (self.inode, other.inode) {
            return a == b;
        }
        let known = |a: &Option<String>, b: &Option<String>| a.is_some() && a == b;
        let (mac, path) = (known(&self.mac, &other.mac), known(&self.path, &other.path));
        // Two ports of one device share its path, so the path alone does not say.
        if same_netns { self.index == other.index && (mac || path) } else { mac && path }
    }
}

/// The process that puts a transaction back unless it is confirmed in time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Guard {
    /// Process id.
    pub pid: u32,
    /// Field 22 of `/proc/PID/stat`.
    pub start_time: u64,
    /// Drawn anew for each guard; stands on its command line and in its file next to the journal.
    pub token: String,
    /// `CLOCK_BOOTTIME` of the journal's boot, ns: this one decides.
    pub deadline_boot_ns: u64,
    /// The same by the wall clock, ns since the epoch: for people.
    pub deadline_unix_ns: u64,
    /// The process that applies the transaction; 0 for a guard that another command started again.
    pub applier_pid: u32,
    /// Its start time.
    pub applier_start_time: u64,
    /// Target that is watched.
    #[serde(default)]
    pub watch: Option<String>,
    /// The path to it counts as cut when no answer came for this long, ns.
    #[serde(default)]
    pub lost_after_ns: u64,
}

/// A transaction that waits for `lowlat confirm`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pending {
    /// Its id.
    pub transaction: String,
    /// Settings that go back.
    pub settings: usize,
    /// Time left, ns; 0 when it has passed.
    pub left_ns: u64,
    /// When it ends by the wall clock, ns since the epoch.
    pub deadline_unix_ns: u64,
    /// Whether the guard that puts it back lives; if not, the next lowlat that root runs takes its place.
    pub guarded: bool,
    /// Target that is watched.
    pub watch: Option<String>,
}

/// A network namespace.
///
/// The inode alone names it while it lives. When it ends, the kernel gives its inode to the next one
/// (`proc_alloc_inum`, fs/proc/generic.c, an allocator that takes the lowest free number): seen here when a killed demo
/// was started again. The cookie (`SO_NETNS_COOKIE`, Linux 5.14) is never given twice in a boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetnsId {
    /// `st_ino` of `/proc/self/ns/net`.
    pub inode: u64,
    /// `None` where the kernel does not report.
    pub cookie: Option<u64>,
}

impl NetnsId {
    /// Whether both are the same namespace of one boot; where a cookie is not known, the inode decides.
    pub fn is(self, other: Self) -> bool {
        self.inode == other.inode && (self.cookie == other.cookie || self.cookie.is_none() || other.cookie.is_none())
    }
}

impl std::fmt::Display for NetnsId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "net:[{}]", self.inode)
    }
}

/// One applied setting as `status` shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Applied {
    /// Knob.
    pub knob: String,
    /// Where.
    pub target: Target,
    /// Exact place.
    pub locus: Locus,
    /// Before lowlat.
    pub was: String,
    /// What lowlat set (as read back).
    pub set: String,
    /// What is there now, or why it cannot be read.
    pub now: String,
    /// `now` is neither what lowlat set nor what was there before.
    pub changed_by_other: bool,
    /// Who changed it: the program that wants what is there now, or that runs and decides itself. `null` where it was not
    /// changed, or by an unknown process.
    #[serde(default)]
    pub changed_by: Option<String>,
}

/// The document of `lowlat status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StatusDocument {
    /// `lowlat.status`.
    pub schema: Schema,
    /// What is applied, oldest first.
    pub applied: Vec<Applied>,
    /// What goes back on its own unless it is confirmed.
    #[serde(default)]
    pub pending: Vec<Pending>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_is_known_by_its_object_and_else_by_index_and_more() {
        let text = |t: &str| Some(t.to_owned());
        let nic = Device {
            name: "eth0".into(),
            index: 2,
            mac: text("02:00:00:00:00:01"),
            path: text("0000:3b:00.0"),
            inode: Some(77),
            irq: None,
        };
        let renamed = Device { name: "wan0".into(), index: 9, mac: text("02:00:00:00:00:09"), ..nic.clone() };
        assert!(nic.is(&renamed, true) && nic.is(&renamed, false));
        assert!(!nic.is(&Device { inode: Some(78), ..nic.clone() }, true));
        // Where one inode is not known: in one namespace index and address or path, across namespaces address and path.
        let old = Device { inode: None, ..nic.clone() };
        assert!(old.is(&nic, true) && old.is(&nic, false));
        assert!(!old.is(&Device { index: 3, ..nic.clone() }, true));
        assert!(old.is(&Device { mac: None, ..nic.clone() }, true));
        let other = Device { mac: text("02:00:00:00:00:02"), path: None, inode: Some(78), ..nic.clone() };
        assert!(!old.is(&other, true), "an index that was given again");
        // The two ports of one device.
        assert!(!old.is(&Device { mac: text("02:00:00:00:00:02"), ..nic.clone() }, false));
        let virtual_one = Device { path: None, ..old.clone() };
        assert!(!virtual_one.is(&virtual_one.clone(), false), "an address alone is easily had twice");
    }
}
