//! Routes.

use std::collections::BTreeMap;

use lowlat_model::Reading;
use lowlat_model::facts::Route;
use lowlat_sys::{Sys, query};

crate::collector! {
    /// The routes of the main table, each with its interface, its gateway and those of its metrics that affect latency
    /// (`quickack`, `rto_min`). Routes of other tables, which policy rules select, are left out.
    pub ROUTES = "routes";
    reads ["net:routes", "net:links"];
    sources [
        "man 7 rtnetlink (RTM_GETROUTE)",
        "include/uapi/linux/rtnetlink.h in linux 6.12: RTAX_RTO_MIN, RTAX_QUICKACK, RT_TABLE_MAIN",
    ];
}

/// `RT_TABLE_MAIN`.
const MAIN: u32 = 254;

/// All routes of the main table.
pub(crate) fn read(sys: &dyn Sys) -> Reading<Vec<Route>> {
    query::links(sys).and_then(|links| {
        let names: BTreeMap<u32, String> = links.into_iter().map(|l| (l.index, l.name)).collect();
        query::routes(sys).map(|all| {
            let main = all.into_iter().filter(|r| r.table == MAIN && !r.prefix.is_empty());
            main.filter_map(|r| {
                let iface = names.get(&r.oif?)?.clone();
                Some(Route { prefix: r.prefix, iface, gateway: r.gateway, metrics: r.metrics })
            })
            .collect()
        })
    })
}
