use lowlat_settings::Nowhere;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// `mount -t hugetlbfs none /mnt/huge`: a file system whose files consist of hugepages.
    /// ## Why it matters
    /// DPDK maps its memory through it. systemd already mounts one at `/dev/hugepages`, and DPDK finds that on its own
    /// (`--huge-dir` names another, `--in-memory` needs none).
    /// ## Cost
    /// None on its own: memory.hugepages reserves the pages.
    /// ## Example
    /// lowlat explains it and never writes it.
    "memory.hugetlbfs";
    kernels "any"; phase 3; risk Medium; resets_link false; standing Elsewhere;
    place Nowhere;
    value Value::None;
    refusal "a mount of the system: systemd has one at /dev/hugepages, else `mount -t hugetlbfs none /mnt/huge`";
    also ["hugetlbfs"];
    sources [
        "Documentation/admin-guide/mm/hugetlbpage.rst in linux 6.12: Using Huge Pages",
        "https://doc.dpdk.org/guides-24.11/linux_gsg/sys_reqs.html (Using Hugepages with the DPDK)",
    ];
}
