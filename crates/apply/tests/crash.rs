//! Power cut at any byte of the journal, before or after any write: rollback from disk restores exactly what was there.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;

use lowlat_apply::disk::{Append, Disk};
use lowlat_apply::ledger::HolderId;
use lowlat_apply::writer::{BeforeHold, WriteFailure, Writer};
use lowlat_apply::{NetnsExists, Outcome, Place, RollbackReport, Session, StepError, rollback_on, status_on};
use lowlat_model::journal::NetnsId;
use lowlat_model::{Locus, Op, PlannedStep, Reading, Risk, State};
use lowlat_sys::{NetQuery, Sys};
use proptest::prelude::*;

struct Nowhere;
impl Sys for Nowhere {
    fn read(&self, p: &str) -> Reading<String> {
        Reading::Absent(p.into())
    }
    fn list(&self, p: &str) -> Reading<Vec<String>> {
        Reading::Absent(p.into())
    }
    fn link_target(&self, p: &str) -> Reading<String> {
        Reading::Absent(p.into())
    }
    fn net(&self, q: &NetQuery) -> Reading<serde_json::Value> {
        Reading::Absent(q.name())
    }
    fn now_ns(&self) -> u64 {
        0
    }
    fn wait(&self, _: u64) {}
}

/// The machine: settings, disk, and how much may still happen before the power is cut.
#[derive(Default)]
struct Machine {
    settings: BTreeMap<String, String>,
    files: BTreeMap<String, Vec<u8>>,
    /// Journal bytes and host writes until the cut; `None`: never.
    budget: Option<usize>,
    refuse: Option<String>,
    clamp: Option<u64>,
    full: bool,
}

impl Machine {
    /// How much of `n` still happens.
    fn spend(&mut self, n: usize) -> usize {
        let Some(left) = &mut self.budget else { return n };
        let take = n.min(*left);
        *left -= take;
        take
    }
}

#[derive(Clone, Default)]
struct Shared(Rc<RefCell<Machine>>);

struct File(Shared, String);

impl Append for File {
    fn append(&mut self, bytes: &[u8], _: bool) -> io::Result<()> {
        let mut m = self.0.0.borrow_mut();
        if m.full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let take = m.spend(bytes.len());
        m.files.get_mut(&self.1).unwrap().extend_from_slice(&bytes[..take]);
        if take < bytes.len() { Err(io::Error::other("power cut")) } else { Ok(()) }
    }
}

impl Disk for Shared {
    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.0.borrow().files.keys().cloned().collect())
    }
    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        Ok(self.0.borrow().files[name].clone())
    }
    fn create(&self, name: &str) -> io::Result<Box<dyn Append>> {
        assert!(self.0.borrow_mut().files.insert(name.into(), Vec::new()).is_none());
        Ok(Box::new(File(self.clone(), name.into())))
    }
    fn resume(&self, name: &str, whole: u64) -> io::Result<Box<dyn Append>> {
        self.0.borrow_mut().files.get_mut(name).unwrap().truncate(usize::try_from(whole).unwrap());
        Ok(Box::new(File(self.clone(), name.into())))
    }
    fn side_file(&self, _: &str, _: &[u8]) -> io::Result<()> {
        Ok(())
    }
    fn path(&self, name: &str) -> PathBuf {
        name.into()
    }
}

impl Writer for Shared {
    fn state(&self, _: &dyn Sys, locus: &Locus) -> Reading<State> {
        let Locus::File { path } = locus else { return Reading::Absent("none".into()) };
        self.0
            .borrow()
            .settings
            .get(path)
            .map_or_else(|| Reading::Absent("gone".into()), |t| Reading::Value(State::Text(t.clone())))
    }
    fn write(&mut self, op: &Op) -> Result<(), WriteFailure> {
        let (Locus::File { path }, State::Text(text)) = (&op.locus, &op.set) else {
            return Err(WriteFailure("kind".into()));
        };
        let mut m = self.0.borrow_mut();
        if m.refuse.as_ref() == Some(path) {
            return Err(WriteFailure("refused".into()));
        }
        if m.spend(1) == 0 {
            return Err(WriteFailure("power cut".into()));
        }
        let value = match (m.clamp, text.parse::<u64>()) {
            (Some(max), Ok(n)) => n.min(max).to_string(),
            _ => text.clone(),
        };
        m.settings.insert(path.clone(), value);
        Ok(())
    }
    fn hold(&mut self, _: &str, _: BeforeHold<'_>) -> Result<(), WriteFailure> {
        Err(WriteFailure("none".into()))
    }
    fn release(&mut self, _: HolderId) -> Result<(), WriteFailure> {
        Ok(())
    }
}

