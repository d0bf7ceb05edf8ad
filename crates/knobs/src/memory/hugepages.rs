use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// 2 MiB pages set aside on one NUMA node.
    /// ## Why it matters
    /// DPDK and some engines need them on the device's node; the host-wide count spreads them over all.
    /// ## Cost
    /// Memory that nothing else can use; a fragmented node gives fewer than asked.
    /// ## Example
    /// `0 -> 1024` writes `/sys/devices/system/node/nodeN/hugepages/hugepages-2048kB/nr_hugepages = 1024`
    "memory.hugepages";
    kernels "any"; phase 3; risk Medium; resets_link false; standing Acts;
    place Place::NodeFile("hugepages/hugepages-2048kB/nr_hugepages");
    value Value::Number(0, 16_777_216);
    words "2 MiB pages: {was} -> {want}";
    refusal "";
    sources ["https://docs.kernel.org/admin-guide/mm/hugetlbpage.html"];
}
