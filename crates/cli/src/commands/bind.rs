//! `lowlat bypass bind`, `unbind`, `hugepages`: through the same journal, guard and rollback as every change.

use lowlat_model::finding::Setting;
use lowlat_model::op::Target;
use lowlat_model::{Locus, Plan, Schema};
use lowlat_sys::Live;
use lowlat_sys::store::Store;

use crate::output;
use lowlat_live::device::address;
use lowlat_live::{Failure, Outcome};

const BINDING: &str = "bypass.vfio";

/// `bypass bind`.
pub fn bind(device: &str, allow_noiommu: bool, confirm_within: Option<u64>, json: bool) -> Outcome {
    let what = format!("bypass bind {device}");
    let address = address(device, "bypass bind")?;
    lowlat_live::privilege::need_change(&what, "or look with `lowlat bypass check`")?;
    let live = Live::new();
    let facts = lowlat_collect::gather(&live, None, None);
    let dpdk = lowlat_collect::bypass::dpdk(&live, &address);
    if let Some(why) = lowlat_plan::bypass::reached_by(&dpdk, &lowlat_plan::management_ifaces(&facts)) {
        return Err(Failure::new(format!("{what}: {why}; it is never bound; use --engine af-xdp there")));
    }
    let group = dpdk.device.value().and_then(|d| d.iommu_group.as_ref());
    if dpdk.device.value().is_some() && group.is_none() && !allow_noiommu {
        return Err(Failure::new(format!(
            "{what}: {address} is in no IOMMU group, and without one it may write anywhere in memory; switch the IOMMU on \
             (firmware, and intel_iommu=on at boot), or give --allow-noiommu"
        )));
    }
    change(&what, BINDING, Target::Device(address), "vfio-pci", confirm_within, json)
}

/// `bypass hugepages`, of 2M or 1G.
pub fn hugepages(node: u32, size: &str, count: u64, confirm_within: Option<u64>, json: bool) -> Outcome {
    let what = format!("bypass hugepages of node {node}");
    lowlat_live::privilege::need_change(&what, "or look with `lowlat bypass check`")?;
    let knob = if size == "1G" { "memory.hugepages-1g" } else { "memory.hugepages" };
    change(&what, knob, Target::Node(node), &count.to_string(), confirm_within, json)
}

/// Applies one setting that is asked for by name.
fn change(what: &str, knob: &str, target: Target, value: &str, confirm_within: Option<u64>, json: bool) -> Outcome {
    let (live, store) = (Live::new(), Store::locate()?);
    let setting = Setting { knob: knob.to_owned(), target, value: value.to_owned(), joint: None };
    let step = lowlat_knobs::resolve(&live, &setting, "asked for by hand")
        .map_err(|l| Failure::new(format!("{what}: {}; see `lowlat explain {knob}`", l.why)))?;
    lowlat_live::optimize::free_to_change(&store)?;
    let plan = Plan { schema: Schema::current("plan"), iface: None, steps: vec![step], left_out: Vec::new() };
    super::apply::carry_out(&plan, live, &store, (confirm_within, None), json)
}

/// `bypass unbind`: what `bind` wrote goes back. A device that lowlat did not bind is left alone.
pub fn unbind(device: &str, json: bool) -> Outcome {
    let address = address(device, "bypass unbind")?;
    lowlat_live::privilege::need_change("bypass unbind", "as `bypass bind` was")?;
    let (live, store) = (Live::new(), Store::locate()?);
    let place = Locus::Driver { device: address.clone() };
    let Some(report) = lowlat_apply::roll_back_place(&store, &live, &place)? else {
        let now = lowlat_collect::bypass::dpdk(&live, &address).device.into_value().and_then(|d| d.driver);
        return Err(Failure::new(format!(
            "bypass unbind {address}: lowlat did not bind it ({} has it); what bound it has to take it back, or `driverctl \
             unset-override {address}`",
            now.as_deref().unwrap_or("no driver")
        )));
    };
    if json {
        output::json(&report.document())?;
    } else {
        output::text(&report.words());
    }
    Ok(u8::from(!report.complete() || report.unwritten.is_some()))
}
