//! What stands applied, and whether it still does.

use lowlat_model::journal::{Applied, StatusDocument};
use lowlat_model::{Reading, Schema};
use lowlat_sys::Sys;

use crate::disk::Disk;
use crate::error::ApplyError;
use crate::log::read_all;
use crate::places::of_namespace;
use crate::rollback::{Netns, Place};
use crate::same::same;
use crate::writer::Writer;

/// Reads every journal and the host; writes nothing. Settings that ended with an earlier boot or with their network
/// namespace are not listed; those of another namespace are, without a look at what is there now.
pub fn status_on<W: Writer>(
    sys: &dyn Sys,
    writer: &W,
    disk: &dyn Disk,
    place: &Place<'_>,
) -> Result<StatusDocument, ApplyError> {
    let mut applied = Vec::new();
    for found in read_all(disk)? {
        let l = &found.ledger;
        let netns = place.look(l.netns);
        for s in l.can_stand(place.boot_id, netns == Netns::Gone).filter(|s| !s.is_guard()) {
            let now = if of_namespace(&s.op.locus) && netns != Netns::Same {
                Reading::Unsupported(format!("belongs to the network namespace {}", l.netns))
            } else {
                writer.state(sys, &s.op.locus)
            };
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
