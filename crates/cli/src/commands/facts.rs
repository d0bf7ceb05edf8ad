//! `lowlat facts`: what the host is, as one JSON document.

use lowlat_sys::{Captured, Live, Recorder};

use crate::args::FactsArgs;
use crate::failure::{Failure, Outcome};
use crate::output;

/// Runs the command.
pub fn run(args: &FactsArgs) -> Outcome {
    let Some(dir) = &args.capture else {
        let facts = super::facts_from(None, args.root.as_deref(), args.iface.as_deref(), args.window)?;
        output::json(&facts)?;
        return Ok(0);
    };
    let recorder = Recorder::new(Live::new());
    if let Some(iface) = &args.iface {
        crate::optimize::interface_known(iface, &recorder)?;
    }
    let facts = lowlat_probes::gather(&recorder, args.iface.as_deref(), args.window);
    recorder.write(dir, true)?;
    // A capture is worth nothing if it does not open again.
    let again = lowlat_probes::gather(&Captured::open(dir)?, args.iface.as_deref(), args.window);
    if again.interfaces.len() != facts.interfaces.len() {
        return Err(Failure::new(format!(
            "capture to {}: it reads back with {} interfaces instead of {}; report this as a bug",
            dir.display(),
            again.interfaces.len(),
            facts.interfaces.len()
        )));
    }
    output::json(&again)?;
    Ok(0)
}
