use lowlat_settings::sysctl;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// How readily the kernel swaps instead of dropping file pages, 0 to 200; 60 by default.
    /// ## Why it matters
    /// Touching a page that was swapped out is a major fault: a disk read in the middle of a message. A
    /// latency-critical program locks its memory (memory.mlock) and needs no setting of the host; where it cannot, a
    /// lower value swaps fewer pages.
    /// ## Cost
    /// Under memory pressure the file cache shrinks first; at 0 the kernel swaps only when it must, and may kill
    /// processes sooner.
    /// ## Example
    /// `60 -> 10` writes `/proc/sys/vm/swappiness = 10`
    "sysctl.vm.swappiness";
    kernels "any"; phase 2; risk Medium; resets_link false; standing Acts;
    place sysctl::SysctlKey("vm.swappiness");
    value Value::Number(0, 200);
    also ["swappiness"];
    sources [
        "Documentation/admin-guide/sysctl/vm.rst in linux 6.12: swappiness",
    ];
}
