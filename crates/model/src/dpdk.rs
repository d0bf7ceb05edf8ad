//! What DPDK would need of a host for one device, as it was read.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Reading;

/// A device, and what the host has for giving it to a program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DpdkFacts {
    /// The interface, where it has one here.
    pub iface: Option<String>,
    /// The PCI device; absent for a virtual interface.
    pub device: Reading<PciDevice>,
    /// `none`, `integrity` or `confidentiality`.
    pub lockdown: Reading<String>,
    /// Whether the firmware started this kernel by UEFI Secure Boot.
    pub secure_boot: Reading<bool>,
    /// Whether vfio-pci is there.
    pub vfio: Reading<bool>,
    /// Whether vfio takes devices without an IOMMU.
    pub noiommu: Reading<bool>,
}

/// A PCI device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PciDevice {
    /// `0000:01:00.0`.
    pub address: String,
    /// `0x020000`.
    pub class: Reading<String>,
    /// Its driver; `null` where none has it.
    pub driver: Option<String>,
    /// Its IOMMU group.
    pub iommu_group: Option<String>,
    /// Everything else in that group.
    pub others: Vec<GroupMember>,
    /// Its NUMA node; `null` where the host has one alone or does not say.
    pub node: Option<u32>,
}

/// Another device of an IOMMU group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GroupMember {
    /// Its address.
    pub address: String,
    /// Its class.
    pub class: String,
    /// Its driver; `null` where none has it.
    pub driver: Option<String>,
}

/// One thing that DPDK needs, and whether it is so here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BypassCheck {
    /// `device`, `driver`, `reached by`, `IOMMU`, `kernel`, `hugepages`, `CPUs`.
    pub what: String,
    /// `yes`, `no` or `unknown`.
    pub answer: String,
    /// Why.
    pub why: String,
    /// What to do; empty where there is nothing to do.
    pub next: String,
}
