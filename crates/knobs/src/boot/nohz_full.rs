use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// Stops the clock tick on CPUs that run one task; implies rcu_nocbs there. Needs CONFIG_NO_HZ_FULL.
    /// ## Why it matters
    /// The tick interrupts a spinning engine HZ times a second. It makes system calls dearer: fits bypass, suspect for
    /// kernel sockets.
    /// ## Cost
    /// Dearer system calls and interrupts on those CPUs.
    /// ## Example
    /// `none -> 2-3` writes `/etc/default/grub.d/90-lowlat-nohz_full.cfg`, which takes effect after `update-grub` and a reboot
    "boot.nohz_full";
    kernels "any"; phase 2; risk Reboot; resets_link false; standing Acts;
    place Place::Boot("nohz_full");
    value Value::BootText;
    words "nohz_full= goes {was} -> {want} at the next boot";
    refusal "";
    sources ["https://docs.kernel.org/admin-guide/kernel-parameters.html"];
}
