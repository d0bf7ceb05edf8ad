crate::family! {
    /// ## Devices
    /// Wi-Fi in general: any interface of the kernel's wireless stack, whatever its driver.
    /// ## Set
    /// - A cable instead, where possible.
    /// - Otherwise power saving off (`iw dev IF set power_save off`; NetworkManager: `802-11-wireless.powersave 2`): a
    ///   station that saves power is asleep between beacons.
    /// - A band and a channel with few other users, and the nearest access point.
    /// ## Leave
    /// - Rings, coalescing, channels, steering and queue disciplines: the device's firmware and mac80211's own fair
    ///   queues do that work.
    /// - Hardware timestamps for one-way delays: almost no driver has them.
    /// ## Know
    /// - The milliseconds come from the medium: it is shared, senders wait for silence, and lost frames are sent again.
    ///   The access point holds the packets for a sleeping station until the next beacon that the station listens to.
    /// - Roaming and scanning stop the traffic for tens of milliseconds and more.
    /// - Whether power saving is on now is not in the facts.
    "wifi";
    drivers ["iwlwifi", "ath10k_pci", "ath11k_pci", "ath12k_pci", "mt7921e", "mt7925e", "rtw88_pci", "rtw89_8852be", "brcmfmac"];
    also ["wi-fi", "wlan", "wireless"];
    sources [
        "net/wireless/nl80211.c in linux 6.12: nl80211_set_power_save",
        "net/wireless/core.c in linux 6.12: wiphy_new_nm (CONFIG_CFG80211_DEFAULT_PS)",
        "net/mac80211/tx.c in linux 6.12: ieee80211_queue_skb (its own fair queues)",
        "not confirmed: how long a station is away while it scans or roams",
    ];
}