#[derive(Debug)]
struct Unknown;
impl NetnsExists for Unknown {
    fn exists(&self, _: NetnsId) -> Option<bool> {
        None
    }
}

#[derive(Debug)]
struct AllGone;
impl NetnsExists for AllGone {
    fn exists(&self, _: NetnsId) -> Option<bool> {
        Some(false)
    }
}

const NETNS: NetnsId = NetnsId { inode: 7, cookie: Some(70) };

fn place(netns: NetnsId) -> Place<'static> {
    Place { netns, boot_id: "boot", netns_exists: &Unknown }
}

fn machine() -> Shared {
    let m = Shared::default();
    for n in 0..4 {
        m.0.borrow_mut().settings.insert(format!("/proc/sys/net/{n}"), format!("{n}"));
    }
    m
}

fn step(places: &[u8], value: u64) -> PlannedStep {
    PlannedStep {
        knob: "k".into(),
        phase: 2,
        target: "host".parse().unwrap(),
        from: String::new(),
        to: String::new(),
        risk: Risk::Low,
        reason: String::new(),
        undo: String::new(),
        ops: places.iter().map(|p| Op::file(format!("/proc/sys/net/{p}"), value.to_string())).collect(),
        prior: Vec::new(),
        resets_link: false,
        ..PlannedStep::default()
    }
}

fn begin_at(m: &Shared, place: &Place<'_>) -> Result<Session<Shared>, lowlat_apply::ApplyError> {
    Session::begin_on(Box::new(m.clone()), m.clone(), Box::new(()), place, || 5)
}

fn begin(m: &Shared) -> Result<Session<Shared>, lowlat_apply::ApplyError> {
    begin_at(m, &place(NETNS))
}

fn from_disk(m: &Shared, netns: NetnsId, boot: &str, force: bool) -> Result<RollbackReport, lowlat_apply::ApplyError> {
    let place = Place { netns, boot_id: boot, netns_exists: &Unknown };
    rollback_on(&Nowhere, &mut m.clone(), m, &place, None, force, || 9)
}

fn settings(m: &Shared) -> BTreeMap<String, String> {
    m.0.borrow().settings.clone()
}

fn set(m: &Shared, place: u8, value: &str) {
    m.0.borrow_mut().settings.insert(format!("/proc/sys/net/{place}"), value.into());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn a_cut_at_any_point_is_undone_exactly(
        script in proptest::collection::vec((proptest::collection::vec(0u8..4, 1..3), 10u64..99, any::<bool>()), 1..8),
        cut in 0usize..4000,
        clamp in proptest::option::of(20u64..60),
    ) {
        let m = machine();
        let before = settings(&m);
        m.0.borrow_mut().clamp = clamp;
        m.0.borrow_mut().budget = Some(cut);
        if let Ok(mut session) = begin(&m) {
            for (places, value, undo) in script {
                let Ok(handle) = session.apply(&Nowhere, &step(&places, value)) else { break };
                if undo && session.undo(&Nowhere, handle).is_err() {
                    break;
                }
            }
        }
        // A second cut, during the rollback itself, must not matter either.
        m.0.borrow_mut().budget = Some(cut % 300);
        let _ = from_disk(&m, NETNS, "boot", false);
        m.0.borrow_mut().budget = None;
        let report = from_disk(&m, NETNS, "boot", false).unwrap();
        prop_assert!(report.complete(), "{}", report.words());
        prop_assert_eq!(settings(&m), before);
        prop_assert!(from_disk(&m, NETNS, "boot", false).unwrap().done.is_empty(), "a second rollback found something");
    }
}

