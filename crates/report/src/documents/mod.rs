//! The smaller documents as text: one file each.

mod application;
pub(crate) mod bypass;
mod check;
pub(crate) mod comparison;
pub(crate) mod engines;
mod facts;
mod goals;
mod insight;
pub(crate) mod measurement;
pub(crate) mod noise;
mod plan;
pub(crate) mod shape;
mod status;
pub(crate) mod sweep;
pub(crate) mod trace;
pub(crate) mod watch;
pub(crate) mod zerocopy;

pub(crate) use bypass::bypass_verdict;
pub(crate) use check::check;
pub(crate) use check::{findings, not_seen, severity};
pub(crate) use comparison::comparison;
pub(crate) use engines::engines;
pub(crate) use facts::facts;
pub(crate) use measurement::measurement;
pub(crate) use noise::noise;
pub(crate) use plan::plan;
pub(crate) use shape::shape;
pub(crate) use status::status;
pub(crate) use sweep::sweep;
pub(crate) use trace::{trace, waterfall_of_run};
pub(crate) use watch::watch;
pub(crate) use zerocopy::{size_line as zerocopy_line, zerocopy};

use lowlat_model::verdict::{Clock, QuantileDifference};

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
