//! What is applied, and whether it still does.

use lowlat_model::journal::{Applied, StatusDocument};
use lowlat_model::{Reading, Schema};
use lowlat_settings::{at, same};
use lowlat_sys::Sys;

use crate::boot::{in_boot_namespace, locate_again, persisted, set_again};
use crate::device::{self, Whereabouts};
use crate::disk::Disk;
use crate::error::ApplyError;
use crate::ledger::StandingWrite;
use crate::log::read_all;
use crate::namespaces::{Netns, Place};
use crate::writer::HostWriter;

/// Reads every journal and the host; writes nothing. Settings that ended with an earlier boot or with their network
/// namespace are not listed, unless the files of `lowlat persist` have set them again; those of another namespace are,
/// without a look at what is there now.
pub fn status_on<W: HostWriter>(
    sys: &dyn Sys,
    writer: &W,
    disk: &dyn Disk,
    place: &Place<'_>,
) -> Result<StatusDocument, ApplyError> {
    let mut applied = Vec::new();
    let owners = lowlat_owners::Host::new(sys);
    let all = read_all(disk)?;
    let persisted = persisted(&all);
    for mut found in all {
        if found.ledger.boot_id == place.boot_id && !found.ledger.closed {
            let netns = place.look(found.ledger.netns);
            device::locate(sys, writer, &mut found.ledger, netns);
        }
        let earlier = found.ledger.boot_id != place.boot_id;
        if earlier && persisted {
            locate_again(sys, &mut found.ledger);
        }
        let l = &found.ledger;
        let netns = if earlier { Netns::Same } else { place.look(l.netns) };
        let again = |s: &StandingWrite| {
            persisted && (!at(&s.op.locus).of_namespace() || in_boot_namespace(sys)) && set_again(sys, writer, s)
        };
        let stands = |s: &&StandingWrite| {
            if earlier && !at(&s.op.locus).outlives_boot() {
                again(s)
            } else {
                matches!(s.at, Some(Whereabouts::Here(_))) || !(netns == Netns::Gone && at(&s.op.locus).of_namespace())
            }
        };
        for s in l.standing.iter().filter(|s| !s.is_guard()).filter(stands) {
            let s = &device::line(sys, writer, s);
            let now = match &s.at {
                Some(Whereabouts::Here(_)) => writer.state(sys, &s.op.locus),
                Some(Whereabouts::Elsewhere { netns, .. }) => writer.state_in(netns, &s.op.locus),
                Some(Whereabouts::Gone { why }) => Reading::Absent(why.clone()),
                _ if at(&s.op.locus).of_namespace() && netns != Netns::Same => {
                    Reading::Unsupported(format!("belongs to the network namespace {}", l.netns))
                }
                Some(Whereabouts::Hidden { why }) => {
                    Reading::Absent(format!("its interface is not in this network namespace, and {why}"))
                }
                Some(Whereabouts::Home) | None => writer.state(sys, &s.op.locus),
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
                changed_by: changed_by_other.then(|| now.value().and_then(|n| owners.who(&s.op.locus, n))).flatten(),
            });
        }
    }
    // What waits for a confirmation is known by its guard, on the live host: `live::status` adds it.
    Ok(StatusDocument { schema: Schema::current("status"), applied, pending: Vec::new() })
}
