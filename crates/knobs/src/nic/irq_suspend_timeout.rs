use lowlat_settings::napi;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Nanoseconds for which one NAPI instance keeps its interrupt off while a program that prefers busy polling still
    /// finds events with `epoll_wait`. When it finds none, deferral by `nic.gro-flush-timeout` and
    /// `nic.napi-defer-hard-irqs` takes over. 0, the default, suspends nothing. There is no value for the whole device:
    /// each instance has its own, named by its position (`eth0/napi-0`), and there also has its own values of the other
    /// three NAPI settings.
    /// ## Why it matters
    /// A short gro-flush-timeout soon wakes a quiet program but often interrupts a busy one; a long one does the
    /// opposite. Suspension combines both: the short timeout while the program is quiet, no interrupt while it works.
    /// ## Cost
    /// During suspension, only that program's polls take packets from the instance; this timeout limits the wait of all
    /// others. A program that does not ask for it (`EPIOCSPARAMS` with `prefer_busy_poll`) gets nothing.
    /// ## Example
    /// `0 -> 20000000` sends `NETDEV_CMD_NAPI_SET` with `irq-suspend-timeout` 20000000 for the instance
    "nic.irq-suspend-timeout";
    kernels "6.13.."; phase 2; risk Medium; resets_link false; standing Acts;
    place napi::Instance("irq-suspend-timeout");
    value Value::Number(0, 1_000_000_000);
    also ["irq_suspend_timeout", "IRQ suspension", "napi-set"];
    sources [
        "linux commit 5dc51ec86df6e2214d8398079c1e31736593ab53: net: Add napi_struct parameter irq_suspend_timeout",
        "linux commit 3fcbecbdeb048dfd1bea824f4276717fed02d10e: net: Add control functions for irq suspension",
        "https://patchwork.kernel.org/project/netdevbpf/cover/20241102005214.32443-1-jdamato@fastly.com (The short explanation)",
        "https://heise.de/-10260864 (6.13 as its first release)",
    ];
    needs ["nic.gro-flush-timeout", "nic.napi-defer-hard-irqs"];
}
