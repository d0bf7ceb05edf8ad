use lowlat_settings::eee;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Lets the link sleep between packets (IEEE 802.3az).
    /// ## Why it matters
    /// After an idle period, the first packet waits until both ends are awake: by the standard, 16.5 µs at 1 Gbit/s and
    /// some 4.5 µs or more at 10 Gbit/s, on each link that uses it.
    /// ## Cost
    /// A little power; the link is negotiated again.
    /// ## Example
    /// `on -> off` runs `ethtool --set-eee IF eee off`
    "nic.eee";
    kernels "any"; phase 2; risk High; resets_link true; standing Acts;
    place eee::Eee;
    value Value::OnOff;
    also ["EEE"];
    sources [
        "Documentation/networking/ethtool-netlink.rst in linux 6.12: EEE_SET",
        "IEEE 802.3az-2010 (table 78-4, Tw_sys_tx)",
        "not confirmed: the standard itself was not opened; the two figures are those that the EEE literature quotes",
    ];
}
