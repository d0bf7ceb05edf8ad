//! Queue disciplines.

use lowlat_model::Reading;
use lowlat_model::facts::Qdisc;
use lowlat_sys::{Sys, query};

crate::collector! {
    /// Every queue discipline of the namespace, with its options as far as they could be decoded, its drops and what it
    /// holds now. This is what `tc -s qdisc show` shows, taken from the same netlink dump.
    ///
    /// A discipline with handle `0:` was installed by the kernel itself (`net.core.default_qdisc`).
    pub QDISCS = "qdiscs";
    reads ["net:qdiscs"];
    sources [
        "man 8 tc (TC COMMANDS, show)",
        "net/sched/sch_api.c in linux 6.12: tc_dump_qdisc, tc_fill_qdisc",
    ];
}

/// All queue disciplines.
pub(crate) fn read(sys: &dyn Sys) -> Reading<Vec<Qdisc>> {
    query::qdiscs(sys).map(|all| all.into_iter().map(|q| q.qdisc).collect())
}
