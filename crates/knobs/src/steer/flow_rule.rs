use lowlat_settings::Nowhere;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// `ethtool -N IF flow-type udp4 dst-port 7 action 3`: a rule in the device that sends one flow to one queue.
    /// ## Why it matters
    /// The hot flow arrives on the queue whose interrupt and reader are on the wanted CPUs; RSS sends it wherever its
    /// hash falls. AF_XDP needs such a rule, so that the flow arrives on the queue of its socket.
    /// ## Cost
    /// A rule that is too wide also takes other flows. A reset of the device deletes the rules. The driver decides
    /// which fields a rule can match; i40e turns its automatic steering off with the first TCP rule, and ixgbe inverts
    /// masks.
    /// ## Example
    /// lowlat explains it and never writes it.
    "steer.flow-rule";
    kernels "any"; phase 2; risk Medium; resets_link false; standing Elsewhere;
    place Nowhere;
    value Value::None;
    refusal "lowlat writes no flow rules yet: switch `nic.feature.ntuple on`, then `ethtool -N IF flow-type … action QUEUE`; `ethtool -N IF delete ID` takes it back";
    also ["flow rule", "ethtool -N"];
    sources [
        "man 8 ethtool (-N, --config-ntuple)",
        "Documentation/networking/device_drivers/ethernet/intel/i40e.rst in linux 6.12: Sideband Perfect Filters",
        "Documentation/networking/device_drivers/ethernet/intel/ixgbe.rst in linux 6.12: Intel(R) Ethernet Flow Director",
    ];
}
