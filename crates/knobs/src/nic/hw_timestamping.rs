use lowlat_settings::hw_timestamp;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Lets the device stamp packets with its own clock: sent ones and all received ones (`on`), or the sent ones alone
    /// (`tx`), since some devices stamp no received packet but PTP's and refuse `on` (igb on 82576: ERANGE).
    /// ## Why it matters
    /// Shows how much of a delay is the host's. It is not a feature of `ethtool -K`: `rx-timestamping` there is "bit
    /// name not found". What is set is read back, because drivers widen the filter, refuse it (the 82576 of igb cannot
    /// stamp all received packets) or accept what they do not deliver; only stamps that arrive count.
    /// ## Cost
    /// mlx5 in its ordinary profile keeps CQE compression: stamped PTP packets get a receive queue of their own. Other
    /// profiles of it switch compression off while a receive filter is on. A PTP daemon owns this setting: changing it
    /// under `ptp4l` breaks its synchronization.
    /// ## Example
    /// `off -> on` runs `hwstamp_ctl -i IF -t 1 -r 1`
    "nic.hw-timestamping";
    kernels "any"; phase 2; risk Medium; resets_link false; standing Acts;
    place hw_timestamp::StampingMode;
    value Value::Stamps;
    also ["rx-timestamping"];
    sources [
        "Documentation/networking/timestamping.rst in linux 6.12: 3. Hardware Timestamping configuration",
        "include/uapi/linux/net_tstamp.h in linux 6.12: HWTSTAMP_TX_ON, HWTSTAMP_FILTER_ALL",
        "drivers/net/ethernet/mellanox/mlx5/core/en_main.c in linux 6.12: mlx5e_hwstamp_set, mlx5e_hwstamp_config_no_ptp_rx, mlx5e_nic_profile",
        "measured: linux 6.18, ethtool -K rx-timestamping is refused as an unknown name",
        "drivers/net/ethernet/intel/igb/igb_ptp.c in linux 6.12: igb_ptp_set_timestamp_mode",
    ];
}
