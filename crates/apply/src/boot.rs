//! What the host's own boot has set again from the files of `lowlat persist`, seen in a later boot.

use lowlat_model::Reading;
use lowlat_settings::{at, same};
use lowlat_sys::{Sys, query};

use crate::boot_iface::name_now;
use crate::device::{self, Whereabouts};
use crate::ledger::{HolderId, Ledger, StandingWrite};
use crate::log::Found;
use crate::writer::HostWriter;

/// The name under which the journal knows the files of `lowlat persist`.
pub(crate) const KNOB: &str = "persist";
/// The unit among them that holds a wake-up latency limit.
pub(crate) const HOLDER_UNIT: &str = "lowlat-dma-latency.service";
/// Where a unit's processes are listed: the one hierarchy, or systemd's own next to others
/// (<https://systemd.io/CGROUP_DELEGATION>, "Three Scenarios").
const HIERARCHIES: [&str; 3] = ["/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"];

/// Whether files of `lowlat persist` stand.
pub(crate) fn persisted(found: &[Found]) -> bool {
    found.iter().any(|f| f.ledger.standing.iter().any(|s| s.knob == KNOB))
}

/// Whether this process is in the network namespace that the boot sets, which is that of process 1. Where that cannot
/// be determined, it is taken to be so: on most hosts there is no other.
///
/// Neither inode nor cookie reports it: both are of one boot, and the first namespace's inode differs between kernels.
pub(crate) fn in_boot_namespace(sys: &dyn Sys) -> bool {
    match (sys.link_target("/proc/1/ns/net"), query::netns_inode(sys)) {
        (Reading::Value(link), Reading::Value(inode)) => link == format!("net:[{inode}]"),
        _ => true,
    }
}

/// Finds the interface of each write of an earlier boot, and names its places by what it is called in this one.
pub(crate) fn locate_again(sys: &dyn Sys, ledger: &mut Ledger) {
    for s in &mut ledger.standing {
        let Some(device) = &s.device else { continue };
        let at = match name_now(sys, device) {
            Some(name) => Whereabouts::Here(name),
            None => Whereabouts::Gone { why: format!("{} is not there in this boot", device::words(device)) },
        };
        device::name_places(s, &at);
        s.at = Some(at);
    }
}

/// Whether a setting of an earlier boot stands again in this one: lowlat's value is there, and not the one before it.
pub(crate) fn set_again<W: HostWriter>(sys: &dyn Sys, writer: &W, s: &StandingWrite) -> bool {
    if at(&s.op.locus).is_held() {
        return !holders(sys).is_empty();
    }
    if matches!(s.at, Some(Whereabouts::Gone { .. })) {
        return false;
    }
    let s = &device::line(sys, writer, s);
    let now = writer.state(sys, &s.op.locus);
    now.value().is_some_and(|n| same(&s.op.locus, n, s.ours()) && !same(&s.op.locus, n, &s.prior))
}

/// The processes that the unit of the wake-up latency limit runs.
pub(crate) fn holders(sys: &dyn Sys) -> Vec<HolderId> {
    let of_unit =
        |hierarchy: &&str| sys.read(&format!("{hierarchy}/system.slice/{HOLDER_UNIT}/cgroup.procs")).into_value();
    let pids = HIERARCHIES.iter().find_map(of_unit).unwrap_or_default();
    pids.lines().filter_map(|pid| holder(sys, pid.trim().parse().ok()?)).collect()
}

/// proc_pid_stat(5): field 22 is the start time; the name in field 2 may hold blanks and brackets, so count from its
/// end.
fn holder(sys: &dyn Sys, pid: u32) -> Option<HolderId> {
    let stat = sys.read(&format!("/proc/{pid}/stat")).into_value()?;
    let start_time = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()?;
    Some(HolderId { pid, start_time, token: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use lowlat_testkit::FakeSys;

    #[test]
    fn the_unit_s_processes_are_found_in_either_hierarchy() {
        for hierarchy in ["/sys/fs/cgroup", "/sys/fs/cgroup/systemd"] {
            let sys = FakeSys::new()
                .file(&format!("{hierarchy}/system.slice/lowlat-dma-latency.service/cgroup.procs"), "41\n")
                .file("/proc/41/stat", "41 (a) b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 777 20\n");
            assert_eq!(holders(&sys), [HolderId { pid: 41, start_time: 777, token: None }]);
        }
        assert_eq!(holders(&FakeSys::new()), []);
    }
}
