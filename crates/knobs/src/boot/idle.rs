use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// Chooses the idle routine at boot; `poll` never sleeps.
    /// ## Why it matters
    /// cpu.dma-latency does the same without a reboot and ends with one command.
    /// ## Cost
    /// Full power on every core; SMT siblings lose speed.
    /// ## Example
    /// `none -> poll` writes `/etc/default/grub.d/90-lowlat-idle.cfg`, which takes effect after `update-grub` and a reboot
    "boot.idle";
    kernels "any"; phase 2; risk Reboot; resets_link false; standing Acts;
    place Place::Boot("idle");
    value Value::BootText;
    words "idle= goes {was} -> {want} at the next boot";
    refusal "";
    sources ["https://docs.kernel.org/admin-guide/kernel-parameters.html"];
}
