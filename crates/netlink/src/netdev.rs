//! The `netdev` family (Linux 6.3): what XDP can do on a device, the values of each NAPI instance, and the statistics of
//! each queue.

use std::collections::BTreeMap;

use crate::attr::{Attr, Attrs};
use crate::genl::GenericFamily;
use crate::route::link;
use crate::{Error, Malformed};

const CMD_DEV_GET: u8 = 1;
const CMD_NAPI_GET: u8 = 11;
const CMD_PAGE_POOL_STATS_GET: u8 = 9;
const CMD_QSTATS_GET: u8 = 12;
const CMD_NAPI_SET: u8 = 14;
const A_POOL_STATS_INFO: u16 = 1;
const A_POOL_IFINDEX: u16 = 2;
const A_DEV_IFINDEX: u16 = 1;
const A_DEV_XDP_FEATURES: u16 = 3;
const A_NAPI_IFINDEX: u16 = 1;
const A_NAPI_ID: u16 = 2;
const A_NAPI_IRQ: u16 = 3;
const A_QSTATS_IFINDEX: u16 = 1;
const A_QSTATS_TYPE: u16 = 2;
const A_QSTATS_QUEUE: u16 = 3;
const A_QSTATS_SCOPE: u16 = 4;
/// `NETDEV_QSTATS_SCOPE_QUEUE`.
const SCOPE_QUEUE: u32 = 1;

/// Statistics of one queue that are read (`NETDEV_A_QSTATS_*`, include/uapi/linux/netdev.h, Linux 6.12).
pub const QUEUE_STATISTICS: &[(&str, u16)] = &[
    ("rx-packets", 8),
    ("tx-packets", 10),
    ("rx-alloc-fail", 12),
    ("rx-hw-drops", 13),
    ("rx-hw-drop-overruns", 14),
    ("rx-hw-drop-ratelimits", 23),
    ("tx-hw-drops", 24),
    ("tx-hw-drop-errors", 25),
    ("tx-hw-drop-ratelimits", 32),
];

/// Statistics of a page pool that are read (`NETDEV_A_PAGE_POOL_STATS_*`, Linux 6.8): where pages came from, and what became
/// of those that came back.
pub const POOL_STATISTICS: &[(&str, u16)] = &[
    ("alloc-fast", 8),
    ("alloc-slow", 9),
    ("alloc-slow-high-order", 10),
    ("alloc-refill", 12),
    ("recycle-ring-full", 17),
    ("recycle-released-refcnt", 18),
];

/// Values of one instance that can be set, and their attributes (include/uapi/linux/netdev.h): the first three since
/// Linux 6.13, the last since 6.17. A write of the device's own value overwrites that of each instance
/// (`netdev_set_gro_flush_timeout`, net/core/dev.h; `netif_set_threaded`, net/core/dev.c).
pub const NAPI_PARAMS: &[(&str, u16)] =
    &[("defer-hard-irqs", 5), ("gro-flush-timeout", 6), ("irq-suspend-timeout", 7), ("threaded", 8)];

/// Bits of `enum netdev_xdp_act` (include/uapi/linux/netdev.h, Linux 6.12), in order.
const XDP_FEATURES: &[&str] = &["basic", "redirect", "ndo-xmit", "xsk-zerocopy", "hw-offload", "rx-sg", "ndo-xmit-sg"];

/// The XDP features of an interface.
pub fn xdp_features(iface: &str) -> Result<Vec<String>, Error> {
    let what = format!("ask the XDP features of {iface}");
    let index = link::index(iface)?;
    let replies = GenericFamily::open("netdev", 1)?.ask(&what, CMD_DEV_GET, |m| m.u32(A_DEV_IFINDEX, index))?;
    let first = replies.first().ok_or_else(|| Error::malformed(&what, Malformed::new("no reply")))?;
    parse_xdp_features(first).map_err(|e| Error::malformed(&what, e))
}

/// Reads the attributes of a `dev-get` reply. Bits this build has no name for are given as `bit-N`.
pub fn parse_xdp_features(attrs: &[u8]) -> Result<Vec<String>, Malformed> {
    let bits = Attrs::parse(attrs)?
        .get(A_DEV_XDP_FEATURES)
        .and_then(Attr::u64)
        .ok_or_else(|| Malformed::new("a device without its XDP features"))?;
    Ok((0..64)
        .filter(|i| bits >> i & 1 == 1)
        .map(|i| XDP_FEATURES.get(i).map_or_else(|| format!("bit-{i}"), ToString::to_string))
        .collect())
}

