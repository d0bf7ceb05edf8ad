//! Interrupts held back for throughput: a NIC as many drivers and tuning guides leave it.

use lowlat_netlink::ethtool::coalesce;

use super::{Bed, Fault, FaultSite, PlantedFault, failed};
use crate::netns::LabError;

/// Least time between two receive interrupts, µs.
const RX_USECS: u32 = 1_000;

pub(super) struct Coalescing;

impl Fault for Coalescing {
    fn rule(&self) -> &'static str {
        "interrupt-coalescing"
    }

    fn beds(&self) -> &'static [Bed] {
        &[Bed::Nic]
    }

    fn plant(&self, site: &mut FaultSite<'_>) -> Result<PlantedFault, LabError> {
        let e = failed("hold back the interrupts of the NIC");
        coalesce::set_coalesce(site.link, "rx-usecs", RX_USECS).map_err(&e)?;
        Ok(PlantedFault {
            words: format!("receive interrupts of {} at least {RX_USECS} µs apart (rx-usecs)", site.link),
            rule: self.rule(),
            traffic: Vec::new(),
        })
    }
}
