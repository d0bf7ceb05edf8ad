use lowlat_settings::pause;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Lets the other end stop this one's sending for a moment, and the reverse. Where pause is negotiated, the
    /// negotiation is switched off first: until then igb takes `rx off` without an error and without effect.
    /// ## Why it matters
    /// A pause frame stops *every* flow on the link for the sake of one receiver that is too slow. Where the receiver
    /// keeps up there are none.
    /// ## Cost
    /// Overload then drops instead of pausing, and lossless fabrics (RoCE) rely on it. Where it is negotiated this
    /// changes what is advertised, and the link is negotiated anew.
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
