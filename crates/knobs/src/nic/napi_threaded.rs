use lowlat_settings::napi;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Polls the device in kernel threads (`napi/IF-N`), one for each NAPI instance, instead of softirqs. From 6.17 on,
    /// also for one NAPI instance alone, at the target `IF/napi-N`. There, from 6.19 on, 2 has the thread poll without a pause:
    /// its interrupt stays off.
    /// ## Why it matters
    /// A thread can have its own CPU and priority, and the scheduler accounts for its cost. Under load, packet work no
    /// longer runs in whatever program was interrupted. For one quiet flow it adds a wake-up, which a thread that polls without
    /// a pause does not need.
    /// ## Cost
    /// A thread switch for each interrupt. Pin each thread to the CPU of its interrupt or one near it, as the kernel's
    /// documentation advises; new queues create new threads. With 2, a whole CPU for each instance.
    /// ## Example
    /// `0 -> 1` writes `/sys/class/net/IF/threaded = 1`
    "nic.napi-threaded";
    kernels "5.12.."; phase 2; risk Medium; resets_link false; standing Acts;
    place napi::NapiDevice("threaded");
    value Value::Number(0, 2);
    also ["threaded NAPI"];
    sources [
        "https://git.zx2c4.com/laptop-kernel/log/Documentation/networking/napi.rst (2025-07-14: Add support to set NAPI threaded for individual NAPI)",
        "https://git.zx2c4.com/wireguard-linux/commit/scripts/Makefile.thinlto?id=ff371a7e73c8e624d6a28684d839ed074ac97a2b (Add support to do threaded napi busy poll)",
        "measured: set on one instance of a veth pair on 6.18",
        "Documentation/networking/napi.rst in linux 6.12: Threaded NAPI",
        "Documentation/ABI/testing/sysfs-class-net in linux 6.12: /sys/class/net/<iface>/threaded (5.12)",
    ];
}
