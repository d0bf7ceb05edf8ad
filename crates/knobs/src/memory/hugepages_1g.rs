use lowlat_settings::host_file;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// 1 GiB pages reserved on one NUMA node, where the processor has them (`pdpe1gb`). The kernel looks for a free gigabyte
    /// in one piece, and moves what is movable out of its way.
    /// ## Why it matters
    /// A DPDK program that keeps gigabytes of packets then needs a few entries of the TLB instead of hundreds. Hugepages
    /// make no socket faster.
    /// ## Cost
    /// Memory that nothing else can use. After some time of running, memory holds too much that cannot be moved, and the node
    /// gives fewer pages than asked for, or none: lowlat then gives back what came. Those of the boot parameters
    /// `hugepagesz=1G hugepages=N` are spread over all nodes.
    /// ## Example
    /// `0 -> 4` writes `/sys/devices/system/node/nodeN/hugepages/hugepages-1048576kB/nr_hugepages = 4`
    "memory.hugepages-1g";
    kernels "3.16.."; phase 3; risk Medium; resets_link false; standing Acts;
    place host_file::NodeFile("hugepages/hugepages-1048576kB/nr_hugepages");
    value Value::Number(0, 16_384);
    also ["1G hugepages", "hugepagesz=1G", "pdpe1gb"];
    sources [
        "https://git.zx2c4.com/linux-dev/patch/?id=944d9fec8d7aee3f2e16573e9b6a16634b33f403 (hugetlb: add support for gigantic page allocation at runtime)",
        "https://git.zx2c4.com/linux-dev/patch/include/linux?id=cf11e85fc08cc6a4fe3ac2ba2e610c962bf20bc3 (chances to find a contiguous 1GB block)",
        "Documentation/admin-guide/mm/hugetlbpage.rst in linux 6.12: nr_hugepages (of a node)",
    ];
}
