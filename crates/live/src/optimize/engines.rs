//! Which engines of the job can be tried on this path, and why the others are left out.

use lowlat_knobs::resets;
use lowlat_model::Facts;
use lowlat_model::engine::EngineState;
use lowlat_model::tune::Resets;
use lowlat_sys::{Live, Sys};
use lowlat_transport::suspend;
use lowlat_tune::{Attach, EngineTrial};

use super::Job;
use crate::Failure;
use crate::path::ProbePath;

/// Which engines are to be tried, and where.
#[derive(Debug)]
pub(crate) struct Trying<'a> {
    /// The path.
    pub(crate) path: &'a ProbePath,
    /// Its interface; empty where it is not known.
    pub(crate) iface: &'a str,
    /// By name.
    pub(crate) engines: &'a [String],
    /// What to do about an engine that is left out since it would attach to an interface that the host is reached by; `None`
    /// tries it there too.
    pub(crate) held_back: Option<&'static str>,
    /// A tuning run has its transaction open, so no engine can have one.
    pub(crate) in_a_run: bool,
}

/// One trial for each engine of the job.
pub(super) fn trials(job: &Job, facts: &Facts) -> Vec<EngineTrial> {
    let held_back = (!job.allow_disruptive).then_some("--allow-disruptive tries it");
    let Some(path) = job.engine_path.as_ref().or(job.path.as_ref()) else { return Vec::new() };
    tried(&Trying { path, iface: &job.iface, engines: &job.engines, held_back, in_a_run: true }, facts)
}

/// One trial for each engine, opened once to see that it can be.
pub(crate) fn tried(ask: &Trying<'_>, facts: &Facts) -> Vec<EngineTrial> {
    let iface = ask.iface;
    let device = attached_to(facts, iface);
    let held_back = ask.held_back.filter(|_| super::management_ifaces(facts).contains(&device));
    let attach = attach(facts, iface);
    let trial = |engine: &String| {
        let named = EngineTrial { engine: engine.clone(), ..EngineTrial::default() };
        let attaches = engine == lowlat_transport_xdp::NAME;
        if attaches && let Some(next) = held_back {
            let why_not = format!(
                "left out: {device} carries the default route or a login session; attaching an XDP program {}; {next}",
                words(&attach)
            );
            return EngineTrial { costs: lowlat_transport_xdp::COSTS.to_owned(), why_not: Some(why_not), ..named };
        }
        if engine == suspend::NAME
            && let Err(why_not) = suspension(ask, held_back)
        {
            return EngineTrial { costs: suspend::COSTS.to_owned(), why_not: Some(why_not), ..named };
        }
        match ask.path.open(engine) {
            Ok(open) => {
                let caps = open.caps();
                let state = EngineState { words: caps.words.clone(), options: open.options(), placement: Vec::new() };
                let costs = if attaches {
                    format!("{}; attaching its program {}", caps.costs, words(&attach))
                } else {
                    caps.costs.clone()
                };
                EngineTrial { costs, state, attach: attaches.then(|| attach.clone()), ..named }
            }
            // It may have been attached before it failed.
            Err(e) => EngineTrial {
                why_not: Some(without_name(engine, &e.to_string())),
                attach: attaches.then(|| attach.clone()),
                ..named
            },
        }
    };
    ask.engines.iter().map(trial).collect()
}

/// Why the engine that sets NAPI values is not tried.
fn suspension(ask: &Trying<'_>, held_back: Option<&str>) -> Result<(), String> {
    let iface = ask.iface;
    if ask.in_a_run {
        return Err(
            "left out: it sets NAPI values of its own, and a run has its transaction open; `lowlat measure --engine \
                    all` compares it"
                .to_owned(),
        );
    }
    if let Some(next) = held_back {
        return Err(format!(
            "left out: {iface} carries the default route or a login session, and it sets NAPI values of all its queues; {next}"
        ));
    }
    let lacking = crate::suspend::lacking(ask.path, &Live::new());
    lacking.map_err(|why| without_name(&format!("engine {}", suspend::NAME), &why.to_string()))
}

/// An engine's error without the engine's name before it, which stands next to it.
fn without_name(engine: &str, error: &str) -> String {
    let after = error.strip_prefix(engine).and_then(|rest| rest.strip_prefix(": "));
    after.unwrap_or(error).to_owned()
}

/// What the run's own engine resets each time it is opened, reported before it is; `None` for one that attaches nothing. Refused on
/// an interface that the host is reached by, unless that was allowed.
pub(super) fn own(job: &Job, sys: &dyn Sys, say: &mut dyn FnMut(&str)) -> Result<Option<Attach>, Failure> {
    if job.engine != lowlat_transport_xdp::NAME || job.path.is_none() {
        return Ok(None);
    }
    let facts = lowlat_collect::gather(sys, Some(&job.iface), None);
    let attach = attach(&facts, &job.iface);
    if !job.allow_disruptive {
        spared("use engine", &facts, &job.iface)?;
    }
    let what = words(&attach);
    if attach.resets > Resets::Nothing {
        say(&format!(
            "{}: attaching its XDP program {what}, in every round; each time the link is waited for, and samples count \
             once the path is steady",
            job.engine
        ));
    }
    Ok(Some(attach))
}

