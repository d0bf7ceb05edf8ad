//! What drivers take natively and do not say: whether they have native XDP, for kernels before 6.3, which do not report it;
//! and the largest MTU of a program that takes no frames of several buffers, as this engine's.

/// One driver.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Driver {
    /// As `ethtool -i` names it.
    name: &'static str,
    /// Has native XDP in every kernel that has XDP links (5.9); `None` where a later version brought it or where that was
    /// not looked up. All are from [`BCC`].
    native: Option<bool>,
    /// Largest MTU on pages of 4 KiB, bytes; `None` where that was not looked up or differs between kernels.
    most_mtu: Option<u32>,
    /// What else it wants before it takes a program; empty where nothing is known.
    pub(crate) wants: &'static str,
    /// Of the MTU and what it wants.
    source: &'static str,
}

const BCC: &str = "https://github.com/iovisor/bcc (its documents: kernel versions, XDP)";

/// Each row's source was opened. 256 is XDP_PACKET_HEADROOM, and 320 the aligned struct skb_shared_info with the usual 17
/// fragments (CONFIG_MAX_SKB_FRAGS).
const DRIVERS: &[Driver] = &[
    // An Ethernet header and two VLAN tags.
    Driver {
        name: "mlx4_en",
        native: Some(true),
        most_mtu: Some(4096 - 14 - 8 - 256 - 320),
        wants: "",
        source: "drivers/net/ethernet/mellanox/mlx4/en_netdev.c in linux 6.1, 6.12: MLX4_EN_MAX_XDP_MTU",
    },
    // 22 are MLX5E_ETH_HARD_MTU; a driver with the headers of PSP in it takes less.
    Driver {
        name: "mlx5_core",
        native: Some(true),
        most_mtu: Some(4096 - 256 - 320 - 22),
        wants: "LRO and hardware GRO off (ethtool -K IF lro off rx-gro-hw off)",
        source: "drivers/net/ethernet/mellanox/mlx5/core/en/xdp.c in linux 6.1, 6.12: mlx5e_xdp_max_mtu",
    },
    Driver { name: "e1000e", native: Some(false), most_mtu: None, wants: "", source: BCC },
    // 4064 in linux 6.1, 3506 in 6.12.
    Driver {
        name: "virtio_net",
        native: Some(true),
        most_mtu: None,
        wants: "receive offloads that the host lets the guest switch off, or none (VIRTIO_NET_F_CTRL_GUEST_OFFLOADS)",
        source: "drivers/net/virtio_net.c in linux 6.1, 6.12: virtnet_xdp_set",
    },
    // An Ethernet header and one VLAN tag (BNXT_MAX_PAGE_MODE_MTU).
    Driver {
        name: "bnxt_en",
        native: Some(true),
        most_mtu: Some(4096 - 18 - 256 - 320),
        wants: "channels that are all combined (ethtool -L)",
        source: "drivers/net/ethernet/broadcom/bnxt/bnxt_xdp.c in linux 6.1, 6.12: bnxt_xdp_set",
    },
    // Frames above 3 KiB do not fit; 22 bytes of them are Ethernet header, one VLAN tag and checksum. Once a program is
    // there, ixgbe_change_mtu counts a second tag.
    Driver {
        name: "ixgbe",
        native: Some(true),
        most_mtu: Some(3072 - 22),
        wants: "LRO off (ethtool -K IF lro off), no virtual functions, no DCB, and at most 128 CPUs",
        source: "drivers/net/ethernet/intel/ixgbe/ixgbe_main.c in linux 6.1, 6.12: ixgbe_xdp_setup",
    },
    // As i40e. Its native XDP came with 5.10.
    Driver {
        name: "igb",
        native: None,
        most_mtu: Some(3072 - 26),
        wants: "",
        source: "drivers/net/ethernet/intel/igb/igb_main.c in linux 6.1, 6.12: igb_xdp_setup",
    },
    // Frames above 3 KiB are blocked; 26 bytes of them are Ethernet header, two VLAN tags and checksum. Linux 6.1 counts
    // one tag only.
    Driver {
        name: "i40e",
        native: Some(true),
        most_mtu: Some(3072 - 26),
        wants: "",
        source: "drivers/net/ethernet/intel/i40e/i40e_main.c in linux 6.12: i40e_xdp_setup, i40e_max_vsi_frame_size",
    },
    Driver {
        name: "ice",
        native: Some(true),
        most_mtu: Some(3072 - 26),
        wants: "",
        source: "drivers/net/ethernet/intel/ice/ice_main.c in linux 6.12: ice_max_xdp_frame_size, ice_xdp_setup_prog",
    },
    // An Ethernet header, one VLAN tag and checksum.
    Driver {
        name: "ena",
        native: Some(true),
        most_mtu: Some(4096 - 22 - 256 - 320),
        wants: "at most half of its channels in use (ethtool -L)",
        source: "drivers/net/ethernet/amazon/ena/ena_xdp.h in linux 6.12: ENA_XDP_MAX_MTU, ena_xdp_legal_queue_count",
    },
    // SKB_WITH_OVERHEAD(4096 − 256) − 14, of the other end's MTU; a test asks the kernel.
    Driver {
        name: "veth",
        native: Some(true),
        most_mtu: Some(4096 - 256 - 320 - 14),
        wants: "the MTU of its other end to fit a page too, and no more transmit queues there than receive queues here",
        source: "drivers/net/veth.c in linux 6.1, 6.12: veth_xdp_set",
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
        assert_eq!(of("virtio_net", Some(true), 9000), None, "differs between kernels");
        let limits = [("mlx5_core", 3498), ("mlx4_en", 3498), ("bnxt_en", 3502), ("ixgbe", 3050), ("igb", 3046)];
        for (driver, most) in limits {
            let (fits, more) = (of(driver, Some(true), most), of(driver, Some(true), most + 1));
            assert_eq!((fits, more), (Some(true), Some(false)), "{driver}");
        }
        assert_eq!((of("veth", Some(true), 3506), of("veth", Some(true), 3507)), (Some(true), Some(false)));
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
