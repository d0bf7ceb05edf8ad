//! The catalogue: one file per knob, one line per file in the list of its family.
//!
//! A [`Knob`] describes; it never writes. `read` asks the reading door, `ops` gives the writes as data, and the apply
//! crate performs them with journal and read-back. The doc comment of a knob is its page in the reference
//! (`lowlat explain NAME`), so it has the same sections everywhere; a test checks them.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod boot;
mod bypass;
mod cpu;
mod entry;
mod irq;
mod memory;
mod nic;
mod pcie;
mod qdisc;
mod resolve;
mod route;
mod sched;
mod socket;
mod steer;
mod sysctl;
mod time;
mod value;

pub use entry::Knob;
pub use lowlat_settings::{resets, shell};
pub use resolve::{observed, resolve};
pub use value::Value;

use lowlat_model::Risk;

/// What is known of a knob before it is asked anything.
#[derive(Debug)]
pub struct KnobMeta {
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
    /// `acts`, or why nobody should set it: folklore has an entry too.
    pub standing: Standing,
    /// Other names people know it by: `SO_BUSY_POLL`, `chrt`, `isolcpus`.
    pub also: &'static [&'static str],
    /// Where the facts on the page come from, each in a form of [`lowlat_model::source`].
    pub sources: &'static [&'static str],
    /// Knobs that it is known to act only with: where neither helps alone, the two are tried together. The sources say
    /// why.
    pub needs: &'static [&'static str],
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

impl Standing {
    /// What it means to the reader.
    pub fn words(self) -> &'static str {
        match self {
            Self::Acts => "acts",
            Self::Default => "default: real, and already set so; setting it changes nothing",
            Self::Inert => "inert: nothing reads it any more",
            Self::Harmful => "harmful: lowlat explains it and never sets it",
            Self::Elsewhere => "elsewhere: no setting lowlat writes; explained only",
        }
    }
}

/// Declares a knob in a file of its own: the doc comment is its page, the rest its [`KnobMeta`] and its mechanics.
macro_rules! knob {
    (
        $(#[doc = $page:literal])+
        $name:literal;
        kernels $kernels:literal; phase $phase:literal; risk $risk:ident; resets_link $resets:literal; standing $standing:ident;
        place $place:expr;
        value $value:expr;
        $(refusal $refusal:literal;)?
        also [$($also:literal),* $(,)?];
        sources [$($source:literal),+ $(,)?];
        $(needs [$($needs:literal),+ $(,)?];)?
    ) => {
        $(#[doc = $page])+
        pub(crate) static KNOB: $crate::Knob = $crate::Knob {
            meta: $crate::KnobMeta {
                name: $name,
                page: lowlat_model::doc_page!($($page)+),
                kernels: $kernels,
                phase: $phase,
                risk: lowlat_model::Risk::$risk,
                resets_link: $resets,
                standing: $crate::Standing::$standing,
                also: &[$($also),*],
                sources: &[$($source),+],
                needs: &[$($($needs),+)?],
                file: file!(),
            },
            place: &$place,
            value: $value,
            refusal: concat!($($refusal)?),
        };
    };
}
pub(crate) use knob;

/// The families, in the order of the reference.
const FAMILIES: &[&[&Knob]] = &[
    sysctl::KNOBS,
    nic::KNOBS,
    qdisc::KNOBS,
    irq::KNOBS,
    steer::KNOBS,
    route::KNOBS,
    cpu::KNOBS,
    pcie::KNOBS,
    memory::KNOBS,
    boot::KNOBS,
    bypass::KNOBS,
    socket::KNOBS,
    time::KNOBS,
    sched::KNOBS,
];

/// Every knob, in the order of the reference.
pub static KNOBS: &[&Knob] = &all::<{ count() }>();

const fn count() -> usize {
    let (mut n, mut family) = (0, 0);
    while family < FAMILIES.len() {
        n += FAMILIES[family].len();
        family += 1;
    }
    n
}

const fn all<const N: usize>() -> [&'static Knob; N] {
    let mut all = [FAMILIES[0][0]; N];
    let (mut n, mut family) = (0, 0);
    while family < FAMILIES.len() {
        let mut knob = 0;
        while knob < FAMILIES[family].len() {
            all[n] = FAMILIES[family][knob];
            n += 1;
            knob += 1;
        }
        family += 1;
    }
    all
}

/// A knob by its name.
pub fn find(name: &str) -> Option<&'static Knob> {
    KNOBS.iter().copied().find(|k| k.meta.name == name)
}

/// A knob by a name that people know it by: one of [`KnobMeta::also`], or the last part of its own where that is one
/// knob's alone (`tcp_rmem`, `busy_read`).
pub fn find_known(name: &str) -> Option<&'static Knob> {
    let known = |k: &&Knob| k.meta.also.iter().any(|a| a.eq_ignore_ascii_case(name));
    let mut tails = KNOBS.iter().copied().filter(|k| k.meta.name.rsplit('.').next() == Some(name));
    KNOBS.iter().copied().find(known).or_else(|| match (tails.next(), tails.next()) {
        (Some(one), None) => Some(one),
        _ => None,
    })
}

#[cfg(test)]
mod tests;
