//! `lowlat bypass`: what each technique needs, whether this host has it, and what it costs, said before anything is done;
//! and what it would gain.

mod new;
pub mod verdict;

use lowlat_knobs::resets;
use lowlat_model::Schema;
use lowlat_model::answer::BypassDocument;
use lowlat_sys::Live;

use crate::args::{BypassArgs, BypassCommand};
use crate::output;
use lowlat_live::Outcome;

const COSTS: [&str; 3] = [
    "DPDK is a full bypass: the device has no firewall, routing, sockets or tcpdump while a program has it.",
    "AF_XDP is a partial bypass: the probe's flow leaves the kernel's stack, its sockets and its packet filter; all else stays.",
    "io_uring is not a bypass: the same stack with fewer system calls.",
];

/// Runs the command.
pub fn run(args: &BypassArgs, json: bool) -> Outcome {
    match &args.command {
        BypassCommand::Check { iface } => check(iface, json),
        BypassCommand::Verdict(args) => verdict::run(args, json),
        BypassCommand::New { technique, lang, dir } => new::run(technique, lang, dir, json),
        BypassCommand::Bind { device, allow_noiommu, confirm_within } => {
            super::bind::bind(device, *allow_noiommu, *confirm_within, json)
        }
        BypassCommand::Unbind { device } => super::bind::unbind(device, json),
        BypassCommand::Hugepages { node, size, count, confirm_within } => {
            super::bind::hugepages(*node, size, *count, *confirm_within, json)
        }
    }
}

/// Exit 1 when AF_XDP is not possible here.
fn check(iface: &str, json: bool) -> Outcome {
    lowlat_live::optimize::interface_known(iface, &Live::new())?;
    let dpdk = lowlat_live::device::dpdk_checks(iface);
    let ability = lowlat_transport_xdp::probe(iface);
    let code = u8::from(ability.value().is_none_or(|a| a.refusal().is_some()));
    if json {
        output::json(&BypassDocument {
            schema: Schema::current("bypass"),
            iface: iface.to_owned(),
            af_xdp: ability.map(lowlat_live::device::af_xdp),
            dpdk,
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
    for c in &dpdk {
        let next = if c.next.is_empty() { String::new() } else { format!("; {}", c.next) };
        output::text(&format!("dpdk: {}: {}: {}{next}", c.what, c.answer, c.why));
    }
    for cost in COSTS {
        output::text(cost);
    }
    Ok(code)
}
