//! What can be known to fail is found before anything is changed.

use lowlat_model::Reading;
use lowlat_sys::query::LinkInfo;
use lowlat_sys::store::Store;
use lowlat_sys::{Sys, query};

use super::Job;
use crate::failure::Failure;
use crate::probe;

/// Checks the interface, the privilege, the state directory, an earlier unfinished run, the route and the target, in this order.
pub fn preflight(job: &Job, sys: &dyn Sys, store: &Store) -> Result<(), Failure> {
    interface(&job.iface, sys)?;
    if !job.dry_run {
        crate::need_root("optimize", "or use --dry-run, which changes nothing")?;
        free_to_change(store)?;
    }
    for engine in std::iter::once(&job.engine).chain(&job.engines) {
        if !crate::path::ENGINES.contains(&engine.as_str()) {
            return Err(Failure::new(format!(
                "use engine {engine:?}: there is none of that name; choose of {}",
                crate::path::ENGINES.join(", ")
            )));
        }
    }
    super::route::leads_over(&job.iface, job.path.remote.ip(), sys)?;
    probe::reach(&job.path, &job.engine)
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
                "look for interface {name:?}: the kernel's list is {kind}: {why}; run as root"
            )));
        }
    };
    let Some(link) = links.iter().find(|l| l.name == name).cloned() else {
        if let Some(netns) = elsewhere(name, sys) {
            return Err(Failure::new(format!(
                "use interface {name:?}: it is in the network namespace {netns:?}, not in this one; run `ip netns exec {netns} lowlat …`"
            )));
        }
        let mut names: Vec<&str> = links.iter().map(|l| l.name.as_str()).collect();
        names.sort_unstable();
        return Err(Failure::new(format!(
            "use interface {name:?}: there is none of that name here; choose of {}",
            names.join(", ")
        )));
    };
    Ok(link)
}

/// The named namespace (`/run/netns`) that holds an interface of this name, if one can be found.
fn elsewhere(name: &str, sys: &dyn Sys) -> Option<String> {
    let names = sys.list("/run/netns").into_value()?;
    names.into_iter().find(|ns| lowlat_sys::links_in(ns).is_ok_and(|links| links.iter().any(|l| l == name)))
}