/// One NAPI instance (Linux 6.8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NapiMessage {
    /// Interface index.
    pub ifindex: u32,
    /// NAPI id, as `SO_INCOMING_NAPI_ID` gives it.
    pub id: u32,
    /// Its interrupt, where the driver reports.
    pub irq: Option<u32>,
    /// Its own values, by the names of [`NAPI_PARAMS`]; only those that the kernel reports.
    pub values: BTreeMap<String, u64>,
}

/// The NAPI instances of an interface.
pub fn napis(iface: &str) -> Result<Vec<NapiMessage>, Error> {
    let what = format!("ask the NAPI instances of {iface}");
    let index = link::index(iface)?;
    let replies = GenericFamily::open("netdev", 1)?.dump(&what, CMD_NAPI_GET, |m| m.u32(A_NAPI_IFINDEX, index))?;
    replies.iter().map(|r| parse_napi(r).map_err(|e| Error::malformed(&what, e))).collect()
}

/// What each queue of an interface dropped, `rx3.rx-hw-drops`; `EOPNOTSUPP` where the driver has none.
pub fn queue_statistics(iface: &str) -> Result<BTreeMap<String, u64>, Error> {
    let what = format!("ask the queue statistics of {iface}");
    let index = link::index(iface)?;
    let replies = GenericFamily::open("netdev", 1)?
        .dump(&what, CMD_QSTATS_GET, |m| m.u32(A_QSTATS_IFINDEX, index).u32(A_QSTATS_SCOPE, SCOPE_QUEUE))?;
    let mut out = BTreeMap::new();
    for reply in &replies {
        out.extend(parse_queue_statistics(reply).map_err(|e| Error::malformed(&what, e))?);
    }
    Ok(out)
}

/// Reads the attributes of a `qstats-get` reply. A statistic that the driver does not count is not in it.
pub fn parse_queue_statistics(attrs: &[u8]) -> Result<BTreeMap<String, u64>, Malformed> {
    let attrs = Attrs::parse(attrs)?;
    let queue = match (attrs.u32(A_QSTATS_TYPE), attrs.u32(A_QSTATS_QUEUE)) {
        (Some(0), Some(queue)) => format!("rx{queue}"),
        (Some(1), Some(queue)) => format!("tx{queue}"),
        _ => return Err(Malformed::new("statistics of no queue")),
    };
    let value = |(name, kind): &(&str, u16)| Some((format!("{queue}.{name}"), attrs.get(*kind)?.uint()?));
    Ok(QUEUE_STATISTICS.iter().filter_map(value).collect())
}

/// Interface index → what all its page pools count. Needs a kernel with `CONFIG_PAGE_POOL_STATS`; one without says
/// `EOPNOTSUPP`.
pub fn page_pools() -> Result<BTreeMap<u32, BTreeMap<String, u64>>, Error> {
    let what = "ask the page pools";
    let replies = GenericFamily::open("netdev", 1)?.dump(what, CMD_PAGE_POOL_STATS_GET, |m| m)?;
    sum_page_pools(&replies).map_err(|e| Error::malformed(what, e))
}

/// Adds up the replies of `page-pool-stats-get`; a pool of no interface is left out.
pub fn sum_page_pools(replies: &[Vec<u8>]) -> Result<BTreeMap<u32, BTreeMap<String, u64>>, Malformed> {
    let mut all: BTreeMap<u32, BTreeMap<String, u64>> = BTreeMap::new();
    for reply in replies {
        let attrs = Attrs::parse(reply)?;
        let Some(index) = attrs.nested(A_POOL_STATS_INFO)?.u32(A_POOL_IFINDEX) else { continue };
        let of = all.entry(index).or_default();
        for (name, kind) in POOL_STATISTICS {
            if let Some(count) = attrs.get(*kind).and_then(Attr::uint) {
                let sum = of.entry((*name).to_owned()).or_default();
                *sum = sum.saturating_add(count);
            }
        }
    }
    Ok(all)
}

