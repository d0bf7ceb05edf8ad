//! The wake-up latency limit, held by a process that keeps `/dev/cpu_dma_latency` open: µs, or `none`.

use lowlat_model::op::Target;
use lowlat_model::plan::Order;
use lowlat_model::tune::Scope;
use lowlat_model::{Locus, Reading, State};
use lowlat_sys::{Sys, query};

use crate::{AtBoot, Kind, Place, Write, text};

/// `PM_QOS_CPU_LATENCY_DEFAULT_VALUE`, µs: nobody holds a limit (include/linux/pm_qos.h).
const NO_LATENCY_LIMIT: i32 = 2_000_000_000;

/// The limit.
#[derive(Debug)]
pub struct LatencyLimit;

impl Place for LatencyLimit {
    fn loci(&self, _: &dyn Sys, target: &Target) -> Result<Vec<Locus>, String> {
        Ok(if *target == Target::Host { vec![Locus::CpuDmaLatency] } else { Vec::new() })
    }
    fn targets(&self, _: &dyn Sys, _: Option<&str>) -> Reading<Vec<Target>> {
        Reading::Value(vec![Target::Host])
    }
    fn order(&self) -> Order {
        Order::Power
    }
}

#[derive(Debug)]
pub(crate) struct At;

impl Kind for At {
    fn words(&self) -> String {
        "the wake-up latency limit".to_owned()
    }
    fn read(&self, sys: &dyn Sys) -> Reading<State> {
        let limit = |us| if us == NO_LATENCY_LIMIT { State::Text("none".to_owned()) } else { text::text(us) };
        query::cpu_dma_latency(sys).map(limit)
    }
    fn write(&self, _: &State) -> Result<Write, String> {
        Err("it takes a process that keeps /dev/cpu_dma_latency open; start a holder".to_owned())
    }
    /// Which process it will be is not known before it runs; its journal's script names it.
    fn undo(&self, _: &State) -> String {
        "lowlat rollback".to_owned()
    }
    fn scope(&self) -> Scope {
        Scope::Host
    }
    fn of_namespace(&self) -> bool {
        false
    }
    fn is_held(&self) -> bool {
        true
    }
    fn at_boot(&self) -> AtBoot {
        AtBoot::Holder
    }
}
