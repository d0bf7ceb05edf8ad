//! Which engines of the job can be tried on this path, and why the others are left out.

use lowlat_knobs::resets;
use lowlat_model::Facts;
use lowlat_model::tune::Resets;
use lowlat_sys::Sys;
use lowlat_tune::{Attach, EngineTrial};

use super::Job;
use crate::Failure;
use crate::path::ProbePath;

/// One trial for each engine of the job, opened once to see that it can be.
pub(super) fn trials(job: &Job, facts: &Facts) -> Vec<EngineTrial> {
    let path = job.engine_path.as_ref().unwrap_or(&job.path);
    trials_on(path, &job.iface, &job.engines, job.allow_disruptive, facts)
}

/// One trial for each of these engines on a path over `iface`, opened once to see that it can be.
pub(crate) fn trials_on(
    path: &ProbePath,
    iface: &str,
    engines: &[String],
    allow_disruptive: bool,
    facts: &Facts,
) -> Vec<EngineTrial> {
    let held_back = !allow_disruptive && super::management_ifaces(facts).iter().any(|name| name == iface);
    let attach = attach(facts, iface);
    let trial = |engine: &String| {
        let named = EngineTrial { engine: engine.clone(), ..EngineTrial::default() };
        let attaches = engine == lowlat_transport_xdp::NAME;
        if attaches && held_back {
            let why_not = format!(
                "left out: {iface} carries the default route or a login session; attaching an XDP program {}; \
                 --allow-disruptive tries it",
                words(&attach)
            );
            return EngineTrial { costs: lowlat_transport_xdp::COSTS.to_owned(), why_not: Some(why_not), ..named };
        }
        match path.open(engine) {
            Ok(open) if attaches => {
                let costs = format!("{}; attaching its program {}", open.caps().costs, words(&attach));
                EngineTrial { costs, attach: Some(attach.clone()), ..named }
            }
            Ok(open) => EngineTrial { costs: open.caps().costs.clone(), ..named },
            // It may have been attached before it failed.
            Err(e) => EngineTrial { why_not: Some(e.to_string()), attach: attaches.then(|| attach.clone()), ..named },
        }
    };
    engines.iter().map(trial).collect()
}

/// What the run's own engine resets each time it is opened, reported before it is; `None` for one that attaches nothing. Refused on
/// an interface that the host is reached by, unless that was allowed.
pub(super) fn own(job: &Job, sys: &dyn Sys, say: &mut dyn FnMut(&str)) -> Result<Option<Attach>, Failure> {
    if job.engine != lowlat_transport_xdp::NAME {
        return Ok(None);
    }
    let facts = lowlat_collect::gather(sys, Some(&job.iface), None);
    let attach = attach(&facts, &job.iface);
    let what = words(&attach);
    if attach.resets == Resets::Link && !job.allow_disruptive && super::management_ifaces(&facts).contains(&job.iface) {
        return Err(Failure::new(format!(
            "use engine {}: {} carries the default route or a login session; attaching an XDP program {what}; choose \
             another --engine, or give --allow-disruptive",
            job.engine, job.iface
        )));
    }
    if attach.resets > Resets::Nothing {
        say(&format!(
            "{}: attaching its XDP program {what}, in every round; each time the link is waited for, and samples count \
             once the path is steady",
            job.engine
        ));
    }
    Ok(Some(attach))
}

/// What attaching an XDP program to an interface resets, by its driver.
fn attach(facts: &Facts, iface: &str) -> Attach {
    let driver = facts.interfaces.get(iface).and_then(|i| i.driver.value());
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
        // What is not known is assumed to.
        for unknown in
            [of(Reading::Value("rtl8139".into())), of(Reading::Denied("no".into())), attach(&healthy(), "none")]
        {
            assert!(unknown.resets == Resets::Link && words(&unknown).contains("not known"), "{unknown:?}");
        }
    }
}
