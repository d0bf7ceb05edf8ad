use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// Takes CPUs out of the scheduler's balancing at boot.
    /// ## Why it matters
    /// Nothing else is placed there. The kernel calls it deprecated and prefers cpuset partitions, which need no
    /// reboot.
    /// ## Cost
    /// CPUs that are lost to everything not pinned.
    /// ## Example
    /// `none -> 2-3` writes `/etc/default/grub.d/90-lowlat-isolcpus.cfg`, which takes effect after `update-grub` and a reboot
    "boot.isolcpus";
    kernels "any"; phase 2; risk Reboot; resets_link false; standing Acts;
    place Place::Boot("isolcpus");
    value Value::BootText;
    words "isolcpus= goes {was} -> {want} at the next boot";
    refusal "";
    sources ["https://docs.kernel.org/admin-guide/kernel-parameters.html"];
}
