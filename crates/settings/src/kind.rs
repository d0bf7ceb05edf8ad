//! What every kind of setting says of itself.

use lowlat_model::tune::Scope;
use lowlat_model::{Locus, Reading, State};
use lowlat_sys::Sys;

use crate::{Part, Write, text};

/// A setting of one kind, at its place. The defaults are those of a setting of an interface that only the kernel's own
/// text forms tell apart.
pub trait Kind {
    /// The place for people: `ring rx of eth0`.
    fn words(&self) -> String;

    /// The current value, complete enough to be put back.
    fn read(&self, sys: &dyn Sys) -> Reading<State>;

    /// The write that brings `set`; as text, why it takes no such state.
    fn write(&self, set: &State) -> Result<Write, String>;

    /// The command of a POSIX shell that puts `was` back without lowlat.
    fn undo(&self, was: &State) -> String;

    /// Whether a shell can put it back. Where not, [`Kind::undo`] prints what it was and fails.
    fn undone_by_shell(&self) -> bool {
        true
    }

    /// The command of a POSIX shell that shows it, alone or with others of its device, in a text that stays the same while
    /// nobody changes them; `None` where no tool does.
    fn shown(&self) -> Option<String> {
        None
    }

    /// Whether one command puts both back. Where they depend on each other, one after the other fails in the wrong order.
    fn undone_at_once(&self, other: &Locus) -> bool {
        self.together(other)
    }

    /// One command for several places that are [`Kind::undone_at_once`].
    fn undo_together(&self, places: &[(&Locus, &State)]) -> Option<String> {
        let _ = places;
        None
    }

    /// Whether two different states are equal in effect.
    fn same(&self, a: &State, b: &State) -> bool {
        text::same(a, b)
    }

    /// Whether a place that was `was` before is put back with `now`, though it may not be the same.
    fn settled(&self, now: &State, was: &State) -> bool {
        now == was || self.same(now, was)
    }

    /// Whether a write had an effect.
    fn acted(&self, set: &State, now: &State, prior: &State) -> bool {
        let _ = set;
        now != prior && !self.same(now, prior)
    }

    /// Why what a write left there is too little to be kept, as text: it is put back.
    fn falls_short(&self, set: &State, now: &State, prior: &State) -> Option<String> {
        let _ = (set, now, prior);
        None
    }

    /// How far a write reaches.
    fn scope(&self) -> Scope {
        Scope::Interface
    }

    /// Whether the same name means another thing in another network namespace.
    fn of_namespace(&self) -> bool {
        true
    }

    /// Whether it is still there after a reboot.
    fn outlives_boot(&self) -> bool {
        false
    }

    /// Whether a process holds it for as long as it runs: there is nothing to write, only a holder to start and to end.
    fn is_held(&self) -> bool {
        false
    }

    /// What its driver is asked for, and may reset for: one entry for each of the driver's settings that changes.
    fn asked(&self, from: &State, to: &State) -> Vec<Asked<'_>> {
        let _ = (from, to);
        Vec::new()
    }

    /// Why the write may not be made, as text: what it would destroy could not be put back. Asked right before each
    /// write, also on rollback.
    fn refused(&self, sys: &dyn Sys, set: &State) -> Option<String> {
        let _ = (sys, set);
        None
    }

    /// As [`Kind::refused`], where lowlat may do it to what it made itself: not asked on rollback.
    fn refused_at_first(&self, sys: &dyn Sys, set: &State) -> Option<String> {
        let _ = (sys, set);
        None
    }

    /// Whether `--force` goes back over [`Kind::refused`].
    fn forced_back(&self) -> bool {
        false
    }

    /// Whether the rollback asks for [`Kind::beside`] again. Not where its state says all that hangs there.
    fn looks_beside_again(&self) -> bool {
        true
    }

    /// Other places that the write may change; as text, why they are not known.
    fn beside(&self, sys: &dyn Sys) -> Result<Vec<Locus>, String> {
        let _ = sys;
        Ok(Vec::new())
    }

    /// Whether [`Kind::beside`] may give this place on some host; asks none.
    fn may_change(&self, other: &Locus) -> bool {
        let _ = other;
        false
    }

    /// Whether it and the other place are written in one request.
    fn together(&self, other: &Locus) -> bool {
        let _ = other;
        false
    }

    /// Whether it goes back only with the other place, which it depends on.
    fn goes_with(&self, other: &Locus) -> bool {
        let _ = other;
        false
    }

    /// The position of the interrupt line that it belongs to, among those of its interface.
    fn line(&self) -> Option<u32> {
        None
    }

    /// The same setting of the line at another position.
    fn on_line(&self, index: u32) -> Option<Locus> {
        let _ = index;
        None
    }

    /// How it is kept over a reboot.
    fn at_boot(&self) -> AtBoot {
        AtBoot::Command { resets: false }
    }
}

/// What a driver is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked<'a> {
    /// The part of the driver.
    pub part: Part,
    /// The parameter, feature or flag; empty where the part has one alone.
    pub name: &'a str,
    /// Its value now.
    pub from: String,
    /// Its value then.
    pub to: String,
}

impl<'a> Asked<'a> {
    /// The whole change of a setting that is one of the driver's.
    pub(crate) fn all(part: Part, name: &'a str, from: &State, to: &State) -> Vec<Self> {
        vec![Self { part, name, from: from.to_string(), to: to.to_string() }]
    }
}

/// How a setting is kept over a reboot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AtBoot {
    /// A line of sysctl.d: the key, as `/proc/sys` has it.
    Sysctl(String),
    /// A line of tmpfiles.d: the file.
    Tmpfile(String),
    /// The command of [`Kind::undo`] in a unit that waits for the interface.
    Command {
        /// What the command resets is set by later ones.
        resets: bool,
    },
    /// A unit whose process holds it.
    Holder,
    /// It is a file of the boot already.
    Itself,
    /// Not at all.
    Never {
        /// Why not.
        why: &'static str,
    },
}
