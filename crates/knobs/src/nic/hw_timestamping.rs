use lowlat_settings::hw_timestamp;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Lets the device timestamp packets with its own clock: sent and all received ones (`on`), or only sent ones
    /// (`tx`). Some devices timestamp no received packets except PTP's and refuse `on` (igb on 82576: ERANGE).
    /// ## Why it matters
    /// It shows how much of a delay occurs in the host. It is not a feature of `ethtool -K`, which answers
    /// `rx-timestamping` with "bit name not found". lowlat reads the setting back, because drivers widen the filter,
    /// refuse it (the 82576 of igb cannot timestamp all received packets) or accept what they do not deliver. Only
    /// timestamps that arrive count.
    /// ## Cost
    /// mlx5 in its ordinary profile keeps CQE compression: timestamped PTP packets get a receive queue of their own.
    /// Its other profiles switch compression off while a receive filter is on. A PTP daemon owns this setting: a change
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
