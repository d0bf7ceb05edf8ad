use lowlat_settings::net_file;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Most bytes that the kernel may put into one transmit queue of the device (byte queue limits). The kernel adapts
    /// the limit on its own below this maximum; the default (1879048192) is practically no limit.
    /// ## Why it matters
    /// A message cannot overtake bytes that are already in the device: it waits for all of them. A smaller maximum
    /// keeps bulk data in the queue discipline, where a fair one lets the message pass.
    /// ## Cost
    /// A maximum that is too small leaves the line idle between completions. Only drivers that report their completions
    /// have it.
    /// ## Example
    /// `1879048192 -> 30000` writes `/sys/class/net/IF/queues/tx-N/byte_queue_limits/limit_max = 30000`
    "nic.bql-limit-max";
    kernels "3.3.."; phase 2; risk Low; resets_link false; standing Acts;
    place net_file::TxFile("byte_queue_limits/limit_max");
    value Value::Number(0, 1_879_048_192);
    also ["BQL"];
    sources [
        "Documentation/ABI/testing/sysfs-class-net-queues in linux 6.12: byte_queue_limits",
        "include/linux/dynamic_queue_limits.h in linux 6.12: DQL_MAX_LIMIT",
    ];
}
