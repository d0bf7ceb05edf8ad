use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// Gives a device to a program through vfio-pci.
    /// ## Why it matters
    /// DPDK drives it without the kernel.
    /// ## Cost
    /// The interface vanishes by design. Never for ConnectX, whose driver works beside the kernel's, nor for the
    /// interface that carries the login.
    /// ## Example
    /// lowlat explains it and never writes it.
    "bypass.vfio";
    kernels "any"; phase 3; risk Low; resets_link false; standing Elsewhere;
    place Place::Nowhere;
    value Value::None;
    words "binding belongs to `lowlat bypass bind`, which knows the way back";
    refusal "binding belongs to `lowlat bypass bind`, which knows the way back";
    sources ["https://docs.kernel.org/driver-api/vfio.html", "https://doc.dpdk.org/guides/linux_gsg/linux_drivers.html"];
}
