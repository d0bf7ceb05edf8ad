//! What stands applied, and whether it still does.

use lowlat_model::Schema;
use lowlat_model::journal::{Applied, StatusDocument};
use lowlat_sys::Sys;

use crate::disk::Disk;
use crate::error::ApplyError;
use crate::log::read_all;
use crate::same::same;
use crate::writer::Writer;

/// Reads every journal and the host; writes nothing.
pub fn status_on<W: Writer>(sys: &dyn Sys, writer: &W, disk: &dyn Disk) -> Result<StatusDocument, ApplyError> {
    let mut applied = Vec::new();
    for found in read_all(disk)? {
        for s in found.ledger.standing.iter().filter(|s| !s.is_guard()) {
            let now = writer.state(sys, &s.op.locus);
            let changed_by_other =
                now.value().is_some_and(|n| !same(&s.op.locus, n, s.ours()) && !same(&s.op.locus, n, &s.prior));
            applied.push(Applied {
                knob: s.knob.clone(),
                target: s.target.clone(),
                locus: s.op.locus.clone(),
                was: s.prior.to_string(),
                set: s.ours().to_string(),
                now: now.value().map_or_else(
                    || now.why_not().map_or_else(String::new, |(kind, why)| format!("{kind}: {why}")),
                    ToString::to_string,
                ),
                changed_by_other,
            });
        }
    }
    Ok(StatusDocument { schema: Schema::current("status"), applied })
}
