//! The three ways a packet reaches an AF_XDP socket, and which is tried first.

use lowlat_netlink::route::link::Link;

use crate::bpf;
use crate::device::{XDP_BASIC, XSK_ZEROCOPY};
use crate::path::STACKED;
use crate::xsk::Copying;

/// How packets reach the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum XdpMode {
    /// Program in the driver, which writes straight into our memory.
    ZeroCopy,
    /// Program in the driver; the kernel copies into our memory.
    NativeCopy,
    /// Program at the generic hook, after the driver has built a socket buffer; the kernel copies. Any interface.
    Generic,
}

impl XdpMode {
    /// All, from the one that bypasses most to the one that bypasses least.
    pub const ALL: [Self; 3] = [Self::ZeroCopy, Self::NativeCopy, Self::Generic];

    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Self::ZeroCopy => "native zero-copy",
            Self::NativeCopy => "native copy",
            Self::Generic => "generic (skb) copy",
        }
    }

    /// The one that was got: the hook that the kernel reports, and whether it copies.
    pub(crate) fn got(hook: &str, zero_copy: bool) -> Self {
        match (hook, zero_copy) {
            ("generic", _) => Self::Generic,
            (_, true) => Self::ZeroCopy,
            (_, false) => Self::NativeCopy,
        }
    }

    pub(crate) fn attach_flags(self) -> u32 {
        match self {
            Self::ZeroCopy | Self::NativeCopy => bpf::ATTACH_NATIVE,
            Self::Generic => bpf::ATTACH_GENERIC,
        }
    }

    pub(crate) fn copying(self) -> Copying {
        match self {
            Self::ZeroCopy => Copying::Zero,
            Self::NativeCopy | Self::Generic => Copying::Copy,
        }
    }
}

/// The order in which to try the modes, and why a mode is not tried or not tried first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) modes: Vec<XdpMode>,
    pub(crate) remarks: Vec<String>,
}

/// Decides the order for an interface. `features` is what the driver says by netdev-genl; `None` is a kernel before
/// 6.3, which cannot say.
pub(crate) fn order(link: &Link, driver: &str, features: Option<&[String]>) -> Order {
    let mut modes = Vec::new();
    let mut remarks = Vec::new();
    let offers = |name: &str| features.is_some_and(|f| f.iter().any(|has| has == name));
    if let Some(kind) = link.kind.as_deref().filter(|kind| STACKED.contains(kind)) {
        // A native program of a bond runs on its ports, and a socket takes only the packets of the device that it is
        // bound to (`xsk_rcv_check`, net/xdp/xsk.c).
        let why = format!("generic alone: a native program runs on what the {kind} stands on, past its sockets");
        return Order { modes: vec![XdpMode::Generic], remarks: vec![why] };
    }
    if offers(XSK_ZEROCOPY) {
        modes.push(XdpMode::ZeroCopy);
    } else if features.is_some() {
        remarks.push(format!("driver {driver} offers no zero-copy"));
    } else {
        remarks.push("zero-copy not tried: kernels before 6.3 do not say whether the driver has it".to_owned());
    }
    // A kernel that cannot say is asked by trying; one that says no is believed.
    if features.is_none() || offers(XDP_BASIC) {
        modes.push(XdpMode::NativeCopy);
    } else {
        remarks.push(format!("driver {driver} has no native XDP"));
    }
    if link.kind.as_deref() == Some("veth") {
        // On veth "native" moves each packet through a second ring and a NAPI poll of its own (veth_xmit →
        // veth_xdp_rx → veth_poll, drivers/net/veth.c) before the program sees it, where the generic hook runs in the
        // sender's own softirq. Measured on 6.18, 64 B ping-pong p50: generic 2.63 µs, native copy 3.54 µs.
        modes.insert(0, XdpMode::Generic);
        remarks.push("generic first: on veth native adds a NAPI hop and measured slower".to_owned());
    } else {
        modes.push(XdpMode::Generic);
    }
    Order { modes, remarks }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(kind: Option<&str>) -> Link {
        Link {
            index: 1,
            name: "x".into(),
            up: true,
            carrier: true,
            loopback: false,
            ethernet: Some([0; 6]),
            operstate: "up",
            mtu: 1500,
            mac: None,
            kind: kind.map(str::to_owned),
            xdp: "none",
            xdp_program: None,
        }
    }

    /// The modes tried on a driver with these features, and what is said of it.
    fn tried(kind: Option<&str>, driver: &str, features: &[&str]) -> Order {
        let features: Vec<String> = features.iter().map(|f| (*f).to_owned()).collect();
        order(&link(kind), driver, Some(&features))
    }

    #[test]
    fn zero_copy_is_tried_only_when_advertised() {
        assert_eq!(tried(None, "ice", &["basic", "redirect", "ndo-xmit", "xsk-zerocopy"]).modes, XdpMode::ALL);
        assert_eq!(tried(None, "x", &["basic", "redirect"]).modes, [XdpMode::NativeCopy, XdpMode::Generic]);
        let old = order(&link(None), "ice", None);
        assert_eq!(old.modes, [XdpMode::NativeCopy, XdpMode::Generic]);
        assert!(old.remarks[0].contains("6.3"));
    }

    #[test]
    fn a_driver_without_xdp_gets_the_generic_hook_and_a_reason() {
        let none = tried(Some("vlan"), "802.1Q VLAN Support", &[]);
        assert_eq!(none.modes, [XdpMode::Generic]);
        assert!(none.remarks.iter().any(|r| r.contains("no native XDP")), "{:?}", none.remarks);
    }

    #[test]
    fn a_link_on_other_links_keeps_the_generic_hook() {
        let bond = tried(Some("bond"), "bonding", &["basic", "redirect", "xsk-zerocopy"]);
        assert_eq!(bond.modes, [XdpMode::Generic]);
        assert!(bond.remarks[0].contains("past its sockets"), "{:?}", bond.remarks);
    }

    #[test]
    fn the_mode_is_the_one_that_the_kernel_reports() {
        assert_eq!(XdpMode::got("generic", false), XdpMode::Generic);
        assert_eq!(XdpMode::got("native", false), XdpMode::NativeCopy);
        assert_eq!(XdpMode::got("native", true), XdpMode::ZeroCopy);
    }

    #[test]
    fn veth_starts_generic() {
        assert_eq!(
            tried(Some("veth"), "veth", &["basic", "redirect", "rx-sg"]).modes,
            [XdpMode::Generic, XdpMode::NativeCopy]
        );
    }
}
