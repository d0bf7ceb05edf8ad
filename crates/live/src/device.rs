//! A network device as kernel bypass sees it: its address, and what AF_XDP and DPDK need of it.

use lowlat_knobs::resets;
use lowlat_model::Reading;
use lowlat_model::answer::{AfXdp, AfXdpMode};
use lowlat_model::dpdk::BypassCheck;
use lowlat_sys::Live;
use lowlat_transport_xdp::XdpAbility;

use crate::Failure;

/// What DPDK needs for the device of `iface`, and whether it is there.
pub fn dpdk_checks(iface: &str) -> Vec<BypassCheck> {
    let live = Live::new();
    let facts = lowlat_collect::gather(&live, None, None);
    let management = lowlat_plan::management_ifaces(&facts);
    lowlat_plan::bypass::dpdk_checks(&facts, &lowlat_collect::bypass::dpdk(&live, iface), &management)
}

/// The PCI address of a device that is there, named by it or by its interface; `operation` stands in errors.
///
/// # Errors
/// There is no such device, or it is not on PCI.
pub fn address(device: &str, operation: &str) -> Result<String, Failure> {
    let live = Live::new();
    let none = |why: &str| {
        Failure::new(format!("{operation} {device:?}: {why}; name a PCI network device or its interface (`ip link`)"))
    };
    if !lowlat_model::op::is_pci_address(device) {
        crate::optimize::interface_known(device, &live)?;
    }
    match lowlat_collect::bypass::address_of(&live, device) {
        Reading::Value(address) => Ok(address),
        other => Err(none(other.why_not().map_or("it cannot be found", |(_, why)| why))),
    }
}

/// What AF_XDP needs and what this host has of it, as the document says it.
pub fn af_xdp(ability: XdpAbility) -> AfXdp {
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
