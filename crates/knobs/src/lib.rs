//! The catalogue: one file per knob, one line per file in [`KNOBS`].
//!
//! A knob describes; it never writes. `read` asks the reading door, `ops` gives the writes as data, and the apply
//! crate performs them with journal and read-back. The doc comment of a knob is its page in the reference
//! (`lowlat explain NAME`), so it has the same sections everywhere; a test checks them.

use lowlat_model::op::Target;
use lowlat_model::{Op, Reading, Risk};
use lowlat_sys::Sys;

/// What is known of a knob before it is asked anything.
#[derive(Debug)]
pub struct Meta {
    /// `sysctl.net.core.busy_read`, `nic.coalesce.rx-usecs`, `irq.affinity`.
    pub name: &'static str,
    /// The page: the doc comment's Markdown, with the sections `What it does`, `Why it matters`, `Cost`, `Example`.
    pub page: &'static str,
    /// Kernels on which it acts: `3.11..`, `..4.14` (inert since), `any`.
    pub kernels: &'static str,
    /// 2 for the kernel, 3 for bypass.
    pub phase: u8,
    /// What can go wrong.
    pub risk: Risk,
    /// The link goes down for a moment.
    pub resets_link: bool,
    /// `acts`, or why nobody should set it: the brief's folklore has an entry too.
    pub standing: Standing,
    /// Where the facts on the page come from: a URL, a kernel file with its version, or a measurement.
    pub sources: &'static [&'static str],
    /// File of the knob, for the code link.
    pub file: &'static str,
}

/// Whether a setting is worth touching at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It acts where the kernel and the device have it.
    Acts,
    /// Real, and already the default: setting it changes nothing.
    Default,
    /// Nothing reads it any more.
    Inert,
    /// It makes latency or the host worse; lowlat reads and explains it and never sets it.
    Harmful,
    /// Never existed in mainline, or in firmware only: lowlat explains, never writes.
    Elsewhere,
}

/// A file that makes a setting survive a reboot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Persist {
    /// A line of `/etc/sysctl.d/90-lowlat.conf`: key, value.
    Sysctl(String, String),
    /// A `tmpfiles.d`-style write at boot: path, text.
    FileWrite(String, String),
    /// A line `lowlat`'s systemd unit runs at boot through `lowlat apply --boot`: knob, target, value.
    Unit(String, Target, String),
    /// A boot parameter, written as a drop-in of the boot loader.
    BootParameter(String),
}

/// One knob.
pub trait Knob: Sync {
    /// What is known of it.
    fn meta(&self) -> &'static Meta;

    /// Where on this host it can be set. Empty means it is not here; the reading says why.
    fn targets(&self, sys: &dyn Sys, iface: Option<&str>) -> Reading<Vec<Target>>;

    /// The value now, in the knob's text form.
    fn read(&self, sys: &dyn Sys, target: &Target) -> Reading<String>;

    /// The writes that bring `target` to `value`, in order. A value that is none for this knob is refused with a
    /// sentence. Only [`Standing::Acts`] knobs give ops.
    fn ops(&self, sys: &dyn Sys, target: &Target, value: &str) -> Result<Vec<Op>, String>;

    /// What makes it survive a reboot; `None` where nothing can.
    fn persist(&self, target: &Target, value: &str) -> Option<Persist>;

    /// What the change does, in one sentence for the report.
    fn explain(&self, was: &str, want: &str) -> String;

    /// The command that undoes it without lowlat.
    fn undo_by_hand(&self, target: &Target, was: &str) -> String;
}

/// Every knob, in the order of the reference.
pub static KNOBS: &[&dyn Knob] = &[];

/// A knob by its name.
pub fn find(name: &str) -> Option<&'static dyn Knob> {
    KNOBS.iter().copied().find(|k| k.meta().name == name)
}
