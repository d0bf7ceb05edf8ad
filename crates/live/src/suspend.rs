//! The NAPI settings of the engine `suspend` ([`lowlat_transport::suspend`]), around its rounds, and around a far end by it.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use lowlat_apply::Session;
use lowlat_model::finding::Setting;
use lowlat_model::op::Target;
use lowlat_model::{Capability, PlannedStep, Reading};
use lowlat_sys::store::Store;
use lowlat_sys::{Sys, query};
use lowlat_transport::EngineOption;
use lowlat_transport::suspend::NAME;

use crate::path::ProbePath;
use crate::{Failure, Outcome, conditions, privilege, signals};

/// Deferred interrupts until the hardware's are on again: two polls that find nothing, as the kernel's page of NAPI has it
/// for a busy-polling program ("low values").
const DEFER: u64 = 2;
/// After an empty poll the queue is looked at again so much later, ns: what a packet waits at most that comes then.
const FLUSH_NS: u64 = 50_000;
/// The interrupt is off for so long at most while the program does not come back, ns: much longer than the flush timeout,
/// as the kernel's page has it, and short against a human's patience with an SSH session over the same queue.
const SUSPEND_NS: u64 = 20_000_000;

/// Knob, the kernel's name of the value, and what it is set to, in the order of setting.
const VALUES: [(&str, &str, u64); 3] = [
    ("nic.napi-defer-hard-irqs", "defer-hard-irqs", DEFER),
    ("nic.gro-flush-timeout", "gro-flush-timeout", FLUSH_NS),
    ("nic.irq-suspend-timeout", SUSPEND, SUSPEND_NS),
];
const SUSPEND: &str = "irq-suspend-timeout";

/// Sets what the engine needs around its rounds, in one transaction that stays open between them.
pub struct Suspender<'a> {
    sys: &'a dyn Sys,
    /// Begun with the first round of the engine; it holds the state directory's lock.
    session: Option<Session>,
}

impl std::fmt::Debug for Suspender<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Suspender").field("begun", &self.session.is_some()).finish_non_exhaustive()
    }
}

impl<'a> Suspender<'a> {
    /// Nothing is set yet.
    pub fn new(sys: &'a dyn Sys) -> Self {
        Self { sys, session: None }
    }

    /// Measures with the path's NAPI instances set, if it is this engine, and puts them back; any other is only measured.
    /// What was set is given too.
    pub fn around<T>(
        &mut self,
        engine: &str,
        path: &ProbePath,
        measure: impl FnOnce() -> Result<T, Failure>,
    ) -> Result<(T, Vec<EngineOption>), Failure> {
        if engine != NAME {
            return measure().map(|measured| (measured, Vec::new()));
        }
        let steps = steps(path, self.sys)?;
        let session = match &mut self.session {
            Some(session) => session,
            none => none.insert(Session::begin(&Store::locate()?, self.sys)?),
        };
        let mut handles = Vec::with_capacity(steps.len());
        let mut measured = Err(Failure::new(String::new()));
        let set = steps.iter().try_for_each(|step| session.apply(self.sys, step).map(|handle| handles.push(handle)));
        if set.is_ok() {
            measured = measure();
        }
        // Put back whatever happened; what cannot be is in the journal.
        let back = handles.into_iter().rev().try_for_each(|handle| session.undo(self.sys, handle));
        set.map_err(|e| Failure::new(format!("engine {NAME}: {e}")))?;
        back.map_err(|e| Failure::new(format!("engine {NAME}: {e}; see `lowlat status`")))?;
        measured.map(|measured| (measured, options(&steps)))
    }
}

/// The far end by this engine: sets the NAPI instances of an interface, starts this program again with its own words and `word`
/// behind them, which answers by epoll and gives up its privileges, and puts the instances back when it ends. The other
/// program ends when this one does, however it does: its standard input is a pipe that only this one holds. Gives its exit
/// code.
pub fn far_end(iface: &str, word: &str, sys: &dyn Sys, say: &mut dyn FnMut(&str)) -> Outcome {
    crate::optimize::interface(iface, sys)?;
    let steps = steps_on(Some(iface.to_owned()), sys)?;
    signals::at_stake();
    let mut session = Session::begin(&Store::locate()?, sys)?;
    let mut handles = Vec::with_capacity(steps.len());
    let set = steps.iter().try_for_each(|step| session.apply(sys, step).map(|handle| handles.push(handle)));
    let served = set.map_err(|e| Failure::new(format!("engine {NAME}: {e}"))).and_then(|()| {
        say(&crate::responder::granted(&options(&steps)).unwrap_or_default());
        answered_by_another(word)
    });
    let back = handles.into_iter().rev().try_for_each(|handle| session.undo(sys, handle));
    back.map_err(|e| Failure::new(format!("engine {NAME}: {e}; see `lowlat status`")))?;
    session.leave_open()?;
    served
}

/// Starts it and waits for its end; a signal that ends this program ends it first.
fn answered_by_another(word: &str) -> Outcome {
    const LOOK: Duration = Duration::from_millis(20);
    let failed = |what: &str, e: std::io::Error| Failure::new(format!("engine {NAME}: {what}: {e}"));
    let program = std::env::current_exe().map_err(|e| failed("find this program", e))?;
    let mut command = Command::new(&program);
    command.args(std::env::args_os().skip(1)).arg(word).stdin(Stdio::piped());
    // A process group of its own: Ctrl-C is for this one, which closes the pipe.
    command.process_group(0);
    let mut other = command.spawn().map_err(|e| failed("start the program that answers", e))?;
    loop {
        if signals::stopped() {
            drop(other.stdin.take());
        }
        match other.try_wait().map_err(|e| failed("wait for the program that answers", e))? {
            // It has said why itself.
            Some(status) => return Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(2)),
            None => std::thread::sleep(LOOK),
        }
    }
}