/// Sets one value of one instance.
pub fn set_napi(id: u32, param: &str, value: u64) -> Result<(), Error> {
    let what = format!("set {param} of NAPI instance {id}");
    let Some((_, kind)) = NAPI_PARAMS.iter().find(|(name, _)| *name == param) else {
        return Err(Error::request(&what, format!("there is no parameter {param:?}")));
    };
    // An unsigned number of either width (`NLA_UINT`), where it fits in four bytes in four: defer-hard-irqs takes no
    // more.
    let narrow = u32::try_from(value).map(u32::to_ne_bytes);
    let wide = value.to_ne_bytes();
    let data = narrow.as_ref().map_or(wide.as_slice(), <[u8; 4]>::as_slice);
    GenericFamily::open("netdev", 1)?.ask(&what, CMD_NAPI_SET, |m| m.u32(A_NAPI_ID, id).attr(*kind, data)).map(drop)
}

/// Reads the attributes of a `napi-get` reply.
pub fn parse_napi(attrs: &[u8]) -> Result<NapiMessage, Malformed> {
    let attrs = Attrs::parse(attrs)?;
    match (attrs.u32(A_NAPI_IFINDEX), attrs.u32(A_NAPI_ID)) {
        (Some(ifindex), Some(id)) => {
            let value = |(name, kind): &(&str, u16)| Some(((*name).to_owned(), attrs.get(*kind)?.uint()?));
            let values = NAPI_PARAMS.iter().filter_map(value).collect();
            Ok(NapiMessage { ifindex, id, irq: attrs.u32(A_NAPI_IRQ), values })
        }
        _ => Err(Malformed::new("a NAPI instance without its id")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_statistics_of_a_queue() {
        let bytes = crate::message::attrs(|m| {
            m.u32(A_QSTATS_IFINDEX, 2)
                .u32(A_QSTATS_TYPE, 0)
                .u32(A_QSTATS_QUEUE, 3)
                .u32(8, 100)
                .attr(9, &5u64.to_ne_bytes())
                .attr(14, &7u64.to_ne_bytes())
        });
        let want = BTreeMap::from([("rx3.rx-hw-drop-overruns".to_owned(), 7), ("rx3.rx-packets".to_owned(), 100)]);
        assert_eq!(parse_queue_statistics(&bytes).unwrap(), want);
        assert!(parse_queue_statistics(&crate::message::attrs(|m| m.u32(A_QSTATS_IFINDEX, 2))).is_err());
    }

    #[test]
    fn the_pools_of_one_interface_are_added_up() {
        let pool = |index: Option<u32>, slow: u64| {
            crate::message::attrs(|m| {
                m.nest(A_POOL_STATS_INFO, |m| {
                    let m = m.u32(1, 9);
                    index.map_or(m.clone(), |i| m.u32(A_POOL_IFINDEX, i))
                })
                .u32(8, 50)
                .attr(9, &slow.to_ne_bytes())
            })
        };
        let got = sum_page_pools(&[pool(Some(2), 5), pool(Some(2), 1 << 40), pool(None, 7)]).unwrap();
        assert_eq!(got.keys().collect::<Vec<_>>(), [&2], "a pool of no interface is nobody's");
        assert_eq!((got[&2]["alloc-fast"], got[&2]["alloc-slow"]), (100, (1 << 40) + 5));
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_read(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = (parse_xdp_features(&bytes), parse_napi(&bytes), sum_page_pools(std::slice::from_ref(&bytes)));
        }
    }

    #[test]
    fn an_instance_has_the_values_that_the_kernel_reports() {
        let reply = crate::message::attrs(|m| m.u32(1, 3).u32(2, 8193).u32(5, 2).attr(6, &77_000u64.to_ne_bytes()));
        let napi = parse_napi(&reply).unwrap();
        let values: Vec<_> = napi.values.iter().map(|(k, v)| (k.as_str(), *v)).collect();
        assert_eq!((napi.id, values), (8193, vec![("defer-hard-irqs", 2), ("gro-flush-timeout", 77_000)]));
    }

    #[test]
    fn a_bit_without_a_name_is_not_dropped() {
        let reply = crate::message::attrs(|m| m.attr(A_DEV_XDP_FEATURES, &(1u64 | 8 | 1 << 40).to_ne_bytes()));
        assert_eq!(parse_xdp_features(&reply).unwrap(), ["basic", "xsk-zerocopy", "bit-40"]);
    }
}