/// Refuses to attach where that would reset the link that this host is reached by, if [`lowlat_transport_xdp`] is one of the
/// engines. `operation` begins the error. Elsewhere only the probe's own flow leaves the kernel's path, so a login session over
/// the same interface lives on.
pub fn spare_the_link<'a>(
    operation: &str,
    engines: impl IntoIterator<Item = &'a str>,
    path: &ProbePath,
    sys: &dyn Sys,
) -> Result<(), Failure> {
    if !engines.into_iter().any(|engine| engine == lowlat_transport_xdp::NAME) {
        return Ok(());
    }
    // Without an interface the engine itself refuses.
    let Some(iface) = crate::conditions::choose(path, sys).iface else { return Ok(()) };
    spared(operation, &lowlat_collect::gather(sys, Some(&iface), None), &iface)
}

fn spared(operation: &str, facts: &Facts, iface: &str) -> Result<(), Failure> {
    let (attach, device) = (attach(facts, iface), attached_to(facts, iface));
    if attach.resets < Resets::Link || !super::management_ifaces(facts).contains(&device) {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{operation} {}: {device} carries the default route or a login session; attaching an XDP program {}; choose another \
         --engine, or give --allow-disruptive",
        lowlat_transport_xdp::NAME,
        words(&attach)
    )))
}

/// The interface that gets the program: the device under a VLAN interface, or the interface itself.
fn attached_to(facts: &Facts, iface: &str) -> String {
    let kind = |name: &str| facts.interfaces.get(name).and_then(|i| i.kind.as_deref());
    let under = facts.interfaces.get(iface).filter(|_| kind(iface) == Some("vlan")).and_then(|i| i.lower.value());
    match under.map(Vec::as_slice) {
        Some([device]) if !kind(device).is_some_and(lowlat_transport_xdp::keeps_its_hook) => device.clone(),
        _ => iface.to_owned(),
    }
}

/// What attaching an XDP program to an interface resets, by the driver of the device that gets it.
fn attach(facts: &Facts, iface: &str) -> Attach {
    let driver = facts.interfaces.get(&attached_to(facts, iface)).and_then(|i| i.driver.value());
    let known = resets::xdp_attach(driver.map_or("", String::as_str));
    Attach { resets: known.resets, why: known.why }
}

/// What it resets, and why.
fn words(attach: &Attach) -> String {
    xdp_resets(attach.resets, attach.why.as_deref())
}

/// `resets the link (igb: closes and opens the device)`.
pub fn xdp_resets(resets: Resets, why: Option<&str>) -> String {
    let what = match resets {
        Resets::Link => "resets the link",
        Resets::Queues => "frees and allocates the queues anew, and the link stays up",
        Resets::Nothing => "is known to reset nothing with this driver",
    };
    why.map_or_else(|| what.to_owned(), |why| format!("{what} ({why})"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may end by panic
mod tests {
    use lowlat_model::Reading;
    use lowlat_testkit::facts::healthy;

    use super::*;

    #[test]
    fn the_link_that_the_host_is_reached_by_is_reset_by_no_engine_unasked() {
        let refused = |driver: &str, reached: bool| {
            let mut facts = healthy();
            facts.interfaces.get_mut("eth0").unwrap().driver = Reading::Value(driver.into());
            facts.interfaces.get_mut("eth0").unwrap().default_route = reached;
            facts.login_ifaces.clear();
            spared("measure with engine", &facts, "eth0").map_err(|e| e.to_string())
        };
        let why = refused("igb", true).unwrap_err();
        assert!(
            why.starts_with("measure with engine af-xdp: eth0 carries") && why.contains("resets the link"),
            "{why}"
        );
        assert!(why.contains("--allow-disruptive"), "{why}");
        assert!(refused("no-such-driver", true).is_err(), "what is not known is assumed to");
        assert_eq!((refused("igb", false), refused("veth", true)), (Ok(()), Ok(())));
    }

    #[test]
    fn what_attaching_resets_is_the_driver_s() {
        let of = |driver: Reading<String>| {
            let mut facts = healthy();
            facts.interfaces.get_mut("eth0").unwrap().driver = driver;
            attach(&facts, "eth0")
        };
        let igb = of(Reading::Value("igb".into()));
        assert_eq!(igb.resets, Resets::Link);
        assert!(words(&igb).starts_with("resets the link (igb: "), "{}", words(&igb));
        assert_eq!(of(Reading::Value("veth".into())).resets, Resets::Queues);
        let e1000e = of(Reading::Value("e1000e".into()));
        assert_eq!(
            (e1000e.resets, words(&e1000e).as_str()),
            (Resets::Nothing, "is known to reset nothing with this driver")
        );
        // Of a VLAN it is the device's, and the device's loss is what matters.
        let mut facts = healthy();
        let vlan = lowlat_model::facts::Interface {
            kind: Some("vlan".into()),
            lower: Reading::Value(vec!["eth0".into()]),
            driver: Reading::Value("802.1Q VLAN Support".into()),
            ..facts.interfaces["eth0"].clone()
        };
        facts.interfaces.insert("eth0.5".into(), vlan);
        facts.interfaces.get_mut("eth0").unwrap().driver = Reading::Value("igb".into());
        assert_eq!((attached_to(&facts, "eth0.5"), attach(&facts, "eth0.5")), ("eth0".to_owned(), igb));
        facts.interfaces.get_mut("eth0").unwrap().kind = Some("bond".into());
        assert_eq!(attached_to(&facts, "eth0.5"), "eth0.5", "on a bond it keeps the hook of its own");
        // What is not known is assumed to.
        for unknown in
            [of(Reading::Value("rtl8139".into())), of(Reading::Denied("no".into())), attach(&healthy(), "none")]
        {
            assert!(unknown.resets == Resets::Link && words(&unknown).contains("not known"), "{unknown:?}");
        }
    }
}
