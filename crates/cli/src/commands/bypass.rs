//! `lowlat bypass check`: what each technique needs, whether this host has it, and what it costs. Said before anything
//! is done.

use lowlat_sys::Live;

use crate::args::{BypassArgs, BypassCommand};
use crate::failure::Outcome;
use crate::output;

/// Runs the command. Exit 1 when AF_XDP is not possible here.
pub fn run(args: &BypassArgs) -> Outcome {
    let BypassCommand::Check { iface } = &args.command;
    crate::optimize::interface_known(iface, &Live::new())?;
    let ability = lowlat_transport_xdp::probe(iface);
    match &ability {
        lowlat_model::Reading::Value(a) => output::text(&format!("af-xdp on {iface}: {}", a.words())),
        other => {
            let (kind, why) = other.why_not().unwrap_or(("garbled", ""));
            output::text(&format!("af-xdp on {iface}: {kind}: {why}"));
        }
    }
    output::text(
        "AF_XDP is a partial bypass: the probe's flow leaves the kernel's stack, its sockets and its packet filter; all else stays.",
    );
    output::text("io_uring is no bypass: the same stack with fewer system calls.");
    Ok(u8::from(ability.value().is_none()))
}