#[test]
fn a_refused_write_undoes_the_whole_step() {
    let m = machine();
    let before = settings(&m);
    m.0.borrow_mut().refuse = Some("/proc/sys/net/1".into());
    let mut session = begin(&m).unwrap();
    assert!(matches!(session.apply(&Nowhere, &step(&[0, 1], 50)), Err(StepError::Refused { .. })));
    assert_eq!(settings(&m), before);
    assert!(session.ledger().standing.is_empty());
}

#[test]
fn a_clamped_value_is_told() {
    let m = machine();
    m.0.borrow_mut().clamp = Some(30);
    let handle = begin(&m).unwrap().apply(&Nowhere, &step(&[0], 50)).unwrap();
    assert_eq!(handle.read_back_words(), "30");
    assert_eq!(handle.clamped, ["/proc/sys/net/0: asked 50, got 30"]);
}

#[test]
fn what_another_program_set_is_left_alone_unless_forced() {
    let m = machine();
    let before = settings(&m);
    begin(&m).unwrap().apply(&Nowhere, &step(&[0], 50)).unwrap();
    set(&m, 0, "77");
    let report = from_disk(&m, NETNS, "boot", false).unwrap();
    assert!(!report.complete() && matches!(report.failed[0].outcome, Outcome::ChangedByOther { .. }));
    assert_eq!(settings(&m)["/proc/sys/net/0"], "77");
    assert!(from_disk(&m, NETNS, "boot", true).unwrap().complete());
    assert_eq!(settings(&m), before);
}

#[test]
fn another_namespace_and_another_boot_are_not_written() {
    let m = machine();
    begin(&m).unwrap().apply(&Nowhere, &step(&[0], 50)).unwrap();
    let after = settings(&m);
    let report = from_disk(&m, NetnsId { inode: 8, cookie: Some(80) }, "boot", true).unwrap();
    assert_eq!(report.failed[0].outcome, Outcome::OtherNamespace { netns: 7 });
    let report = from_disk(&m, NETNS, "next boot", true).unwrap();
    assert_eq!(report.done[0].outcome, Outcome::GoneWithBoot);
    assert_eq!(settings(&m), after);
}

/// The kernel gives the inode of a namespace that ended to the next one.
#[test]
fn a_later_namespace_with_the_same_inode_is_another() {
    let m = machine();
    let before = settings(&m);
    begin(&m).unwrap().apply(&Nowhere, &step(&[0], 50)).unwrap();
    // In the same namespace, or where no cookie tells, the transaction stands in the way.
    assert!(begin(&m).is_err());
    assert!(begin_at(&m, &place(NetnsId { cookie: None, ..NETNS })).is_err());
    // Elsewhere too, as long as its namespace may still be there.
    let elsewhere = NetnsId { inode: 8, cookie: Some(80) };
    assert!(begin_at(&m, &place(elsewhere)).is_err());
    let gone = Place { netns_exists: &AllGone, ..place(elsewhere) };
    assert_eq!(begin_at(&m, &gone).unwrap().ledger().standing.len(), 0);

    let later = NetnsId { cookie: Some(71), ..NETNS };
    for n in 0..4 {
        set(&m, n, &before[&format!("/proc/sys/net/{n}")]);
    }
    begin_at(&m, &place(later)).unwrap().apply(&Nowhere, &step(&[0], 60)).unwrap();
    let status = status_on(&Nowhere, &m, &m, &place(later)).unwrap();
    assert_eq!(status.applied.iter().map(|a| a.set.as_str()).collect::<Vec<_>>(), ["60"]);
    let report = from_disk(&m, later, "boot", false).unwrap();
    let outcomes: Vec<_> = report.done.iter().map(|i| i.outcome.clone()).collect();
    assert_eq!(outcomes, [Outcome::Restored, Outcome::GoneWithNamespace]);
    assert_eq!(settings(&m), before);
}

#[test]
fn a_corrupt_journal_changes_nothing() {
    let m = machine();
    begin(&m).unwrap().apply(&Nowhere, &step(&[0], 50)).unwrap();
    let after = settings(&m);
    {
        let mut machine = m.0.borrow_mut();
        let bytes = machine.files.values_mut().next().unwrap();
        bytes[40] ^= 1;
    }
    let error = from_disk(&m, NETNS, "boot", true).unwrap_err().to_string();
    assert!(error.contains("line 1"), "{error}");
    assert_eq!(settings(&m), after);
}

