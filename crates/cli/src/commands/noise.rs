//! `lowlat noise`: what the host itself adds.

use lowlat_measure::NoiseSpec;
use lowlat_sys::{Live, Sys};

use crate::args::NoiseArgs;
use crate::failure::{Failure, Outcome};
use crate::{output, signals};

/// Runs the command.
pub fn run(args: &NoiseArgs, json: bool) -> Outcome {
    let allowed = lowlat_measure::placement::allowed_cpus()
        .map_err(|e| Failure::new(format!("watch CPUs: ask which may be used: {e}; run it in another cpuset")))?;
    if let Some(cpu) = args.cpus.iter().find(|c| !allowed.contains(c)) {
        let text = |path: &str| Live::new().read(path).into_value().unwrap_or_default().trim().to_owned();
        let online = text("/sys/devices/system/cpu/online");
        let allowed: std::collections::BTreeSet<u32> = allowed.into_iter().collect();
        return Err(Failure::new(format!(
            "watch CPU {cpu}: it is not online ({online} are) or not allowed to this process; choose of {}",
            lowlat_knobs::cpulist::print_list(&allowed)
        )));
    }
    let spec = NoiseSpec {
        cpus: args.cpus.clone(),
        duration_ns: args.duration,
        interval_ns: args.interval,
        gap_threshold_ns: args.threshold,
        rt_priority: args.rt,
        trace: args.trace,
        ..NoiseSpec::default()
    };
    let document = lowlat_measure::noise(&Live::new(), &spec, signals::stop())?;
    if json {
        output::json(&document)?;
    } else {
        output::text(&lowlat_report::noise(&document));
    }
    Ok(0)
}
