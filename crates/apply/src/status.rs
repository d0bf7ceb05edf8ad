//! What stands applied, and whether it still does.

use lowlat_model::journal::{Applied, StatusDocument};
use lowlat_model::{Reading, Schema};
use lowlat_sys::Sys;

use crate::disk::Disk;
use crate::error::ApplyError;
use crate::ledger::Standing;
use crate::log::read_all;
use crate::places::{of_namespace, outlives_boot};
use crate::same::same;
use crate::writer::Writer;

/// Reads every journal and the host; writes nothing. Settings that ended with an earlier boot are not listed; those of
/// another network namespace are, without a look at what is there now.
pub fn status_on<W: Writer>(
    sys: &dyn Sys,
    writer: &W,
    disk: &dyn Disk,
    boot_id: &str,
    netns: u64,
) -> Result<StatusDocument, ApplyError> {
    let mut applied = Vec::new();
    for found in read_all(disk)? {
        let l = &found.ledger;
        let here = |s: &&Standing| !s.is_guard() && (l.boot_id == boot_id || outlives_boot(&s.op.locus));
        for s in l.standing.iter().filter(here) {
            let now = if of_namespace(&s.op.locus) && l.netns != netns {
                Reading::Unsupported(format!("belongs to the network namespace net:[{}]", l.netns))
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
