use lowlat_settings::host_file;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// 2 MiB pages reserved on one NUMA node. `vm.nr_hugepages` and the boot parameter spread theirs over all nodes.
    /// ## Why it matters
    /// DPDK and some engines keep their packets in hugepages, and want them on the device's node. Hugepages make no
    /// socket faster.
    /// ## Cost
    /// Memory that nothing else can use. A fragmented node has fewer pages than asked for: lowlat then gives back what came.
    /// ## Example
    /// `0 -> 1024` writes `/sys/devices/system/node/nodeN/hugepages/hugepages-2048kB/nr_hugepages = 1024`
    "memory.hugepages";
    kernels "any"; phase 3; risk Medium; resets_link false; standing Acts;
    place host_file::NodeFile("hugepages/hugepages-2048kB/nr_hugepages");
    value Value::Number(0, 16_777_216);
    also ["hugepages", "nr_hugepages"];
    sources [
        "Documentation/admin-guide/mm/hugetlbpage.rst in linux 6.12: Interaction of Task Memory Policy with Huge Page Allocation/Freeing",
        "https://doc.dpdk.org/guides-24.11/linux_gsg/sys_reqs.html (Use of Hugepages in the Linux Environment)",
    ];
}
