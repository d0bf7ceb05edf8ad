//! What drivers take natively and do not say: whether they have native XDP, for kernels before 6.3, which do not report it;
//! and the largest MTU of a program that takes no frames of several buffers, as this engine's.

/// One driver.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Driver {
    /// As `ethtool -i` names it.
    name: &'static str,
    /// Has native XDP in every kernel that has XDP links (5.9); `None` where a later version brought it or where that was
    /// not looked up.
    native: Option<bool>,
    /// Largest MTU on pages of 4 KiB, bytes; `None` where that was not looked up.
    most_mtu: Option<u32>,
    /// What else it wants before it takes a program; empty where nothing is known.
    pub(crate) wants: &'static str,
    source: &'static str,
}

const BCC: &str = "https://github.com/iovisor/bcc/blob/master/docs (kernel-versions, XDP)";

/// Each row's source was opened.
const DRIVERS: &[Driver] = &[
    Driver { name: "mlx4_en", native: Some(true), most_mtu: None, wants: "", source: BCC },
    Driver { name: "mlx5_core", native: Some(true), most_mtu: None, wants: "", source: BCC },
    Driver { name: "e1000e", native: Some(false), most_mtu: None, wants: "", source: BCC },
    Driver {
        name: "virtio_net",
        native: Some(true),
        most_mtu: None,
        wants: "offloads of the guest's receive side that it can switch off (ethtool -K IF lro off)",
        source: "drivers/net/virtio_net.c in linux 6.12: virtnet_xdp_set",
    },
    Driver {
        name: "bnxt_en",
        native: Some(true),
        most_mtu: None,
        wants: "channels that are all combined (ethtool -L)",
        source: "drivers/net/ethernet/broadcom/bnxt/bnxt_xdp.c in linux 6.12: bnxt_xdp_set",
    },
    Driver {
        name: "ixgbe",
        native: Some(true),
        most_mtu: None,
        wants: "LRO off (ethtool -K IF lro off), no virtual functions, and at most 128 CPUs",
        source: "drivers/net/ethernet/intel/ixgbe/ixgbe_main.c in linux 6.12: ixgbe_xdp_setup",
    },
    // Frames above 3 KiB are blocked; 26 bytes of them are Ethernet header, two VLAN tags and checksum.
    Driver {
        name: "i40e",
        native: Some(true),
        most_mtu: Some(3072 - 26),
        wants: "",
        source: "https://www.intel.com/content/www/us/en/support/articles/000057687.html (Resolution)",
    },
    Driver {
        name: "ice",
        native: Some(true),
        most_mtu: Some(3072 - 26),
        wants: "",
        source: "drivers/net/ethernet/intel/ice/ice_main.c in linux 6.12: ice_max_xdp_frame_size, ice_xdp_setup_prog",
    },
    Driver {
        name: "ena",
        native: Some(true),
        most_mtu: Some(3498),
        wants: "at most half of its channels in use (ethtool -L)",
        source: "drivers/net/ethernet/amazon/ena/ena_xdp.h in linux 6.12: ENA_XDP_MAX_MTU, ena_xdp_legal_queue_count",
    },
    // SKB_WITH_OVERHEAD(4096 − 256) − 14, and 320 is the aligned struct skb_shared_info; a test asks the kernel.
    Driver {
        name: "veth",
        native: Some(true),
        most_mtu: Some(3506),
        wants: "",
        source: "drivers/net/veth.c in linux 6.12: veth_xdp_set",
    },
];

/// The row of a driver.
pub(crate) fn of(driver: &str) -> Option<&'static Driver> {
    DRIVERS.iter().find(|d| d.name == driver)
}

/// What is known without a try of native XDP on a driver at an MTU, and why. `offers` is what the driver reports, `None` where
/// the kernel does not say.
pub(crate) fn native(driver: &str, offers: Option<bool>, mtu: u32) -> (Option<bool>, String) {
    let row = of(driver);
    let has = match offers {
        Some(true) => "the driver offers it".to_owned(),
        Some(false) => return (Some(false), "the driver does not offer it".to_owned()),
        None => match row.and_then(|d| d.native) {
            Some(true) => format!("{driver} has it; this kernel does not say (before 6.3)"),
            Some(false) => return (Some(false), format!("{driver} has none")),
            None => return (None, "this kernel does not say (before 6.3)".to_owned()),
        },
    };
    match row.and_then(|d| d.most_mtu) {
        Some(most) if mtu > most => {
            (Some(false), format!("MTU {mtu} is above {most}, the most that {driver} takes natively in one buffer"))
        }
        None if mtu > ORDINARY_MTU => {
            (None, format!("{has}; only a try would tell whether {driver} takes MTU {mtu} in one buffer"))
        }
        _ => (Some(true), has),
    }
}

/// Every driver takes frames of this MTU in one buffer.
const ORDINARY_MTU: u32 = 1500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_kernel_is_answered_by_the_table_and_a_large_mtu_by_the_driver_s_limit() {
        let of = |driver, offers, mtu| native(driver, offers, mtu).0;
        assert_eq!(of("igb", Some(true), 1500), Some(true));
        assert_eq!(of("ice", Some(true), 3046), Some(true));
        assert_eq!(of("ice", Some(true), 3047), Some(false));
        assert_eq!(of("igb", Some(true), 9000), None, "not looked up");
        assert_eq!(of("veth", Some(false), 1500), Some(false));
        assert_eq!(
            (of("i40e", None, 1500), of("e1000e", None, 1500), of("x", None, 1500)),
            (Some(true), Some(false), None)
        );
        assert!(native("ena", Some(true), 9001).1.contains("MTU 9001 is above 3498"));
    }

    #[test]
    fn each_row_has_its_source() {
        for row in DRIVERS {
            assert!(lowlat_model::source::has_form(row.source), "{}: {}", row.name, row.source);
        }
    }
}
