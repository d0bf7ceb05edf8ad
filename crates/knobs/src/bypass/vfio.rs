use lowlat_settings::pci_driver::{self, Binding};

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Hands a PCI network device to programs: takes it from its driver and binds it to vfio-pci, which every other device
    /// of its IOMMU group must be bound to as well. `lowlat bypass bind` does it, `lowlat bypass unbind` takes it back.
    /// ## Why it matters
    /// DPDK then drives it without the kernel. The interface disappears by design; it did not move to another network
    /// namespace.
    /// ## Cost
    /// Firewall, routing, sockets and tcpdump are lost for that device. Refused for the interface of the default route or a
    /// login and what is beneath it, for an interface that is up, has addresses or is part of another, for a ConnectX or
    /// MANA, whose DPDK driver works next to the kernel's, and without an IOMMU. Name and MTU of the interface come back;
    /// rings, coalescing and features are then the driver's defaults.
    /// ## Example
    /// `e1000e iface=eth1 mtu=1500 -> vfio-pci` takes eth1 from e1000e.
    "bypass.vfio";
    kernels "any"; phase 3; risk Medium; resets_link false; standing Acts;
    place Binding;
    value Value::Own(pci_driver::encode);
    also ["vfio-pci", "dpdk", "pmd"];
    sources [
        "Documentation/driver-api/vfio.rst in linux 6.12: Groups, Devices, and IOMMUs; VFIO Usage Example",
        "Documentation/ABI/testing/sysfs-bus-pci in linux 6.12: bind, unbind, driver_override",
        "https://doc.dpdk.org/guides-24.11/linux_gsg/linux_drivers.html (Binding and Unbinding Network Ports to/from the Kernel Modules; Bifurcated Driver)",
    ];
}
