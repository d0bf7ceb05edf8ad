//! Which engines of the job can be tried on this path, and why the others are left out.

use lowlat_model::Facts;
use lowlat_tune::EngineTrial;

use super::Job;

/// One trial for each engine of the job, opened once to see that it can be.
pub fn trials(job: &Job, facts: &Facts) -> Vec<EngineTrial> {
    let path = job.engine_path.as_ref().unwrap_or(&job.path);
    let held_back = !job.allow_disruptive && super::management_ifaces(facts).contains(&job.iface);
    let trial = |engine: &String| {
        if engine == lowlat_transport_xdp::NAME && held_back {
            let why = format!(
                "left out: {} carries the default route, and some drivers reset the link when an XDP program is attached; \
                 --allow-disruptive tries it",
                job.iface
            );
            return EngineTrial {
                engine: engine.clone(),
                costs: lowlat_transport_xdp::COSTS.to_owned(),
                why_not: Some(why),
            };
        }
        match path.open(engine) {
            Ok(open) => EngineTrial { engine: engine.clone(), costs: open.caps().costs.clone(), why_not: None },
            Err(e) => EngineTrial { engine: engine.clone(), costs: String::new(), why_not: Some(e.to_string()) },
        }
    };
    job.engines.iter().map(trial).collect()
}
