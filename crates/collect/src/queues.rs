//! Receive and transmit queues.

use lowlat_model::Reading;
use lowlat_model::facts::{RxQueue, TxQueue};
use lowlat_sys::Sys;

use crate::text::cpu_mask;

crate::collector! {
    /// Per receive queue, the CPUs to which RPS steers its packets and the size of its flow table; per transmit queue,
    /// the CPUs that use it (XPS) and its byte queue limit.
    ///
    /// An empty CPU set means that steering is off, which is the default.
    pub QUEUES = "queues";
    reads ["/sys/class/net/*/queues/rx-*/*", "/sys/class/net/*/queues/tx-*/*"];
    sources [
        "Documentation/networking/scaling.rst in linux 6.12: RPS Configuration, XPS Configuration",
        "Documentation/ABI/testing/sysfs-class-net-queues in linux 6.12: rps_cpus, xps_cpus, byte_queue_limits",
    ];
}

/// The receive queues of an interface, by index.
pub(crate) fn rx(sys: &dyn Sys, iface: &str) -> Vec<RxQueue> {
    match indexes(sys, iface, "rx-") {
        Reading::Value(indexes) => indexes.map(|n| rx_queue(sys, iface, n)).collect(),
        // Every interface has a first queue; where the listing fails, its readings carry the reason.
        other => vec![RxQueue { rps_cpus: other.clone().map(|_| vec![]), rps_flow_cnt: other.map(|_| 0) }],
    }
}

/// The transmit queues of an interface, by index.
pub(crate) fn tx(sys: &dyn Sys, iface: &str) -> Vec<TxQueue> {
    match indexes(sys, iface, "tx-") {
        Reading::Value(indexes) => indexes.map(|n| tx_queue(sys, iface, n)).collect(),
        other => vec![TxQueue {
            xps_cpus: other.clone().map(|_| vec![]),
            bql_limit: other.clone().map(|_| 0),
            bql_limit_max: other.map(|_| 0),
        }],
    }
}

fn indexes(sys: &dyn Sys, iface: &str, prefix: &str) -> Reading<std::ops::Range<u32>> {
    sys.list(&format!("/sys/class/net/{iface}/queues")).map(|names| {
        let highest = names.iter().filter_map(|n| n.strip_prefix(prefix)?.parse::<u32>().ok()).max();
        // Queues are numbered without gaps (net/core/net-sysfs.c, net_rx_queue_update_kobjects), and an interface
        // has fewer than 65536 of them (include/uapi/linux/if_link.h, IFLA_NUM_TX_QUEUES is checked against 4096).
        0..highest.map_or(0, |h| h.min(65_535) + 1)
    })
}

fn rx_queue(sys: &dyn Sys, iface: &str, n: u32) -> RxQueue {
    let dir = format!("/sys/class/net/{iface}/queues/rx-{n}");
    RxQueue {
        rps_cpus: sys.read(&format!("{dir}/rps_cpus")).and_then(|t| cpu_mask(&t)),
        rps_flow_cnt: sys.read(&format!("{dir}/rps_flow_cnt")).parse("rps_flow_cnt"),
    }
}

fn tx_queue(sys: &dyn Sys, iface: &str, n: u32) -> TxQueue {
    let dir = format!("/sys/class/net/{iface}/queues/tx-{n}");
    let bql = |name: &str| sys.read(&format!("{dir}/byte_queue_limits/{name}")).parse(name);
    TxQueue {
        xps_cpus: sys.read(&format!("{dir}/xps_cpus")).and_then(|t| cpu_mask(&t)),
        bql_limit: bql("limit"),
        bql_limit_max: bql("limit_max"),
    }
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::FakeSys;

    use super::*;

    #[test]
    fn queues_keep_their_place() {
        let mut sys = FakeSys::new();
        for n in 0..11 {
            sys = sys.file(&format!("/sys/class/net/e/queues/rx-{n}/rps_cpus"), &format!("{n:x}\n"));
        }
        let rx = rx(&sys, "e");
        assert_eq!(rx.len(), 11);
        assert_eq!(rx[10].rps_cpus, Reading::Value(vec![1, 3]));
        assert!(matches!(rx[10].rps_flow_cnt, Reading::Absent(_)));
        assert!(tx(&sys, "e").is_empty());
    }

    #[test]
    fn a_listing_that_fails_is_not_an_interface_without_queues() {
        let queues = rx(&FakeSys::new(), "gone");
        assert!(matches!(queues[0].rps_cpus, Reading::Absent(_)));
    }
}
