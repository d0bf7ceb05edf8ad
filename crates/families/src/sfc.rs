crate::family! {
    /// ## Devices
    /// Solarflare (AMD): SFN8000 and X2 series and EF100 (`sfc`), SFN5000 and 6000 (`sfc_siena`), SFE4000
    /// (`sfc_falcon`).
    /// ## Set
    /// - For readers that sleep in the kernel: `nic.coalesce.adaptive-rx off` and `nic.coalesce.rx-usecs 0`; the
    ///   default is adaptive, with 60 µs.
    /// - With Onload and spinning, the opposite: `nic.coalesce.adaptive-rx off` and `nic.coalesce.rx-usecs 60`, so that
    ///   interrupts do not disturb a program that receives its packets without them.
    /// - A core of its own for each thread that spins (sched.cpu-affinity), on the device's node.
    /// ## Leave
    /// - `nic.channels.combined` and the rings, unless drops grow.
    /// - Kernel busy polling for a program under Onload: its sockets are not the kernel's.
    /// ## Know
    /// - Onload replaces the socket calls of a program with a stack in user space: `onload PROGRAM` needs no change to
    ///   the program. It spins only when configured to (`EF_POLL_USEC=100000`, which `--profile=latency` sets);
    ///   otherwise it is driven by interrupts. lowlat has no engine for it: `compare` measures a program under Onload
    ///   like any other.
    /// - `ef_vi` and TCPDirect are separate interfaces beneath Onload: a program has to be written for them.
    /// - Where receive and transmit share channels, the usual case, both delays have to be the same.
    /// - `rx-usecs` is limited by the device's timer; larger values are refused.
    /// - XDP runs in the driver; AF_XDP copies: the driver in 6.12 has no zero-copy.
    /// - Packets that found no descriptor are counted as `port_rx_nodesc_drops`.
    "sfc";
    drivers ["sfc", "sfc_siena", "sfc_falcon"];
    also ["solarflare", "onload", "openonload", "ef_vi", "tcpdirect", "xilinx"];
    sources [
        "drivers/net/ethernet/sfc/efx.c in linux 6.12: rx_irq_mod_usec (60), efx_init_irq_moderation",
        "drivers/net/ethernet/sfc/ethtool.c in linux 6.12: efx_ethtool_set_coalesce",
        "https://docs.amd.com/r/en-US/ug1586-onload-user/Enabling-Spinning (EF_POLL_USEC; ethtool -C rx-usecs 60 adaptive-rx off)",
        "https://docs.amd.com/r/en-US/ug1586-onload-user/EF_INT_DRIVEN (interrupt driven by default except when spinning)",
        "https://docs.amd.com/r/en-US/ug1586-onload-user/Using-Onload-Tuning-Profiles (latency profile)",
        "drivers/net/ethernet/sfc/siena/Makefile in linux 6.12: sfc-siena",
        "not confirmed: what ef_vi and TCPDirect ask of a program",
    ];
}
