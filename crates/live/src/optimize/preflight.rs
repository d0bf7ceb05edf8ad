//! What can be known to fail is found before anything is changed.

use std::collections::BTreeSet;

use lowlat_model::{Capability, NotSeen, Reading};
use lowlat_sys::query::LinkInfo;
use lowlat_sys::store::Store;
use lowlat_sys::{Live, Sys, query};

use super::Job;
use crate::Failure;
use crate::probe;

/// Checks the interface, the privilege, the state directory, an earlier unfinished run, the engines, the CPU, the route
/// and the target, in this order.
pub fn preflight(job: &Job, sys: &dyn Sys, store: &Store) -> Result<(), Failure> {
    interface(&job.iface, sys)?;
    if !job.dry_run {
        let (what, otherwise) = match job.around {
            None => ("optimize", "or use --dry-run, which changes nothing"),
            Some(_) => ("around", "as the other program has to"),
        };
        crate::privilege::need(what, &[Capability::NetAdmin], otherwise)?;
        free_to_change(store)?;
    }
    crate::engines::known("use engine", std::iter::once(&job.engine).chain(&job.engines).map(String::as_str))?;
    if job.engine == lowlat_transport::suspend::NAME {
        return Err(Failure::new(format!(
            "use engine {:?}: it sets NAPI values of its own, and a run has its transaction open; choose --engine epoll, and \
             compare the two with `lowlat measure --engine epoll,{}`",
            job.engine, job.engine
        )));
    }
    for path in job.path.iter().chain(&job.engine_path) {
        path.cpu.map_or(Ok(()), |cpu| cpu_usable("pin to", cpu))?;
    }
    let Some(path) = &job.path else { return Ok(()) };
    lowlat_collect::path::leads_over(sys, &job.iface, path.remote.into())?;
    probe::reach(path, &job.engine)
}

/// What depends on the far end: whether it takes a load, and how fast it answers. Asked before anything is measured, so
/// that no run ends in its middle for it. A load that was asked for (`load_asked`) is refused where nothing takes it, and left out where
/// it was not.
pub fn settle(job: &mut Job, load_asked: bool, say: &mut dyn FnMut(&str)) -> Result<(), Failure> {
    let Some(path) = &job.path else { return Ok(()) };
    // A dry run measures no load.
    if job.limits.load_streams > 0 && !job.dry_run {
        match probe::sink_answers(path) {
            Ok(()) => {}
            Err(no) if load_asked => return Err(no),
            Err(_) => {
                let why = format!("no `lowlat serve` takes bulk streams at {}", path.sink());
                say(&format!("without the measurement under load: {why}"));
                job.limits.load_streams = 0;
                job.not_seen.push(NotSeen { fact: "the path under load".to_owned(), why });
            }
        }
    }
    if path.may_set_a_pace() {
        let (round_ns, words) = probe::round_at_pace(path, &job.engine, job.limits.round_ns)?;
        if let Some(words) = words {
            say(&words);
        }
        job.limits.round_ns = round_ns;
    }
    Ok(())
}

/// A CPU that is online and that this process may run on.
pub fn cpu_usable(operation: &str, cpu: u32) -> Result<(), Failure> {
    let allowed = lowlat_measure::placement::allowed_cpus().map_err(|e| {
        Failure::new(format!("{operation} CPU {cpu}: ask which may be used: {e}; run it in another cpuset"))
    })?;
    // An isolated CPU is in no thread's affinity to begin with, and may be pinned to.
    if allowed.contains(&cpu) || !lowlat_measure::placement::pinnable([cpu]).is_empty() {
        return Ok(());
    }
    let online = Live::new().read("/sys/devices/system/cpu/online").into_value().unwrap_or_default();
    Err(Failure::new(format!(
        "{operation} CPU {cpu}: it is not online ({} are) or not allowed to this process; choose one of {}",
        online.trim(),
        lowlat_model::cpus::print_list(&allowed)
    )))
}

/// The state directory can be written, no other lowlat is changing this host, and no earlier change waits for its end.
///
/// The lock comes before the journal: what a running lowlat has applied is not for the user to roll back under it.
pub fn free_to_change(store: &Store) -> Result<(), Failure> {
    store.ensure_writable()?;
    drop(store.lock()?);
    Ok(lowlat_apply::refuse_unfinished(store)?)
}

/// An interface that packets can leave by. Unknown, down, or in another namespace: three different answers.
pub fn interface(name: &str, sys: &dyn Sys) -> Result<(), Failure> {
    let link = find(name, sys)?;
    if !link.up {
        return Err(Failure::new(format!(
            "use interface {name:?}: it is down; bring it up with `ip link set {name} up`"
        )));
    }
    if matches!(link.operstate.as_str(), "down" | "lowerlayerdown" | "notpresent") {
        return Err(Failure::new(format!(
            "use interface {name:?}: it has no carrier ({}); check the cable or the other end",
            link.operstate
        )));
    }
    Ok(())
}

/// An interface of this namespace, up or down.
pub fn interface_known(name: &str, sys: &dyn Sys) -> Result<(), Failure> {
    find(name, sys).map(|_| ())
}

fn find(name: &str, sys: &dyn Sys) -> Result<LinkInfo, Failure> {
    let links = match query::links(sys) {
        Reading::Value(links) => links,
        other => {
            let (kind, why) = other.why_not().unwrap_or(("garbled", ""));
            return Err(Failure::new(format!(
                "look for interface {name:?}: the kernel's list is {kind}: {why}; run it outside of the sandbox that forbids \
                 netlink (listing interfaces needs no capability)"
            )));
        }
    };
    let Some(link) = links.iter().find(|l| l.name == name).cloned() else {
        if let Some((netns, command)) = elsewhere(name, sys) {
            return Err(Failure::new(format!(
                "use interface {name:?}: it is in {netns}, not in this one; run `{command}`"
            )));
        }
        let mut names: Vec<&str> = links.iter().map(|l| l.name.as_str()).collect();
        names.sort_unstable();
        return Err(Failure::new(format!(
            "use interface {name:?}: no such interface in this network namespace; choose one of {}",
            names.join(", ")
        )));
    };
    Ok(link)
}

/// Where an interface of this name is, and the command that goes there: a named namespace (`/run/netns`), else that of
/// a process (a container's has no name there).
fn elsewhere(name: &str, sys: &dyn Sys) -> Option<(String, String)> {
    let holds = |path: &str| lowlat_sys::links_in(path).is_ok_and(|links| links.iter().any(|l| l == name));
    let named = sys.list("/run/netns").into_value().unwrap_or_default();
    if let Some(netns) = named.into_iter().find(|netns| holds(&format!("/run/netns/{netns}"))) {
        return Some((format!("the network namespace {netns:?}"), format!("ip netns exec {netns} lowlat …")));
    }
    let target = |pid: &str| sys.link_target(&format!("/proc/{pid}/ns/net")).into_value();
    let mut seen: BTreeSet<String> = target("self").into_iter().collect();
    let pids = sys.list("/proc").into_value()?;
    let pid = pids
        .into_iter()
        .filter(|pid| pid.bytes().all(|b| b.is_ascii_digit()))
        .filter(|pid| target(pid).is_some_and(|netns| seen.insert(netns)))
        .find(|pid| holds(&format!("/proc/{pid}/ns/net")))?;
    let comm = sys.read(&format!("/proc/{pid}/comm")).into_value().unwrap_or_default();
    Some((
        format!("the network namespace of process {pid} ({})", comm.trim()),
        format!("nsenter --net --target {pid} lowlat …"),
    ))
}
