//! Facts and documents from where the user says they are: a file, a captured tree, or the live host.

use std::path::Path;

use lowlat_collect::Whose;
use lowlat_model::{Application, Facts, Reading};
use lowlat_sys::{Live, Sys, query};

use crate::Failure;

/// Reads a stored document and checks that it is the one that is meant.
pub fn stored<T: serde::de::DeserializeOwned>(path: &Path, name: &str) -> Result<T, Failure> {
    let next = "give a file written by lowlat";
    let bytes = lowlat_sys::store::read(path).map_err(|e| Failure::because(e, next))?;
    lowlat_model::stored::read(&bytes, name)
        .map_err(|why| Failure::new(format!("read {}: {why}; {next}", path.display())))
}

/// Stored facts, or those of a captured tree, or those of the live host; with the path over an interface, to a target,
/// or both.
pub fn facts_from(
    file: Option<&Path>,
    root: Option<&Path>,
    iface: Option<&str>,
    target: Option<&str>,
    window_ns: Option<u64>,
    whose: Option<Whose>,
) -> Result<Facts, Failure> {
    if let Some(file) = file {
        let facts = stored_facts(file, iface)?;
        return whose.map_or(Ok(()), |whose| recorded(&facts, whose, file)).map(|()| facts);
    }
    // The port plays no part in the route.
    let target = target.map(|t| crate::path::resolve(t, 0)).transpose()?.map(lowlat_collect::Towards::from);
    let gather = |sys: &dyn Sys| -> Result<Facts, Failure> {
        if let (Some(iface), Some(target)) = (iface, target) {
            lowlat_collect::path::leads_over(sys, iface, target).map_err(|e| Failure::new(e.to_string()))?;
        }
        match whose {
            None => Ok(lowlat_collect::gather_path(sys, iface, target, window_ns)),
            Some(whose) => Ok(lowlat_collect::gather_application(sys, iface, target, window_ns, whose)?),
        }
    };
    let facts = if let Some(root) = root {
        gather(&lowlat_sys::Captured::open(root)?)?
    } else {
        let live = Live::new();
        if let Some(iface) = iface {
            crate::optimize::interface_known(iface, &live)?;
        }
        gather(&live)?
    };
    match iface {
        Some(iface) if !facts.interfaces.contains_key(iface) => Err(Failure::new(format!(
            "look at interface {iface:?}: no such interface; choose one of {}",
            names(&facts)
        ))),
        _ => Ok(facts),
    }
}

/// Stored facts hold one application or none: refuses those without the one that is asked for.
fn recorded(facts: &Facts, whose: Whose, file: &Path) -> Result<(), Failure> {
    let asked = |a: &Application| match whose {
        Whose::Pid(pid) => a.asked_port.is_none() && a.asked_pid == Some(pid),
        Whose::Port(port) => a.asked_pid.is_none() && a.asked_port == Some(port),
        Whose::Both(pid, port) => (a.asked_pid, a.asked_port) == (Some(pid), Some(port)),
    };
    if facts.application.as_ref().is_some_and(asked) {
        return Ok(());
    }
    Err(Failure::new(format!(
        "look at the application in {}: it was not recorded with these; record it with lowlat facts, the same --pid and \
         --port, and --window",
        file.display()
    )))
}

/// Facts of a file. With another interface than the file's, the path is what the file says is beneath that one.
fn stored_facts(file: &Path, iface: Option<&str>) -> Result<Facts, Failure> {
    let mut facts: Facts = stored(file, "facts")?;
    let Some(iface) = iface else { return Ok(facts) };
    if !facts.interfaces.contains_key(iface) {
        return Err(Failure::new(format!(
            "look at interface {iface:?}: {} has no such interface; choose one of {}",
            file.display(),
            names(&facts)
        )));
    }
    if facts.iface.as_deref() != Some(iface) {
        facts.path = facts.beneath(iface);
        facts.path_not_seen.clear();
        facts.target = None;
        facts.iface = Some(iface.to_owned());
    }
    Ok(facts)
}

fn names(facts: &Facts) -> String {
    facts.interfaces.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// The interfaces of this host with what they are, those with a carrier first.
pub fn choices(sys: &dyn Sys) -> Result<Vec<(String, String)>, Failure> {
    let Reading::Value(mut links) = query::links(sys) else {
        return Err(Failure::new(
            "list interfaces: the kernel gave no list; name one with `lowlat optimize --iface IF`",
        ));
    };
    links.sort_by_key(|l| (l.name == "lo", !l.up, l.index));
    Ok(links
        .iter()
        .map(|l| {
            let driver = match query::driver(sys, &l.name) {
                Reading::Value(d) => format!(
                    "{} {}, firmware {}",
                    d.driver,
                    d.version,
                    if d.firmware.is_empty() { "not reported" } else { &d.firmware }
                ),
                _ if l.name == "lo" => "loopback".to_owned(),
                _ => l.kind.clone().unwrap_or_else(|| "no driver reported".to_owned()),
            };
            // Links without a carrier to watch (loopback, tunnels) stay "unknown" (operstates.rst, "TLV
            // IFLA_OPERSTATE").
            let state = if l.up && l.operstate == "unknown" { "up" } else { &l.operstate };
            (l.name.clone(), format!("{driver}, {state}"))
        })
        .collect())
}