#[test]
fn an_unfinished_transaction_blocks_the_next() {
    let m = machine();
    begin(&m).unwrap().apply(&Nowhere, &step(&[0], 50)).unwrap();
    assert!(begin(&m).is_err());
    from_disk(&m, NETNS, "boot", false).unwrap();
    begin(&m).unwrap();
}

#[test]
fn the_later_write_on_a_place_is_undone_first() {
    let m = machine();
    let mut session = begin(&m).unwrap();
    let first = session.apply(&Nowhere, &step(&[0], 50)).unwrap();
    session.apply(&Nowhere, &step(&[0], 60)).unwrap();
    assert!(matches!(session.undo(&Nowhere, first), Err(StepError::Fatal { .. })));
    assert!(session.rollback(&Nowhere).unwrap().complete());
    assert_eq!(settings(&m)["/proc/sys/net/0"], "0");
}

#[test]
fn a_full_disk_stops_no_rollback() {
    let m = machine();
    let before = settings(&m);
    let mut session = begin(&m).unwrap();
    for (places, value) in [(&[0u8, 1][..], 50), (&[0], 60), (&[2], 70)] {
        session.apply(&Nowhere, &step(places, value)).unwrap();
    }
    drop(session);
    m.0.borrow_mut().full = true;
    let report = from_disk(&m, NETNS, "boot", false).unwrap();
    assert!(report.complete() && report.unwritten.is_some() && report.words().contains("journal"), "{report:?}");
    assert_eq!(settings(&m), before);
    // With room again the journal is brought to its end, and place 0, set twice, is not taken for another program's.
    m.0.borrow_mut().full = false;
    let report = from_disk(&m, NETNS, "boot", false).unwrap();
    assert!(report.complete() && report.unwritten.is_none() && report.done.len() == 4, "{}", report.words());
    assert!(report.done.iter().all(|i| i.outcome == Outcome::AlreadyPrior));
    assert_eq!(settings(&m), before);
    begin(&m).unwrap();
}

#[test]
fn what_files_set_again_at_the_next_boot_is_put_back() {
    let m = machine();
    let before = settings(&m);
    let mut session = begin(&m).unwrap();
    session.apply(&Nowhere, &step(&[0, 1], 50)).unwrap();
    session.apply(&Nowhere, &PlannedStep { knob: "persist".into(), ..step(&[3], 50) }).unwrap();
    session.leave_open().unwrap();
    // The next boot: place 0 is set again, 1 is as the kernel makes it.
    set(&m, 1, "1");
    set(&m, 3, "3");
    let report = from_disk(&m, NETNS, "next boot", false).unwrap();
    assert!(report.complete(), "{}", report.words());
    let of = |place: u8| {
        let locus = Locus::File { path: format!("/proc/sys/net/{place}") };
        &report.done.iter().find(|i| i.locus == locus).unwrap().outcome
    };
    assert_eq!((of(0), of(1)), (&Outcome::Restored, &Outcome::GoneWithBoot));
    assert_eq!(settings(&m), before);
}

#[test]
fn a_confirmed_transaction_below_does_not_settle_the_one_above() {
    let m = machine();
    let mut first = begin(&m).unwrap();
    first.apply(&Nowhere, &step(&[0], 50)).unwrap();
    first.leave_open().unwrap();
    let mut second = begin(&m).unwrap();
    second.apply(&Nowhere, &step(&[0], 60)).unwrap();
    let alone = second.transaction().to_owned();
    drop((first, second));
    let report = rollback_on(&Nowhere, &mut m.clone(), &m, &place(NETNS), Some(&alone), false, || 9).unwrap();
    assert!(report.complete() && report.done.len() == 1, "{}", report.words());
    assert_eq!(settings(&m)["/proc/sys/net/0"], "50");
    assert!(from_disk(&m, NETNS, "boot", false).unwrap().complete());
    assert_eq!(settings(&m)["/proc/sys/net/0"], "0");
}
