//! `lowlat compare`: two engines on one live path, alternated.

use lowlat_sys::Live;

use crate::args::CompareArgs;
use crate::failure::{Failure, Outcome};
use crate::optimize::judge;
use crate::output;
use crate::path::{ENGINES, Path};
use crate::probe::Ask;

/// Runs the command. Exit 1 when B is worse than A.
pub fn run(args: &CompareArgs, json: bool) -> Outcome {
    for engine in [&args.a, &args.b] {
        if !ENGINES.contains(&engine.as_str()) {
            return Err(Failure::new(format!("compare {engine:?}: it is no engine; choose of {}", ENGINES.join(", "))));
        }
    }
    let target = args.target.as_deref().ok_or_else(|| {
        Failure::new(format!("compare {} with {}: the far end is missing; give --target HOST", args.a, args.b))
    })?;
    if let Some(iface) = &args.iface {
        crate::optimize::interface(iface, &Live::new())?;
    }
    let path = Path::new(target, &args.path, args.iface.as_deref())?;
    let ask = |engine| Ask { duration_ns: args.round, ..Ask::new(&path, engine) };
    let rounds = judge::alternate(&ask(&args.a), &ask(&args.b), (&args.a, &args.b), args.pairs, &mut |_| Ok(()))?;
    let comparison = judge::compare(&rounds);
    if json {
        output::json(&comparison)?;
    } else {
        output::text(&lowlat_report::comparison(&comparison));
    }
    Ok(u8::from(comparison.verdict == lowlat_model::Verdict::Worse))
}
