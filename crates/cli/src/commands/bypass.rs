//! `lowlat bypass check`: what each technique needs, whether this host has it, and what it costs. Said before anything
//! is done.

use lowlat_knobs::resets;
use lowlat_model::Schema;
use lowlat_model::answer::{AfXdp, AfXdpMode, BypassDocument};
use lowlat_sys::Live;
use lowlat_transport_xdp::XdpAbility;

use crate::args::{BypassArgs, BypassCommand};
use crate::output;
use lowlat_live::Outcome;

const COSTS: [&str; 2] = [
    "AF_XDP is a partial bypass: the probe's flow leaves the kernel's stack, its sockets and its packet filter; all else stays.",
    "io_uring is not a bypass: the same stack with fewer system calls.",
];

/// Runs the command. Exit 1 when AF_XDP is not possible here.
pub fn run(args: &BypassArgs, json: bool) -> Outcome {
    let BypassCommand::Check { iface } = &args.command;
    lowlat_live::optimize::interface_known(iface, &Live::new())?;
    let ability = lowlat_transport_xdp::probe(iface);
    let code = u8::from(ability.value().is_none_or(|a| a.refusal().is_some()));
    if json {
        output::json(&BypassDocument {
            schema: Schema::current("bypass"),
            iface: iface.clone(),
            af_xdp: ability.map(document),
            costs: COSTS.map(str::to_owned).to_vec(),
        })?;
        return Ok(code);
    }
    match &ability {
        lowlat_model::Reading::Value(a) => {
            output::text(&format!("af-xdp on {iface}: {}", a.words()));
            let known = resets::xdp_attach(&a.driver);
            let does = lowlat_live::optimize::xdp_resets(known.resets, known.why.as_deref());
            output::text(&format!("Attaching an XDP program to {}, and taking it off, {does}.", a.device));
            for remark in &a.remarks {
                output::text(&format!("- {remark}"));
            }
        }
        other => {
            let (kind, why) = other.why_not().unwrap_or(("garbled", ""));
            output::text(&format!("af-xdp on {iface}: {kind}: {why}"));
        }
    }
    for cost in COSTS {
        output::text(cost);
    }
    Ok(code)
}

fn document(ability: XdpAbility) -> AfXdp {
    let attaching = resets::xdp_attach(&ability.driver);
    let mode = |m: &lowlat_transport_xdp::ModeAbility| AfXdpMode {
        mode: m.mode.words().to_owned(),
        possible: m.possible,
        why: m.why.clone(),
    };
    AfXdp {
        attaching_resets: attaching.resets,
        attaching_resets_why: attaching.why,
        refused: ability.refusal(),
        mtu: ability.mtu,
        memory_bytes: ability.memory,
        memory_limit_bytes: ability.memory_limit,
        modes: ability.modes.iter().map(mode).collect(),
        device: ability.device,
        kernel: ability.kernel,
        driver: ability.driver,
        rx_queues: ability.rx_queues,
        features: ability.features,
        no_busy_poll: ability.busy_poll.err(),
        remarks: ability.remarks,
    }
}
