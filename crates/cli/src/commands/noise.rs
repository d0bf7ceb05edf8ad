//! `lowlat noise`: what the host itself adds.

use lowlat_noise::{NoiseProgress, NoiseSpec};
use lowlat_sys::Live;
use lowlat_tune::RunProgress;

use crate::args::NoiseArgs;
use crate::output;
use crate::progress::ProgressLine;
use lowlat_live::{Failure, Outcome, signals, stored};

/// Runs the command.
pub fn run(args: &NoiseArgs, json: bool) -> Outcome {
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
        goal_ns: args.goal,
        ..NoiseSpec::default()
    };
    let started = lowlat_live::wall_clock_ns();
    let document = {
        let line = ProgressLine::unless(json);
        let show = |at: &NoiseProgress| line.show(&on_the_line(at), &longest(at));
        lowlat_noise::noise(&Live::new(), &spec, signals::stop(), Some(&show))?
    };
    if let Some(folder) = &args.out {
        stored::save(folder, "noise.json", &document)?;
    } else {
        super::keep(&document, started);
    }
    if json {
        output::json(&document)?;
    } else {
        output::report(&lowlat_report::noise(&document, output::width()));
    }
    Ok(u8::from(document.met() == Some(false)))
}

fn on_the_line(at: &NoiseProgress) -> RunProgress {
    RunProgress { step: at.step, of: at.of, what: at.what.clone(), left_ns: at.left_ns, ..RunProgress::default() }
}

fn longest(at: &NoiseProgress) -> String {
    format!("longest {}", lowlat_live::probe::words(Some(at.worst_ns)))
}
