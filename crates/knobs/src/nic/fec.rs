use lowlat_settings::Nowhere;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Forward error correction of the link: `off`, BASE-R (Fire code), or Reed-Solomon. Both ends have to use the
    /// same.
    /// ## Why it matters
    /// The receiver checks a whole block before it passes it on, so each hop with Reed-Solomon adds some hundred
    /// nanoseconds; BASE-R adds less. At 25 Gbit/s over a short copper cable, FEC can often be off; over 100 Gbit/s
    /// copper and backplane links of four lanes, and with PAM4 signals, the link does not work without it.
    /// ## Cost
    /// Without FEC, a weak link loses frames: link-errors then finds them. A change takes the link down, and has to be
    /// made at both ends.
    /// ## Example
    /// `ethtool --show-fec IF` shows it, `ethtool --set-fec IF encoding off` sets it; lowlat explains it and never
    /// writes it.
    "nic.fec";
    kernels "4.14.."; phase 2; risk High; resets_link false; standing Elsewhere;
    place Nowhere;
    value Value::None;
    refusal "both ends of the cable have to agree on it; set it on the switch and with `ethtool --set-fec`";
    also ["FEC", "set-fec", "RS-FEC", "forward error correction"];
    sources [
        "Documentation/networking/ethtool-netlink.rst in linux 6.12: FEC_GET, FEC_SET",
        "include/uapi/linux/ethtool.h in linux 6.12: ETHTOOL_LINK_MODE_FEC_RS_BIT, ETHTOOL_LINK_MODE_FEC_BASER_BIT",
        "not confirmed: the delays, which IEEE 802.3 (clauses 74, 91, 108) bounds and vendors state; the standard was not opened",
        "not confirmed: 4.14 as the first release of its interface",
    ];
}
