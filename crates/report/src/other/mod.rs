//! The smaller documents as text: one file each.

mod check;
mod comparison;
mod facts;
mod goals;
mod insight;
mod measurement;
mod noise;
mod plan;
mod status;
mod sweep;

pub(crate) use check::check;
pub(crate) use check::{findings, not_seen, severity};
pub(crate) use comparison::comparison;
pub(crate) use facts::facts;
pub(crate) use measurement::measurement;
pub(crate) use noise::noise;
pub(crate) use plan::plan;
pub(crate) use status::status;
pub(crate) use sweep::sweep;

use lowlat_model::stored::StoredRun;
use lowlat_model::verdict::{Clock, QuantileDifference};

use crate::page::Section;

/// `P50`, `P99.9`: without the noise of binary fractions.
pub(crate) fn name_of(q: f64) -> String {
    let text = format!("{:.4}", q * 100.0);
    format!("P{}", text.trim_end_matches('0').trim_end_matches('.'))
}

/// `P99`, `planned P99`.
pub(crate) fn quantile_of(q: &QuantileDifference) -> String {
    let name = name_of(q.q);
    match q.from {
        Clock::Send => name,
        Clock::Planned => format!("planned {name}"),
    }
}

/// A stored document laid out, with its title.
pub(crate) fn sections(run: &StoredRun) -> (String, Vec<Section>) {
    match run {
        StoredRun::Measure(m) => (format!("Round trips to {}", m.target), measurement::sections(m)),
        StoredRun::Sweep(s) => (format!("Sweep over {}", s.axis.name()), sweep::sections(s)),
        StoredRun::Compare(c) => (format!("{} against {}", c.b, c.a), comparison::sections(c)),
        StoredRun::Noise(n) => ("What the host itself adds".to_owned(), noise::sections(n)),
        StoredRun::Optimize(d) => (format!("{} to {}", d.iface, d.target), crate::run::sections(d)),
    }
}
