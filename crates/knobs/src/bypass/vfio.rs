use lowlat_settings::Nowhere;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Hands a PCI device to a program: unbinds it from its driver and binds it to vfio-pci, together with every other
    /// device of its IOMMU group.
    /// ## Why it matters
    /// DPDK then drives it without the kernel. The interface disappears by design; it did not move to another network
    /// namespace.
    /// ## Cost
    /// Firewall, routing and sockets are lost for that device. Never do this to a ConnectX, whose DPDK driver works
    /// next to the kernel's and must not be unbound, nor to the interface that carries the default route or the login.
    /// Without an IOMMU, only the unsafe no-IOMMU mode remains.
    /// ## Example
    /// lowlat explains it and never writes it.
    "bypass.vfio";
    kernels "any"; phase 3; risk Low; resets_link false; standing Elsewhere;
    place Nowhere;
    value Value::None;
    refusal "binding takes the interface from the kernel, and lowlat has no command for it yet";
    also ["vfio-pci", "dpdk", "pmd"];
    sources [
        "Documentation/driver-api/vfio.rst in linux 6.12: Groups, Devices, and IOMMUs; VFIO Usage Example",
        "https://doc.dpdk.org/guides-24.11/linux_gsg/linux_drivers.html (Binding and Unbinding Network Ports to/from the Kernel Modules; Bifurcated Driver)",
    ];
}
