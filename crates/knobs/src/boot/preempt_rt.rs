use lowlat_settings::Nowhere;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// A kernel with PREEMPT_RT: nearly all of its code can be preempted, and interrupt handlers are threads with priorities.
    /// Debian has it as `linux-image-rt-amd64`, Ubuntu by `pro enable realtime-kernel`, RHEL and its kin as `kernel-rt` in
    /// their real-time repository, SUSE as `kernel-rt`; from 6.12 on a build of the mainline kernel may switch it on.
    /// ## Why it matters
    /// It bounds the worst case. The median usually rises a little, because interrupts become threads. It pays off
    /// where a deadline counts, not where the average does. `uname -v` shows PREEMPT_RT where it runs (the file
    /// `/sys/kernel/realtime` comes only with the patches and is not in the mainline kernel); `lowlat noise` measures
    /// what it bounds, and judges it with `--goal`.
    /// ## Cost
    /// Throughput, and drivers that were never tested with it.
    /// ## Example
    /// lowlat explains it and never writes it.
    "boot.preempt-rt";
    kernels "any"; phase 2; risk Reboot; resets_link false; standing Elsewhere;
    place Nowhere;
    value Value::None;
    refusal "another kernel package: install it, boot it, and compare with `lowlat noise` and `lowlat measure`";
    also ["PREEMPT_RT", "real-time kernel"];
    sources [
        "https://wiki.linuxfoundation.org/realtime/documentation/start",
        "kernel/ksysfs.c in linux 6.12: kernel_attrs (no realtime)",
        "https://packages.debian.org/bookworm/linux-image-rt-amd64",
        "kernel/Kconfig.preempt in linux 6.12: PREEMPT_RT",
        "not confirmed: the packages of Ubuntu, RHEL and SUSE, which are those of guides",
        "not confirmed: how much the median rises; measure it on the path",
    ];
}
