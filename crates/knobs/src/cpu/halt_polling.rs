use lowlat_settings::Nowhere;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// In a guest: nanoseconds for which an idle virtual CPU polls before it halts
    /// (`/sys/module/haltpoll/parameters/guest_halt_poll_ns`, 200000 by default), where the `haltpoll` governor runs.
    /// On a KVM host: the same for all its guests (`/sys/module/kvm/parameters/halt_poll_ns`).
    /// ## Why it matters
    /// The hypervisor has to wake a virtual CPU that halted, which takes tens of microseconds. One that polls sees the
    /// packet's interrupt at once. A guest without an idle driver cannot set it; then the host alone decides.
    /// ## Cost
    /// CPU time of the host.
    /// ## Example
    /// lowlat explains it and never writes it.
    "cpu.halt-polling";
    kernels "5.4.."; phase 2; risk Low; resets_link false; standing Elsewhere;
    place Nowhere;
    value Value::None;
    refusal "set guest_halt_poll_ns of the module haltpoll in the guest, or halt_poll_ns of kvm on its host";
    also ["haltpoll", "halt_poll_ns", "guest_halt_poll_ns"];
    sources [
        "Documentation/virt/guest-halt-polling.rst in linux 6.12: Module Parameters",
        "Documentation/virt/kvm/halt-polling.rst in linux 6.12: Module Parameters",
        "not confirmed: 5.4 as its first release",
    ];
}
