//! What is applied, folded from the journal's entries.

use lowlat_model::journal::{Beside, Device, Guard, JournalEntry, NetnsId};
use lowlat_model::op::Target;
use lowlat_model::{Op, State};

use crate::device::Whereabouts;
use crate::journal::JournalError;

/// The process that holds a setting open. The start time distinguishes a reused process id from the holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HolderId {
    /// Process id.
    pub pid: u32,
    /// Field 22 of `/proc/PID/stat`, clock ticks since boot.
    pub start_time: u64,
    /// The name of its pipe in the state directory; `None` for one that has none.
    pub token: Option<String>,
}

/// One write that was announced and is not undone.
#[derive(Debug, Clone, PartialEq)]
pub struct StandingWrite {
    /// Its number.
    pub seq: u64,
    /// Knob.
    pub knob: String,
    /// Where, for people.
    pub target: Target,
    /// The write.
    pub op: Op,
    /// What was there before.
    pub prior: State,
    /// What was there after it; `None` if lowlat ended between the write and its read-back, so that it is not known
    /// whether the write was made.
    pub read_back: Option<State>,
    /// Who holds it.
    pub holder: Option<HolderId>,
    /// The interface it belongs to.
    pub device: Option<Device>,
    /// Other places that the write may have changed, with what was there before it.
    pub beside: Vec<Beside>,
    /// Those of them that it changed, with what was there after it; `None` as for `read_back`.
    pub changed: Option<Vec<Beside>>,
    /// Where the interface is now, once it was looked for; its places have its present name then.
    pub at: Option<Whereabouts>,
}

impl StandingWrite {
    /// The state lowlat left there: as read back, else as asked for.
    pub fn ours(&self) -> &State {
        self.read_back.as_ref().unwrap_or(&self.op.set)
    }

    /// A place that a link reset may disturb, journalled with the reset so that both are put back together.
    pub fn is_guard(&self) -> bool {
        self.op.set == self.prior
    }
}

/// One transaction as its journal reports it.
#[derive(Debug, Clone, PartialEq)]
pub struct Ledger {
    /// Id; the journal's file name without its ending.
    pub transaction: String,
    /// Boot it belongs to.
    pub boot_id: String,
    /// Network namespace it belongs to.
    pub netns: NetnsId,
    /// Who wrote it.
    pub pid: u32,
    /// When it began, ns since the epoch.
    pub at_unix_ns: u64,
    /// Not undone, oldest first.
    pub standing: Vec<StandingWrite>,
    /// The next intent's number.
    pub next_seq: u64,
    /// `lowlat confirm` was given, or the command ended as it should.
    pub confirmed: bool,
    /// Nothing of it is left.
    pub closed: bool,
    /// Who puts it back unless it is confirmed in time.
    pub guard: Option<Guard>,
}

impl Ledger {
    /// Folds the entries; `None` for a journal whose first entry was cut off: the transaction never began.
    pub fn fold(entries: &[JournalEntry]) -> Result<Option<Self>, JournalError> {
        let Some((first, rest)) = entries.split_first() else {
            return Ok(None);
        };
        let JournalEntry::Begin { transaction, boot_id, netns, netns_cookie, pid, at_unix_ns, .. } = first else {
            return Err(JournalError::Corrupt { line: 1, why: "it does not begin a transaction".to_owned() });
        };
        if boot_id.is_empty() || transaction.is_empty() {
            // Without its boot the settings of this one would pass for those of another, which ended with it.
            let why = "it does not say to which boot and transaction it belongs".to_owned();
            return Err(JournalError::Corrupt { line: 1, why });
        }
        let mut ledger = Self {
            transaction: transaction.clone(),
            boot_id: boot_id.clone(),
            netns: NetnsId { inode: *netns, cookie: *netns_cookie },
            pid: *pid,
            at_unix_ns: *at_unix_ns,
            standing: Vec::new(),
            next_seq: 0,
            confirmed: false,
            closed: false,
            guard: None,
        };
        for (n, entry) in rest.iter().enumerate() {
            ledger.take(entry).map_err(|why| JournalError::Corrupt { line: n + 2, why })?;
        }
        Ok(Some(ledger))
    }

    /// Takes one entry; a sentence if it contradicts the ones before it.
    pub fn take(&mut self, entry: &JournalEntry) -> Result<(), String> {
        if self.closed {
            return Err("it comes after the end of the transaction".to_owned());
        }
        match entry {
            JournalEntry::Begin { .. } => return Err("it begins a second transaction".to_owned()),
            JournalEntry::Intent { seq, knob, target, op, prior, device, beside } => {
                if *seq != self.next_seq {
                    return Err(format!("it has number {seq}, the next is {}", self.next_seq));
                }
                self.next_seq += 1;
                self.standing.push(StandingWrite {
                    seq: *seq,
                    knob: knob.clone(),
                    target: target.clone(),
                    op: op.clone(),
                    prior: prior.clone(),
                    read_back: None,
                    holder: None,
                    device: device.clone(),
                    beside: beside.clone(),
                    changed: None,
                    at: None,
                });
            }
            JournalEntry::Done { seq, read_back, beside } => {
                let standing = self.of(*seq)?;
                standing.read_back = Some(read_back.clone());
                standing.changed = Some(beside.clone());
            }
            JournalEntry::Holder { seq, pid, start_time, token } => {
                self.of(*seq)?.holder = Some(HolderId { pid: *pid, start_time: *start_time, token: token.clone() });
            }
            // From here on whatever is there resulted from the rollback, and all of it goes where it shall.
            JournalEntry::Undoing { seq, beside } => {
                let standing = self.of(*seq)?;
                standing.beside.clone_from(beside);
                standing.changed = None;
            }
            JournalEntry::Refused { seq, .. } | JournalEntry::Undone { seq } | JournalEntry::Abandoned { seq, .. } => {
                self.of(*seq)?;
                self.standing.retain(|s| s.seq != *seq);
            }
            JournalEntry::Guarded { guard } => self.guard = Some(guard.clone()),
            JournalEntry::Confirmed { .. } => self.confirmed = true,
            JournalEntry::Closed { .. } => {
                if !self.standing.is_empty() {
                    return Err(format!("it ends the transaction with {} writes not undone", self.standing.len()));
                }
                self.closed = true;
            }
        }
        Ok(())
    }

    /// What can still be there: live settings end with their boot, and those of a namespace with it.
    pub(crate) fn can_stand(&self, boot_id: &str, netns_gone: bool) -> impl Iterator<Item = &StandingWrite> {
        let same_boot = self.boot_id == boot_id;
        self.standing.iter().filter(move |s| {
            let kind = lowlat_settings::at(&s.op.locus);
            (same_boot || kind.outlives_boot()) && !(netns_gone && kind.of_namespace())
        })
    }

    fn of(&mut self, seq: u64) -> Result<&mut StandingWrite, String> {
        self.standing
            .iter_mut()
            .find(|s| s.seq == seq)
            .ok_or_else(|| format!("it speaks of write {seq}, which does not stand"))
    }
}
