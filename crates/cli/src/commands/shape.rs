//! `lowlat shape`: the shape of a flow, from a capture or a live socket.

use lowlat_live::shape::{BURST_GAP_NS, SocketAsk, of_capture, of_socket};
use lowlat_live::{Failure, Outcome};
use lowlat_sys::Live;
use lowlat_sys::store::{Output, StoreError};

use crate::args::ShapeArgs;
use crate::output;

/// Runs the command. On a signal a live socket gives the shape up to then.
pub fn run(args: &ShapeArgs, json: bool) -> Outcome {
    let out = args.out.as_deref().map(Output::prove).transpose().map_err(unwritable)?;
    let burst_gap_ns = args.burst_gap.unwrap_or(BURST_GAP_NS);
    let shape = if let Some(file) = &args.from_pcap {
        of_capture(file, args.port, burst_gap_ns)?
    } else {
        let ask = SocketAsk { port: args.port, pid: args.pid, duration_ns: args.duration, burst_gap_ns };
        of_socket(&ask, &Live::new())?
    };
    let stored = out.is_some();
    if let Some(out) = out {
        let text = serde_json::to_vec(&shape)
            .map_err(|e| Failure::new(format!("write the shape: {e}; report this as a bug")))?;
        out.write(&text).map_err(unwritable)?;
    }
    if json {
        output::json(&shape)?;
    } else {
        output::report(&lowlat_report::shape(&shape, output::width()));
        if !stored {
            output::progress("not stored: add --out FILE, and measure with --shape FILE");
        }
    }
    Ok(0)
}

fn unwritable(e: StoreError) -> Failure {
    Failure::because(e, "give a writable file with --out")
}
