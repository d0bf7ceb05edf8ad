//! Faults that real hosts have, planted at the near node: one file each, one line each in [`all`].
//!
//! A fault says openly what it plants and which rule should find it. What the kernel here cannot plant is said, and the
//! nearest fault that it can is planted instead. Nothing of it reaches beyond the node.

mod bulk_into_fifo;
mod coalescing;
mod delay_left_behind;
mod filter_chain;
mod receive_buffer;
mod rps_elsewhere;

use std::path::Path;

use crate::netns::{Far, LabError};
use crate::traffic::RunningTraffic;

/// What the near node's link is. Not every fault can be had on each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bed {
    /// A veth link between namespaces of this host: no interrupts, no coalescing, no rings.
    Veth,
    /// A NIC in a virtual machine, whose processor is emulated: bulk traffic would be all it has time for.
    Nic,
}

/// Where faults are planted.
#[derive(Debug)]
pub struct FaultSite<'a> {
    /// The near node's interface.
    pub link: &'a str,
    /// The far node.
    pub far: &'a mut Far,
    /// The far end's port that the probe will use.
    pub probe_port: u16,
    /// The CPU the probe runs on.
    pub probe_cpu: u32,
    /// Another CPU, if there is one.
    pub other_cpu: Option<u32>,
}

/// One kind of fault.
pub trait Fault {
    /// The rule that should find it.
    fn rule(&self) -> &'static str;
    /// Where it can be had.
    fn beds(&self) -> &'static [Bed];
    /// Plants it. Returns what was planted, as text, and the traffic that makes it hurt, which runs until dropped.
    fn plant(&self, site: &mut FaultSite<'_>) -> Result<PlantedFault, LabError>;
}

/// A planted fault.
#[derive(Debug)]
pub struct PlantedFault {
    /// For people.
    pub words: String,
    /// The rule that should find it.
    pub rule: &'static str,
    /// Traffic that belongs to it.
    pub traffic: Vec<RunningTraffic>,
}

/// The faults of a bed, in the order of planting.
pub fn on(bed: Bed) -> Vec<Box<dyn Fault>> {
    all().into_iter().filter(|f| f.beds().contains(&bed)).collect()
}

/// Every fault, in the order of planting.
pub fn all() -> Vec<Box<dyn Fault>> {
    vec![
        Box::new(coalescing::Coalescing),
        Box::new(bulk_into_fifo::BulkIntoFifo),
        Box::new(delay_left_behind::DelayLeftBehind),
        Box::new(rps_elsewhere::RpsElsewhere),
        Box::new(receive_buffer::ReceiveBuffer),
        Box::new(filter_chain::FilterChain),
    ]
}

fn write(path: &str, text: &str) -> Result<(), LabError> {
    std::fs::write(Path::new(path), text)
        .map_err(|e| LabError::new(format!("write {text:?} to {path}"), e, "run the demo where the lab's own network settings can be written (CAP_NET_ADMIN, and no read-only /proc/sys)"))
}

fn failed(what: &'static str) -> impl Fn(lowlat_netlink::Error) -> LabError {
    move |e| LabError::new(what, e, "run `lowlat demo` on a kernel that has it")
}