impl Drop for Suspender<'_> {
    /// Closes the transaction; one that could not be put back stays open, and `lowlat status` shows it.
    fn drop(&mut self) {
        if let Some(session) = &mut self.session
            && session.ledger().standing.is_empty()
        {
            let _ = session.leave_open();
        }
    }
}

/// What was set, where.
fn options(steps: &[PlannedStep]) -> Vec<EngineOption> {
    let option = |(knob, param, value): &(&str, &str, u64)| {
        let on: Vec<String> = steps.iter().filter(|s| s.knob == *knob).map(|s| s.target.to_string()).collect();
        let where_set = if on.is_empty() { "already so".to_owned() } else { on.join(", ") };
        EngineOption::got(param, format!("{value} ({where_set})"))
    };
    VALUES.iter().map(option).collect()
}

/// Why the engine cannot run on this path, without touching anything.
pub fn lacking(path: &ProbePath, sys: &dyn Sys) -> Result<(), Failure> {
    steps(path, sys)?;
    crate::optimize::free_to_change(&Store::locate()?)
}

/// One step for each value of each instance that is not so already.
fn steps(path: &ProbePath, sys: &dyn Sys) -> Result<Vec<PlannedStep>, Failure> {
    steps_on(conditions::choose(path, sys).iface, sys)
}

/// As [`steps`], on an interface and what lies beneath it.
fn steps_on(iface: Option<String>, sys: &dyn Sys) -> Result<Vec<PlannedStep>, Failure> {
    privilege::need(&format!("engine {NAME}"), &[Capability::NetAdmin], "or choose --engine epoll")?;
    let site = lowlat_collect::site(sys, iface.as_deref());
    let mut steps = Vec::new();
    let mut whys = Vec::new();
    let mut found = 0;
    for link in &site.links {
        match instances(sys, &link.name) {
            Ok(all) => found += all.len(),
            Err(why) => whys.push(why),
        }
        for (n, napi) in (0..).zip(instances(sys, &link.name).unwrap_or_default()) {
            for (knob, param, value) in VALUES {
                if napi.values.get(param) != Some(&value) {
                    steps.push(step(sys, knob, Target::Napi(link.name.clone(), n), value)?);
                }
            }
        }
    }
    if found == 0 {
        let name = iface.unwrap_or_else(|| "the path".to_owned());
        let why = if whys.is_empty() { format!("{name} has no NAPI instances") } else { whys.join("; ") };
        return Err(Failure::new(format!("engine {NAME} on {name}: {why}; choose --engine epoll or busy-poll")));
    }
    // All deferral before the first suspension: the kernel acts on the three together.
    steps.sort_by_key(|s: &PlannedStep| VALUES.iter().position(|(knob, ..)| s.knob == *knob));
    Ok(steps)
}

/// The instances of an interface that can suspend, rising; why there are none.
fn instances(sys: &dyn Sys, iface: &str) -> Result<Vec<query::Napi>, String> {
    let mut all = match query::napis(sys, iface) {
        Reading::Value(all) => all,
        other => {
            let (kind, why) = other.why_not().unwrap_or(("garbled", ""));
            return Err(format!("the NAPI instances of {iface} are {kind}: {why}"));
        }
    };
    if all.is_empty() {
        return Err(format!("{iface} has no NAPI instance"));
    }
    if !all.iter().all(|n| n.values.contains_key(SUSPEND)) {
        return Err(format!("the NAPI instances of {iface} have no {SUSPEND}, which needs Linux 6.13"));
    }
    all.sort_unstable_by_key(|n| n.id);
    Ok(all)
}

fn step(sys: &dyn Sys, knob: &str, target: Target, value: u64) -> Result<PlannedStep, Failure> {
    let setting = Setting { knob: knob.to_owned(), target, value: value.to_string(), joint: None };
    lowlat_knobs::resolve(sys, &setting, "the engine suspend needs it while it measures")
        .map_err(|l| Failure::new(format!("engine {NAME}: {knob} on {}: {}", setting.target, l.why)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lowlat_sys::NetQuery;
    use lowlat_testkit::FakeSys;

    fn napis(values: &[(&str, u64)]) -> Vec<query::Napi> {
        let values: std::collections::BTreeMap<String, u64> =
            values.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect();
        [9, 8].map(|id| query::Napi { id, irq: None, values: values.clone() }).to_vec()
    }

    #[test]
    fn what_an_interface_lacks_is_told_apart() {
        let of = |reply: Vec<query::Napi>| {
            let sys = FakeSys::new().net(&NetQuery::Napis("eth0".to_owned()), reply);
            instances(&sys, "eth0").map(|all| all.iter().map(|n| n.id).collect::<Vec<_>>())
        };
        assert_eq!(of(napis(&[(SUSPEND, 0), ("gro-flush-timeout", 0)])), Ok(vec![8, 9]));
        assert!(of(Vec::new()).is_err_and(|why| why.contains("no NAPI instance")));
        assert!(of(napis(&[("gro-flush-timeout", 0)])).is_err_and(|why| why.contains("6.13")));
        assert!(instances(&FakeSys::new(), "eth0").is_err_and(|why| why.contains("are ")));
    }
}
