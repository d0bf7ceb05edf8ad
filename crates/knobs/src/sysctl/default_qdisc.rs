use lowlat_settings::sysctl;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Queue discipline of interfaces, and of their queues, that come up afterwards. `pfifo_fast` by default; systemd
    /// sets `fq_codel`. Interfaces that are already up keep theirs (qdisc.kind), and virtual ones without a queue
    /// (veth, lo) get none.
    /// ## Why it matters
    /// In a plain FIFO a small message waits behind bulk traffic; `fq_codel` and `fq` serve flows in turn.
    /// ## Cost
    /// A few more instructions for each packet.
    /// ## Example
    /// `pfifo_fast -> fq_codel` writes `/proc/sys/net/core/default_qdisc = fq_codel`
    "sysctl.net.core.default_qdisc";
    kernels "3.12.."; phase 2; risk Medium; resets_link false; standing Acts;
    place sysctl::SysctlKey("net.core.default_qdisc");
    value Value::Word(lowlat_settings::qdisc::SETTABLE);
    also ["default_qdisc"];
    sources [
        "Documentation/admin-guide/sysctl/net.rst in linux 6.12: default_qdisc",
        "net/core/sysctl_net_core.c in linux 6.12: set_default_qdisc",
        "https://github.com/systemd/systemd/blob/v256/sysctl.d/50-default.conf (net.core.default_qdisc)",
    ];
}
