use lowlat_settings::pause;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Lets the link partner stop this end from sending for a moment, and this end the partner. Where pause is
    /// negotiated, lowlat switches the negotiation off first: until then igb accepts `rx off` without an error and
    /// without effect.
    /// ## Why it matters
    /// A pause frame stops *every* flow on the link because one receiver is too slow. Where the receiver keeps up,
    /// there are none.
    /// ## Cost
    /// Overload then drops packets instead of pausing, and lossless fabrics (RoCE) rely on pause. Where pause is
    /// negotiated, this changes what is advertised, and the link is negotiated again.
    /// ## Example
    /// `on -> off` runs `ethtool -A IF rx off`
    "nic.pause";
    kernels "any"; phase 2; risk High; resets_link true; standing Acts;
    place pause::Pause(&["rx", "tx"]);
    value Value::OnOff;
    also ["flow control"];
    sources [
        "measured: linux 6.1, 6.12 and 7.3, igb in QEMU, docs/reference/knobs-on-kernels.md",
        "Documentation/networking/ethtool-netlink.rst in linux 6.12: PAUSE_SET",
        "Documentation/networking/device_drivers/ethernet/intel/i40e.rst in linux 6.12: Flow Control",
    ];
}
