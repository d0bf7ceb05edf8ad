//! `lowlat noise`: what the host itself adds.

use lowlat_noise::NoiseSpec;
use lowlat_sys::Live;

use crate::args::NoiseArgs;
use crate::output;
use lowlat_live::{Failure, Outcome, signals, stored};

/// Runs the command.
pub fn run(args: &NoiseArgs, json: bool) -> Outcome {
    let goals = args.goal.all()?;
    for cpu in &args.cpus {
        lowlat_live::optimize::cpu_usable("watch", *cpu)?;
    }
    if args.interval >= args.duration {
        return Err(Failure::new(format!(
            "watch wake-ups {} apart for {}: no wake-up fits; choose a longer --duration or a shorter --interval",
            lowlat_live::probe::words(Some(args.interval)),
            lowlat_live::probe::words(Some(args.duration))
        )));
    }
    if let Some(folder) = &args.out {
        stored::make_room(folder, args.overwrite)?;
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
    let mut document = lowlat_noise::noise(&Live::new(), &spec, signals::stop())?;
    lowlat_noise::judge(&Live::new(), &mut document, &goals);
    if let Some(folder) = &args.out {
        stored::save(folder, "noise.json", &document)?;
    }
    if json {
        output::json(&document)?;
    } else {
        output::report(&lowlat_report::noise(&document, output::width()));
    }
    let missed = !goals.is_empty() && lowlat_model::goal::all_met(&document.goals) != Some(true);
    Ok(u8::from(missed))
}
