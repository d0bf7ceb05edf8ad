//! Power cut at any byte of the journal, before or after any write: rollback from disk restores exactly what was there.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)] // a test may end by panic; a suite exports nothing

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;

use lowlat_apply::disk::{Append, Disk};
use lowlat_apply::ledger::HolderId;
use lowlat_apply::writer::{BeforeHold, HostWriter, WriteFailure, WriteRecorder};
use lowlat_apply::{
    NetnsExists, Place, RollbackOutcome, RollbackReport, Session, StepError, Whereabouts, rollback_on, status_on,
};
use lowlat_model::facts::Qdisc;
use lowlat_model::journal::{Beside, Device, JournalEntry, NetnsId};
use lowlat_model::op::QdiscState;
use lowlat_model::tune::Member;
use lowlat_model::{Locus, Op, PlannedStep, Reading, Risk, State};
use lowlat_sys::query::QdiscReply;
use lowlat_sys::{NetQuery, Sys};
use lowlat_testkit::FakeSys;
use proptest::prelude::*;

struct Nowhere;
impl Sys for Nowhere {
    fn read(&self, p: &str) -> Reading<String> {
        // The only PCI device is a network controller.
        if p.ends_with("/0000:01:00.0/class") {
            return Reading::Value("0x020000\n".into());
        }
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
/// How a driver takes coalescing parameters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Takes {
    #[default]
    Anyhow,
    /// Only in one request.
    Together,
    /// Only one by one.
    Alone,
}

#[derive(Default)]
struct Machine {
    settings: BTreeMap<String, String>,
    files: BTreeMap<String, Vec<u8>>,
    /// The rollback scripts, as text.
    scripts: BTreeMap<String, String>,
    /// No script can be written.
    unscripted: bool,
    /// Journal bytes and host writes until the cut; `None`: never.
    budget: Option<usize>,
    refuse: Option<String>,
    takes: Takes,
    /// What is written to this coalescing parameter in one request with others is ignored, as mlx5 does.
    deaf_together: Option<String>,
    clamp: Option<u64>,
    full: bool,
    /// A write of `/proc/sys/net/0` is written into `/side/0` and `/side/1` too, as a device's value is into its parts,
    /// and one of `e/adaptive-rx` into `e/tx-usecs`, as a driver adapts one parameter to another.
    spreads: bool,
    /// Where interfaces are; one that is not listed is hidden.
    links: BTreeMap<u32, Whereabouts>,
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
    fn side_file(&self, name: &str, text: &[u8]) -> io::Result<()> {
        let mut m = self.0.borrow_mut();
        if m.unscripted {
            return Err(io::ErrorKind::StorageFull.into());
        }
        m.scripts.insert(name.into(), String::from_utf8(text.to_vec()).unwrap());
        Ok(())
    }
    fn has_side_file(&self, name: &str) -> io::Result<bool> {
        Ok(self.0.borrow().scripts.contains_key(name))
    }
    fn path(&self, name: &str) -> PathBuf {
        name.into()
    }
}

/// A place's name among the settings.
fn key(locus: &Locus) -> String {
    match locus {
        Locus::File { path } => path.clone(),
        Locus::Coalesce { iface, param } => format!("{iface}/{param}"),
        other => format!("{other:?}"),
    }
}

impl Shared {
    /// One request: all of it happens, or nothing.
    fn set(&self, ops: &[Op]) -> Result<(), WriteFailure> {
        let mut m = self.0.borrow_mut();
        if ops.iter().any(|op| m.refuse.as_ref() == Some(&key(&op.locus))) {
            return Err(WriteFailure("refused".into()));
        }
        if m.spend(1) == 0 {
            return Err(WriteFailure("power cut".into()));
        }
        for op in ops {
            let State::Text(text) = &op.set else { return Err(WriteFailure("kind".into())) };
            let value = match (m.clamp, text.parse::<u64>()) {
                (Some(max), Ok(n)) => n.min(max).to_string(),
                _ => text.clone(),
            };
            let key = key(&op.locus);
            if matches!(op.locus, Locus::Moderation { .. }) && !m.settings.contains_key(&key) {
                for (param, value) in value.split_whitespace().filter_map(|pair| pair.split_once('=')) {
                    m.settings.insert(format!("e/{param}"), value.into());
                }
                continue;
            }
            let spreads: &[&str] = match key.as_str() {
                WHOLE if m.spreads && m.settings.contains_key(PARTS[0]) => &PARTS,
                "e/adaptive-rx" if m.spreads => &[ADAPTED],
                _ => &[],
            };
            for part in spreads {
                // The power may go between two of them.
                if m.spend(1) > 0 {
                    m.settings.insert((*part).into(), value.clone());
                }
            }
            m.settings.insert(key, value);
        }
        Ok(())
    }
}

impl HostWriter for Shared {
    fn state(&self, _: &dyn Sys, locus: &Locus) -> Reading<State> {
        // A direction of an interface is all of its parameters, where it is not a place of its own.
        if matches!(locus, Locus::Moderation { .. }) && !self.0.borrow().settings.contains_key(&key(locus)) {
            let all = &self.0.borrow().settings;
            let pair = |p: &str| format!("{p}={}", all[&format!("e/{p}")]);
            return Reading::Value(State::Text(["adaptive-rx", "rx-usecs", "rx-frames"].map(pair).join(" ")));
        }
        self.0
            .borrow()
            .settings
            .get(&key(locus))
            .map_or_else(|| Reading::Absent("gone".into()), |t| Reading::Value(State::Text(t.clone())))
    }
    fn write(&mut self, op: &Op) -> Result<(), WriteFailure> {
        let checked = matches!(op.locus, Locus::Coalesce { .. }) && key(&op.locus) != ADAPTED;
        if self.0.borrow().takes == Takes::Together && checked {
            return Err(WriteFailure("only with the others".into()));
        }
        self.set(std::slice::from_ref(op))
    }
    fn write_together(&mut self, ops: &[Op]) -> Result<(), WriteFailure> {
        let (takes, deaf) = (self.0.borrow().takes, self.0.borrow().deaf_together.clone());
        if takes == Takes::Alone {
            return ops.iter().try_for_each(|op| self.write(op));
        }
        let heard = |op: &&Op| ops.len() < 2 || deaf.as_ref() != Some(&key(&op.locus));
        self.set(&ops.iter().filter(heard).cloned().collect::<Vec<_>>())
    }
    fn beside(&self, sys: &dyn Sys, op: &Op) -> Result<Vec<Beside>, String> {
        let (own, m) = (key(&op.locus), self.0.borrow());
        let coalesce = |param: &str| Locus::Coalesce { iface: "e".into(), param: param.into() };
        let places: Vec<Locus> = match &op.locus {
            Locus::File { path } if m.spreads && path == WHOLE && m.settings.contains_key(PARTS[0]) => {
                PARTS.iter().map(|p| Locus::File { path: (*p).into() }).collect()
            }
            // As the live host's: all the others of the interface.
            Locus::Coalesce { .. } if m.spreads => {
                let others = m.settings.keys().filter(|k| **k != own);
                others.filter_map(|k| k.strip_prefix("e/")).map(coalesce).collect()
            }
            _ => Vec::new(),
        };
        Ok(places
            .into_iter()
            .map(|locus| Beside { state: self.state(sys, &locus).into_value().unwrap(), locus })
            .collect())
    }
    fn find(&self, _: &dyn Sys, device: &Device, _: Option<NetnsId>, _: bool) -> Whereabouts {
        let known = self.0.borrow().links.get(&device.index).cloned();
        known.unwrap_or_else(|| Whereabouts::Hidden { why: "others are not shown".into() })
    }
    fn hold(&mut self, _: &str, _: BeforeHold<'_>) -> Result<(), WriteFailure> {
        Err(WriteFailure("none".into()))
    }
    fn release(&mut self, _: &HolderId) -> Result<bool, WriteFailure> {
        Ok(true)
    }
}

const WHOLE: &str = "/proc/sys/net/0";
const PARTS: [&str; 2] = ["/side/0", "/side/1"];
const ADAPTED: &str = "e/tx-usecs";

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

/// Place 0 is a file, the others are coalescing parameters of one interface.
fn joint_machine() -> Shared {
    let m = Shared::default();
    for (n, key) in ["/proc/sys/net/0", "e/adaptive-rx", "e/rx-usecs", "e/rx-frames", ADAPTED].iter().enumerate() {
        m.0.borrow_mut().settings.insert((*key).to_owned(), format!("{n}"));
    }
    m
}

/// A joint step over the places of [`joint_machine`], each a member's.
fn joint(places: &[u8], value: u64) -> PlannedStep {
    let coalesce = |param: &str| Locus::Coalesce { iface: "e".into(), param: param.into() };
    let at = |place: &u8| match place {
        0 => (Locus::File { path: "/proc/sys/net/0".into() }, "sysctl.x", "host"),
        1 => (coalesce("adaptive-rx"), "nic.coalesce.adaptive-rx", "e"),
        2 => (coalesce("rx-usecs"), "nic.coalesce.rx-usecs", "e"),
        _ => (coalesce("rx-frames"), "nic.coalesce.rx-frames", "e"),
    };
    let member = |place: &u8| Member {
        knob: at(place).1.into(),
        target: at(place).2.parse().unwrap(),
        from: String::new(),
        to: value.to_string(),
        ops: 1,
    };
    PlannedStep {
        members: places.iter().map(member).collect(),
        ops: places.iter().map(|p| Op::text(at(p).0, value.to_string())).collect(),
        ..step(&[], value)
    }
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

/// What is applied and what is put back both go by the writing door, and a recorder there lists each write.
#[test]
fn a_recorder_at_the_door_lists_every_write() {
    let m = machine();
    let recorder = WriteRecorder::new(m.clone());
    let mut session =
        Session::begin_on(Box::new(m.clone()), recorder.clone(), Box::new(()), &place(NETNS), || 5).unwrap();
    let handle = session.apply(&Nowhere, &step(&[1, 2], 50)).unwrap();
    m.0.borrow_mut().refuse = Some("/proc/sys/net/3".into());
    assert!(session.apply(&Nowhere, &step(&[3], 60)).is_err());
    session.undo(&Nowhere, handle).unwrap();
    let asked: Vec<String> = recorder
        .asked()
        .iter()
        .map(|op| match &op.locus {
            Locus::File { path } => format!("{} {}", path.trim_start_matches("/proc/sys/net/"), op.set),
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(asked, ["1 50", "2 50", "3 60", "2 2", "1 1"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn a_cut_at_any_point_is_undone_exactly(
        script in proptest::collection::vec((proptest::collection::vec(0u8..4, 1..3), 10u64..99, any::<bool>()), 1..8),
        cut in 0usize..4000,
        clamp in proptest::option::of(20u64..60),
        spreads in any::<bool>(),
    ) {
        let m = machine();
        m.0.borrow_mut().spreads = spreads;
        for (part, value) in PARTS.iter().zip(["7", "0"]) {
            m.0.borrow_mut().settings.insert((*part).into(), value.into());
        }
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

/// A step of a random run: its places, its value, and whether it is undone.
type Move = (Vec<u8>, u64, bool);

fn moves(m: &Shared, script: Vec<Move>, make: impl Fn(&[u8], u64) -> PlannedStep) {
    let Ok(mut session) = begin(m) else { return };
    for (places, value, undo) in script {
        match session.apply(&Nowhere, &make(&places, value)) {
            Ok(handle) if undo => {
                if session.undo(&Nowhere, handle).is_err() {
                    break;
                }
            }
            Ok(_) | Err(StepError::Refused { .. }) => {}
            Err(_) => break,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn a_cut_in_a_joint_step_is_undone_exactly(
        script in proptest::collection::vec((proptest::collection::vec(0u8..4, 1..5), 10u64..99, any::<bool>()), 1..6),
        cut in 0usize..4000,
        clamp in proptest::option::of(20u64..60),
        together_only in any::<bool>(),
        alone_only in any::<bool>(),
        deaf in any::<bool>(),
        refuse in any::<bool>(),
        spreads in any::<bool>(),
    ) {
        let m = joint_machine();
        let before = settings(&m);
        // Places in a row, so that groups of several sizes arise; none twice in one step.
        let script: Vec<Move> = script.into_iter().map(|(mut places, value, undo)| {
            places.sort_unstable();
            places.dedup();
            (places, value, undo)
        }).collect();
        // A driver that takes one parameter only beside others would refuse steps of one, and their undoing.
        let several = |s: &[Move]| s.iter().all(|(p, ..)| p.iter().filter(|p| **p > 0).count() != 1);
        {
            let mut machine = m.0.borrow_mut();
            machine.clamp = clamp;
            machine.budget = Some(cut);
            machine.takes = match () {
                () if alone_only => Takes::Alone,
                () if together_only && !deaf && clamp.is_none() && several(&script) => Takes::Together,
                () => Takes::Anyhow,
            };
            machine.spreads = spreads;
            machine.deaf_together = deaf.then(|| "e/rx-usecs".to_owned());
            machine.refuse = refuse.then(|| "e/rx-frames".to_owned());
        }
        moves(&m, script, joint);
        m.0.borrow_mut().budget = Some(cut % 300);
        let _ = from_disk(&m, NETNS, "boot", false);
        m.0.borrow_mut().budget = None;
        let report = from_disk(&m, NETNS, "boot", false).unwrap();
        prop_assert!(report.complete(), "{}", report.words());
        prop_assert_eq!(settings(&m), before);
    }
}

#[test]
fn a_driver_that_takes_parameters_only_together_gets_them_so_both_ways() {
    let m = joint_machine();
    let before = settings(&m);
    m.0.borrow_mut().takes = Takes::Together;
    let mut session = begin(&m).unwrap();
    let handle = session.apply(&Nowhere, &joint(&[1, 2, 3], 50)).unwrap();
    assert_eq!(handle.read_back_words(), "50");
    let owners: Vec<&str> = session.ledger().standing.iter().map(|s| s.knob.as_str()).collect();
    assert_eq!(owners, ["nic.coalesce.adaptive-rx", "nic.coalesce.rx-usecs", "nic.coalesce.rx-frames"]);
    session.undo(&Nowhere, handle).unwrap();
    assert_eq!(settings(&m), before);
    session.apply(&Nowhere, &joint(&[1, 2], 50)).unwrap();
    let shown = status_on(&Nowhere, &m, &m, &place(NETNS)).unwrap().applied;
    let shown: Vec<_> = shown.iter().map(|a| (a.knob.as_str(), a.target.to_string())).collect();
    assert_eq!(shown, [("nic.coalesce.adaptive-rx", "e".to_owned()), ("nic.coalesce.rx-usecs", "e".to_owned())]);
    drop(session);
    let report = from_disk(&m, NETNS, "boot", false).unwrap();
    assert!(
        report.complete() && report.done.iter().all(|i| i.outcome == RollbackOutcome::Restored),
        "{}",
        report.words()
    );
    assert_eq!(settings(&m), before);
}

#[test]
fn what_a_joint_step_changed_besides_goes_back_and_what_came_later_stays() {
    let m = joint_machine();
    let before = settings(&m);
    for takes in [Takes::Anyhow, Takes::Together, Takes::Alone] {
        {
            let mut machine = m.0.borrow_mut();
            machine.spreads = true;
            machine.takes = takes;
        }
        let mut session = begin(&m).unwrap();
        let handle = session.apply(&Nowhere, &joint(&[1, 2, 3], 50)).unwrap();
        assert_eq!(settings(&m)[ADAPTED], "50");
        session.undo(&Nowhere, handle).unwrap();
        assert_eq!(settings(&m), before, "undone");
        session.apply(&Nowhere, &joint(&[1, 2, 3], 50)).unwrap();
        drop(session);
        assert!(from_disk(&m, NETNS, "boot", false).unwrap().complete());
        assert_eq!(settings(&m), before, "rolled back");
        begin(&m).unwrap().apply(&Nowhere, &joint(&[1, 2, 3], 50)).unwrap();
        m.0.borrow_mut().settings.insert(ADAPTED.into(), "88".into());
        let report = from_disk(&m, NETNS, "boot", false).unwrap();
        assert!(report.complete(), "{}", report.words());
        assert_eq!(settings(&m)[ADAPTED], "88", "another program's value was lost");
        m.0.borrow_mut().settings.insert(ADAPTED.into(), before[ADAPTED].clone());
        assert_eq!(settings(&m), before, "another program's value kept");
    }
}

/// A parameter and then the whole direction that it is a part of: the newer goes back first, whichever way the others go.
#[test]
fn a_part_and_its_whole_go_back_newest_first() {
    for takes in [Takes::Anyhow, Takes::Alone] {
        let m = joint_machine();
        m.0.borrow_mut().takes = takes;
        for (key, value) in [("e/adaptive-rx", "0"), ("e/rx-usecs", "0"), ("e/rx-frames", "0")] {
            m.0.borrow_mut().settings.insert(key.into(), value.into());
        }
        let before = settings(&m);
        let mut session = begin(&m).unwrap();
        session.apply(&Nowhere, &joint(&[1, 2], 1)).unwrap();
        let whole = Locus::Moderation { iface: "e".into(), direction: "rx".into() };
        let ops = vec![Op::text(whole, "rx-frames=7")];
        session
            .apply(
                &Nowhere,
                &PlannedStep { knob: "nic.coalesce.rx".into(), target: "e".parse().unwrap(), ops, ..step(&[], 0) },
            )
            .unwrap();
        assert_eq!(settings(&m)["e/rx-frames"], "7");
        let report = session.rollback(&Nowhere).unwrap();
        assert!(report.complete(), "{takes:?}: {}", report.words());
        assert_eq!(settings(&m), before, "{takes:?}");
    }
}

#[test]
fn what_a_driver_ignores_in_one_request_is_written_again() {
    let m = joint_machine();
    m.0.borrow_mut().deaf_together = Some("e/rx-usecs".into());
    let handle = begin(&m).unwrap().apply(&Nowhere, &joint(&[1, 2], 50)).unwrap();
    assert_eq!(handle.clamped, Vec::<String>::new());
    assert_eq!(settings(&m)["e/rx-usecs"], "50");
}

#[test]
fn one_refused_member_refuses_the_joint_step_and_says_which() {
    for takes in [Takes::Anyhow, Takes::Alone] {
        let m = joint_machine();
        let before = settings(&m);
        {
            let mut machine = m.0.borrow_mut();
            machine.takes = takes;
            machine.refuse = Some("e/rx-frames".into());
        }
        let mut session = begin(&m).unwrap();
        let refused = session.apply(&Nowhere, &joint(&[0, 1, 2, 3], 50)).unwrap_err();
        assert!(matches!(&refused, StepError::Refused { why } if why.contains("refused")), "{refused}");
        assert_eq!(settings(&m), before);
        assert!(session.ledger().standing.is_empty());
    }
    // Taken without an error and without effect: the member that did not take is the one that is named.
    let m = joint_machine();
    m.0.borrow_mut().clamp = Some(3);
    let refused = begin(&m).unwrap().apply(&Nowhere, &joint(&[1, 2, 3], 50)).unwrap_err();
    assert!(
        matches!(&refused, StepError::Refused { why } if why.contains("rx-frames") && why.contains("still 3")),
        "{refused}"
    );
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
fn a_clamped_value_is_reported() {
    let m = machine();
    m.0.borrow_mut().clamp = Some(30);
    let handle = begin(&m).unwrap().apply(&Nowhere, &step(&[0], 50)).unwrap();
    assert_eq!(handle.read_back_words(), "30");
    assert_eq!(handle.clamped, ["/proc/sys/net/0: asked 50, got 30"]);
}

/// The script restores all that is set, also a place that was tried and put back before others were set, and also where it
/// could not be written for a while.
#[test]
fn the_script_restores_all_that_stands() {
    let m = machine();
    let restores = |place: u8| {
        let m = m.0.borrow();
        assert_eq!(m.scripts.len(), 1, "one transaction, one script");
        m.scripts.values().any(|text| text.contains(&format!("/proc/sys/net/{place}")))
    };
    let mut session = begin(&m).unwrap();
    for place in [0, 1] {
        let handle = session.apply(&Nowhere, &step(&[place], 70)).unwrap();
        assert!(restores(place));
        session.undo(&Nowhere, handle).unwrap();
    }
    // Both were tried alone; now they stand together.
    for place in [0, 1] {
        session.apply(&Nowhere, &step(&[place], 70)).unwrap();
    }
    assert!(restores(0) && restores(1));
    m.0.borrow_mut().unscripted = true;
    session.apply(&Nowhere, &step(&[2], 70)).unwrap();
    assert!(!restores(2));
    m.0.borrow_mut().unscripted = false;
    session.apply(&Nowhere, &step(&[3], 70)).unwrap();
    assert!((0..4).all(restores));
}

/// A node that has fewer hugepages than asked for keeps those it had.
#[test]
fn what_falls_short_is_refused_and_given_back() {
    let m = machine();
    let path = "/sys/devices/system/node/node0/hugepages/hugepages-1048576kB/nr_hugepages";
    m.0.borrow_mut().settings.insert(path.into(), "1".into());
    m.0.borrow_mut().clamp = Some(3);
    let before = settings(&m);
    let pages = |n: &str| PlannedStep { ops: vec![Op::file(path, n)], ..step(&[], 0) };
    let mut session = begin(&m).unwrap();
    let refused = session.apply(&Nowhere, &pages("4")).unwrap_err();
    assert!(matches!(&refused, StepError::Refused { why } if why.contains("2 of 3 more pages of 1 GiB")), "{refused}");
    assert_eq!(settings(&m), before);
    assert!(session.ledger().standing.is_empty());
    assert_eq!(session.apply(&Nowhere, &pages("3")).unwrap().read_back_words(), "3");
}

#[test]
fn what_another_program_set_is_left_alone_unless_forced() {
    let m = machine();
    let before = settings(&m);
    begin(&m).unwrap().apply(&Nowhere, &step(&[0], 50)).unwrap();
    set(&m, 0, "77");
    let report = from_disk(&m, NETNS, "boot", false).unwrap();
    assert!(!report.complete() && matches!(report.failed[0].outcome, RollbackOutcome::ChangedByOther { .. }));
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
    assert_eq!(report.failed[0].outcome, RollbackOutcome::OtherNamespace { netns: 7 });
    let report = from_disk(&m, NETNS, "next boot", true).unwrap();
    assert_eq!(report.done[0].outcome, RollbackOutcome::GoneWithBoot);
    assert_eq!(settings(&m), after);
}

/// The kernel gives the inode of a namespace that ended to the next one.
#[test]
fn a_later_namespace_with_the_same_inode_is_another() {
    let m = machine();
    let before = settings(&m);
    begin(&m).unwrap().apply(&Nowhere, &step(&[0], 50)).unwrap();
    // In the same namespace, or where no cookie reports, the transaction stands in the way.
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
    assert_eq!(outcomes, [RollbackOutcome::Restored, RollbackOutcome::GoneWithNamespace]);
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
fn a_journal_without_its_beginning_or_its_boot_is_damaged() {
    let m = machine();
    begin(&m).unwrap().apply(&Nowhere, &step(&[0], 50)).unwrap();
    let (after, whole) = (settings(&m), m.0.borrow().files.values().next().unwrap().clone());
    let with = |bytes: Vec<u8>| {
        *m.0.borrow_mut().files.values_mut().next().unwrap() = bytes;
        from_disk(&m, NETNS, "boot", true).unwrap_err().to_string()
    };
    let cut = with(whole[..40].to_vec());
    assert!(cut.contains("its script lists writes"), "{cut}");
    let end = whole.iter().position(|b| *b == b'\n').unwrap();
    let first = String::from_utf8(whole[9..end].to_vec()).unwrap();
    let without = first.replace("\"boot_id\":\"boot\"", "\"boot_id\":\"\"");
    assert_ne!(first, without);
    let mut line = format!("{:08x} {without}", crc32fast::hash(without.as_bytes())).into_bytes();
    line.extend_from_slice(&whole[end..]);
    let nameless = with(line);
    assert!(nameless.contains("to which boot"), "{nameless}");
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

/// With another number of channels queues go and come: what hangs at each is noted before. A later step on such a place does not
/// keep the earlier one from being undone, and what stood before both is what comes back.
#[test]
fn a_step_is_undone_below_a_later_one_on_what_it_only_noted() {
    let queue = Locus::Qdisc { iface: "e".into(), parent: "0:3".into() };
    let channels = Locus::Channels { iface: "e".into(), param: "combined".into() };
    let made = |parent: &str| QdiscReply {
        qdisc: Qdisc {
            iface: "e".into(),
            kind: "fq_codel".into(),
            parent: parent.into(),
            handle: "0:".into(),
            summary: String::new(),
            options: BTreeMap::new(),
            backlog_bytes: 0,
            qlen: 0,
            drops: 0,
            overlimits: 0,
        },
        exact: QdiscState {
            kind: "fq_codel".into(),
            handle: "0:".into(),
            options_hex: String::new(),
            summary: String::new(),
            carries: Vec::new(),
        },
    };
    let sys = FakeSys::new().net(&NetQuery::Qdiscs, vec![made("root"), made("0:3")]);
    let m = machine();
    for (locus, value) in [(&queue, "1"), (&channels, "4")] {
        m.0.borrow_mut().settings.insert(key(locus), value.into());
    }
    let before = settings(&m);
    let on = |knob: &str, locus: &Locus, value: &str| PlannedStep {
        knob: knob.into(),
        target: "e".parse().unwrap(),
        ops: vec![Op::text(locus.clone(), value)],
        ..step(&[], 0)
    };
    let mut session = begin(&m).unwrap();
    let first = session.apply(&sys, &on("nic.channels.combined", &channels, "2")).unwrap();
    let noted = |s: &Session<Shared>| s.ledger().standing.iter().filter(|s| s.op.locus == queue).count();
    assert_eq!(noted(&session), 1);
    session.apply(&sys, &on("qdisc.kind", &queue, "9")).unwrap();
    session.undo(&sys, first).unwrap();
    assert_eq!(settings(&m)[&key(&channels)], "4");
    assert_eq!((settings(&m)[&key(&queue)].as_str(), noted(&session)), ("9", 2));
    assert!(session.rollback(&sys).unwrap().complete());
    assert_eq!(settings(&m), before);
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
    assert!(report.done.iter().all(|i| i.outcome == RollbackOutcome::AlreadyPrior));
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
    assert_eq!((of(0), of(1)), (&RollbackOutcome::Restored, &RollbackOutcome::GoneWithBoot));
    assert_eq!(settings(&m), before);
}

#[test]
fn what_another_program_set_next_to_it_is_neither_undone_nor_overwritten() {
    let m = machine();
    m.0.borrow_mut().spreads = true;
    let put = |path: &str, value: &str| m.0.borrow_mut().settings.insert(path.into(), value.into());
    for (part, value) in PARTS.iter().zip(["7", "0"]) {
        put(part, value);
    }
    begin(&m).unwrap().apply(&Nowhere, &step(&[0], 50)).unwrap();
    assert_eq!((settings(&m)[PARTS[0]].as_str(), settings(&m)[PARTS[1]].as_str()), ("50", "50"));
    put(PARTS[1], "88");
    let report = from_disk(&m, NETNS, "boot", false).unwrap();
    assert!(report.complete(), "{}", report.words());
    // The rollback wrote 0 into both; what was there before lowlat, and what came after it, is back.
    let now = settings(&m);
    assert_eq!((now[WHOLE].as_str(), now[PARTS[0]].as_str(), now[PARTS[1]].as_str()), ("0", "7", "88"));
}

/// A transaction whose writes belong to an interface with index 3; what it left is given by its place's present name.
fn on_an_interface(m: &Shared) {
    let mut entries = vec![JournalEntry::Begin {
        schema: lowlat_model::Schema::current("journal"),
        transaction: "00000000000000000009".into(),
        boot_id: "boot".into(),
        netns: NETNS.inode,
        netns_cookie: NETNS.cookie,
        pid: 1,
        at_unix_ns: 9,
    }];
    let path = "/sys/class/net/old/queues/rx-0/rps_cpus";
    entries.push(JournalEntry::Intent {
        seq: 0,
        knob: "steer.rps".into(),
        target: "old/rx-0".parse().unwrap(),
        op: Op::file(path, "1"),
        prior: State::Text("0".into()),
        device: Some(Device { name: "old".into(), index: 3, inode: Some(33), ..Device::default() }),
        beside: Vec::new(),
    });
    entries.push(JournalEntry::Done { seq: 0, read_back: State::Text("1".into()), beside: Vec::new() });
    let bytes = entries.iter().flat_map(|e| lowlat_apply::journal::encode(e).unwrap()).collect();
    m.0.borrow_mut().files.insert("00000000000000000009".into(), bytes);
    // Another interface has the name now, with the value that was there before.
    m.0.borrow_mut().settings.insert(path.into(), "1".into());
}

#[test]
fn a_rollback_follows_the_interface_and_not_its_name() {
    let m = machine();
    on_an_interface(&m);
    let new = "/sys/class/net/new/queues/rx-0/rps_cpus";
    m.0.borrow_mut().settings.insert(new.into(), "1".into());
    m.0.borrow_mut().links.insert(3, Whereabouts::Here("new".into()));
    let report = from_disk(&m, NETNS, "boot", false).unwrap();
    assert!(report.complete(), "{}", report.words());
    assert_eq!(settings(&m)[new], "0");
    assert_eq!(settings(&m)["/sys/class/net/old/queues/rx-0/rps_cpus"], "1", "another interface was written");
}

#[test]
fn an_interface_that_is_not_found_keeps_the_journal_open_until_it_is_given_up() {
    let m = machine();
    on_an_interface(&m);
    for _ in 0..2 {
        let report = from_disk(&m, NETNS, "boot", false).unwrap();
        assert!(!report.complete() && report.words().contains("is not found"), "{}", report.words());
        assert!(begin(&m).is_err(), "the journal was closed");
    }
    assert_eq!(settings(&m)["/sys/class/net/old/queues/rx-0/rps_cpus"], "1", "another interface was written");
    let report = from_disk(&m, NETNS, "boot", true).unwrap();
    assert!(matches!(report.done[0].outcome, RollbackOutcome::GivenUp { .. }), "{}", report.words());
    begin(&m).unwrap();
}

#[test]
fn an_interface_that_is_gone_ends_its_settings() {
    let m = machine();
    on_an_interface(&m);
    m.0.borrow_mut().links.insert(3, Whereabouts::Gone { why: "interface old is no more".into() });
    let report = from_disk(&m, NETNS, "boot", false).unwrap();
    assert!(matches!(report.done[0].outcome, RollbackOutcome::Absent { .. }), "{}", report.words());
    assert_eq!(settings(&m)["/sys/class/net/old/queues/rx-0/rps_cpus"], "1", "another interface was written");
}

#[test]
fn an_older_journal_without_what_is_recorded_now_still_goes_back() {
    let lines = [
        r#"{"entry":"begin","schema":{"name":"lowlat.journal","version":1},"transaction":"00000000000000000005","boot_id":"boot","netns":7,"netns_cookie":70,"pid":1,"at_unix_ns":5}"#,
        r#"{"entry":"intent","seq":0,"knob":"k","target":"host","op":{"locus":{"at":"file","path":"/proc/sys/net/0"},"set":{"text":"50"}},"prior":{"text":"0"}}"#,
        r#"{"entry":"done","seq":0,"read_back":{"text":"50"}}"#,
        r#"{"entry":"intent","seq":1,"knob":"q","target":"e/qdisc-root","op":{"locus":{"at":"qdisc","iface":"e","parent":"root"},"set":{"qdisc":{"kind":"fq","handle":"","options_hex":"","summary":""}}},"prior":{"qdisc":{"kind":"pfifo","handle":"5:","options_hex":"","summary":""}}}"#,
        r#"{"entry":"holder","seq":1,"pid":4,"start_time":5}"#,
        r#"{"entry":"refused","seq":1,"why":"no"}"#,
    ];
    let line = |l: &&str| {
        format!(
            "{:08x} {l}
",
            crc32fast::hash(l.as_bytes())
        )
        .into_bytes()
    };
    let m = machine();
    let before = settings(&m);
    m.0.borrow_mut().files.insert("00000000000000000005".into(), lines.iter().flat_map(line).collect());
    set(&m, 0, "50");
    let report = from_disk(&m, NETNS, "boot", false).unwrap();
    assert!(report.complete() && report.done.len() == 1, "{}", report.words());
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

/// One place of each kind of setting, by the name of its file in `crates/settings/src/`. A held limit has a process and no
/// write: its cases are those of `kernel_session`.
fn of_each_kind() -> Vec<(&'static str, Locus)> {
    let iface = || "e".to_owned();
    let file = |path: &str| Locus::File { path: path.into() };
    vec![
        ("channels", Locus::Channels { iface: iface(), param: "combined".into() }),
        ("coalesce", Locus::Coalesce { iface: iface(), param: "rx-usecs".into() }),
        ("cpu_file", file("/sys/devices/system/cpu/cpufreq/policy0/scaling_governor")),
        ("drop_in", Locus::DropIn { path: "/etc/default/grub.d/90-lowlat.cfg".into() }),
        ("eee", Locus::Eee { iface: iface() }),
        ("feature", Locus::Feature { iface: iface(), name: "rx-gro".into() }),
        ("host_file", file("/sys/kernel/mm/ksm/run")),
        ("hw_timestamp", Locus::HwTimestamp { iface: iface() }),
        ("irq_affinity", Locus::IrqAffinity { iface: iface(), index: 0 }),
        ("moderation", Locus::Moderation { iface: iface(), direction: "rx".into() }),
        ("napi", Locus::Napi { iface: iface(), id: 8193, param: "gro-flush-timeout".into() }),
        ("net_file", file("/sys/class/net/e/queues/rx-0/rps_cpus")),
        ("pci_driver", Locus::Driver { device: "0000:01:00.0".into() }),
        ("pause", Locus::Pause { iface: iface(), param: "rx".into() }),
        ("private_flag", Locus::PrivateFlag { iface: iface(), name: "rx_striding_rq".into() }),
        ("qdisc", Locus::Qdisc { iface: iface(), parent: "root".into() }),
        ("ring", Locus::Ring { iface: iface(), param: "rx".into() }),
        (
            "route_metric",
            Locus::RouteMetric { iface: iface(), prefix: "192.0.2.0/24".into(), metric: "rto_min".into() },
        ),
        ("rss", Locus::Rss { iface: iface() }),
        ("sysctl", file("/proc/sys/net/ipv4/tcp_rmem")),
    ]
}

/// A machine with this place at `was`, and a step that sets it.
fn machine_with(locus: &Locus) -> (Shared, PlannedStep) {
    let m = Shared::default();
    m.0.borrow_mut().settings.insert(key(locus), "5".into());
    let step = PlannedStep { ops: vec![Op::text(locus.clone(), "9")], ..step(&[0], 9) };
    let step = PlannedStep { prior: vec![State::Text("5".into())], ..step };
    (m, step)
}

/// The power goes after `apply` bytes and writes of applying and, if that is over, after `back` of going back.
fn cut_at(locus: &Locus, apply: Option<usize>, back: Option<usize>) -> (bool, usize) {
    let (m, step) = machine_with(locus);
    let before = settings(&m);
    m.0.borrow_mut().budget = apply;
    if let Ok(mut session) = begin(&m) {
        let _ = session.apply(&Nowhere, &step);
    }
    m.0.borrow_mut().budget = back;
    let _ = from_disk(&m, NETNS, "boot", false);
    let left = m.0.borrow().budget.unwrap_or_default();
    m.0.borrow_mut().budget = None;
    let complete = from_disk(&m, NETNS, "boot", false).is_ok_and(|r| r.complete());
    (complete && settings(&m) == before, left)
}

/// How many bytes and writes there are to cut at.
fn points(locus: &Locus) -> (usize, usize) {
    const PLENTY: usize = 1 << 20;
    let (m, step) = machine_with(locus);
    m.0.borrow_mut().budget = Some(PLENTY);
    begin(&m).unwrap().apply(&Nowhere, &step).unwrap();
    assert_eq!(m.0.borrow().settings[&key(locus)], "9", "{locus:?} was not set");
    let apply = PLENTY - m.0.borrow().budget.unwrap();
    let (_, left) = cut_at(locus, None, Some(PLENTY));
    (apply, PLENTY - left)
}

/// Every byte of the journal and every write, of applying and of going back, for every kind of setting. The outcome is
/// `fixtures/crash-points.json`, from which `docs/reference/safety.md` is made; `LOWLAT_BLESS=1` writes it.
#[test]
fn every_kind_is_restored_from_every_point() {
    let mut record = Figures::new();
    for (kind, locus) in of_each_kind() {
        let (apply, back) = points(&locus);
        let cuts = (0..=apply).map(|n| (Some(n), None)).chain((0..=back).map(|n| (None, Some(n))));
        let (mut tried, mut restored) = (0u64, 0u64);
        for (apply, back) in cuts {
            tried += 1;
            restored += u64::from(cut_at(&locus, apply, back).0);
        }
        record.insert(kind, BTreeMap::from([("points", tried), ("restored", restored)]));
        assert_eq!(tried, restored, "{kind}");
    }
    // No kind is forgotten: each file of the crate that is one.
    let settings = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../settings/src");
    for entry in std::fs::read_dir(settings).unwrap().flatten() {
        let is_kind = std::fs::read_to_string(entry.path()).is_ok_and(|t| t.contains("impl Kind for"));
        let name = entry.file_name().to_string_lossy().trim_end_matches(".rs").to_owned();
        assert!(!is_kind || name == "dma_latency" || record.contains_key(&*name), "{name} is not tried");
    }
    as_recorded("crash-points.json", &record);
}

type Figures = BTreeMap<&'static str, BTreeMap<&'static str, u64>>;

fn as_recorded(name: &str, record: &Figures) {
    let text = serde_json::to_string_pretty(record).unwrap() + "\n";
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name);
    if std::env::var_os("LOWLAT_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    // A journal names its process, whose id has as many digits as it happens to have: counts of bytes differ by it.
    let stored: BTreeMap<String, BTreeMap<String, u64>> =
        serde_json::from_slice(&std::fs::read(&path).unwrap_or_default()).expect("LOWLAT_BLESS=1 writes it anew");
    assert!(stored.keys().eq(record.keys()), "LOWLAT_BLESS=1 writes it anew: {text}");
    for ((what, was), now) in stored.iter().zip(record.values()) {
        assert!(was.keys().eq(now.keys()), "{what}: {text}");
        assert!(was.values().zip(now.values()).all(|(a, b)| a.abs_diff(*b) * 50 <= *b), "{what}: {text}");
        let mut counts = now.values();
        let first = counts.next();
        assert!(counts.all(|n| Some(n) == first), "{what} did not hold at every point: {text}");
    }
}

/// The outcome is `fixtures/damaged-journals.json`, as for the crash points.
#[test]
fn a_damaged_journal_sets_nothing_foreign() {
    let m = machine();
    let before = settings(&m);
    {
        let mut session = begin(&m).unwrap();
        session.apply(&Nowhere, &step(&[0], 50)).unwrap();
        session.apply(&Nowhere, &step(&[1], 60)).unwrap();
    }
    let set = settings(&m);
    let (name, whole) = m.0.borrow().files.iter().next().map(|(n, b)| (n.clone(), b.clone())).unwrap();
    let held = |bytes: Vec<u8>| {
        let m = Shared::default();
        m.0.borrow_mut().settings = set.clone();
        m.0.borrow_mut().files.insert(name.clone(), bytes);
        m.0.borrow_mut().scripts.insert(lowlat_apply::script::name(&name), String::new());
        match from_disk(&m, NETNS, "boot", false) {
            Err(_) => settings(&m) == set,
            Ok(report) => report.complete() && settings(&m) == before,
        }
    };
    let bits = (0..whole.len() * 8).map(|n| {
        let mut bad = whole.clone();
        bad[n / 8] ^= 1 << (n % 8);
        bad
    });
    let zeros = (0..whole.len()).map(|n| {
        let mut bad = whole.clone();
        bad[n..].fill(0);
        bad
    });
    let ends: Vec<usize> = whole.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(n, _)| n + 1).collect();
    let lines = || std::iter::once(0).chain(ends.iter().copied()).zip(ends.iter().copied());
    let without = lines().take(ends.len() - 1).map(|(from, to)| [&whole[..from], &whole[to..]].concat());
    let twice = lines().map(|(from, to)| [&whole[..to], &whole[from..]].concat());
    let mut record = Figures::new();
    let mut take = |what, all: &mut dyn Iterator<Item = Vec<u8>>| {
        let (mut tried, mut right) = (0, 0);
        for bytes in all {
            tried += 1;
            right += u64::from(held(bytes));
        }
        record.insert(what, BTreeMap::from([("tried", tried), ("held", right)]));
    };
    take("one bit flipped", &mut bits.into_iter());
    take("all from a byte on is zeros", &mut zeros.into_iter());
    take("a line is missing", &mut without.into_iter());
    take("a line is there twice", &mut twice.into_iter());
    for (what, row) in &record {
        assert_eq!(row["tried"], row["held"], "{what}");
    }
    as_recorded("damaged-journals.json", &record);
}
