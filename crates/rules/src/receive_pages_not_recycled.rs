//! Receive buffers that are made anew.

use lowlat_model::Severity;

use crate::look::{finding, on_path, within};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// A driver whose receive pages come from the page allocator instead of its own pool.
    /// ## Why it matters
    /// A pool gives pages back in some nanoseconds, already mapped for the device. A page from the allocator has to be
    /// found and mapped, and with an IOMMU entered into its tables, for each packet: a microsecond and more, with a long
    /// tail when memory is short.
    /// ## Threshold
    /// In the counter window more than one page in ten was new, and at least 1 000 were (heuristics). A slow allocation
    /// of single pages counts once and fetches 64, fewer where memory is short; the other 63 count as fast when the
    /// driver takes them. So new pages are taken to be 64 for each slow allocation, but no more than the slow and fast
    /// ones together; blocks of several pages (`alloc-slow-high-order`) count one by one. Pools count where the kernel
    /// has `CONFIG_PAGE_POOL_STATS`.
    /// ## Remedy
    /// Pages do not come back in time: programs hold packets in their sockets (a slow reader, large receive buffers), or
    /// the ring is larger than the pool. `alloc-refill` and `recycle-ring-full` show which.
    pub ReceivePagesNotRecycled = "receive-pages-not-recycled";
    sources [
        "Documentation/networking/page_pool.rst in linux 6.12: Stats API and structures",
        "Documentation/netlink/specs/netdev.yaml in linux 6.12: page-pool-stats-get",
        "net/core/page_pool.c in linux 6.12: __page_pool_alloc_pages_slow, __page_pool_alloc_page_order, __page_pool_get_cached",
        "include/net/page_pool/types.h in linux 6.12: PP_ALLOC_CACHE_REFILL",
        "heuristic: one in ten, 1 000 pages",
        "not confirmed: the durations of the two kinds of allocation",
    ];
    follows ["receive-buffer-errors", "tcp-receive-pruned", "memory-reclaim-stalls"];
}

const ONE_IN: u64 = 10;
const AT_LEAST: u64 = 1_000;
/// Single pages that one slow allocation fetches (PP_ALLOC_CACHE_REFILL).
const BULK: u64 = 64;

/// New pages, and all that the driver took.
fn taken(of: impl Fn(&str) -> u64) -> (u64, u64) {
    let (slow, fast, blocks) = (of("alloc-slow"), of("alloc-fast"), of("alloc-slow-high-order"));
    let new = slow.saturating_mul(BULK).min(slow.saturating_add(fast)).saturating_add(blocks);
    (new, slow.saturating_add(fast).saturating_add(blocks).saturating_add(of("alloc-refill")))
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(window) = seen.window(input) else { return };
    // Where the pools could not be asked at all, the reason is here.
    let _ = seen.counted(window, "pagepool/*");
    for (name, _) in on_path(input.facts) {
        let group = format!("pagepool/{name}");
        if !seen.counted(window, &group) {
            continue;
        }
        let of = |key: &str| window.delta(&group, key).unwrap_or(0);
        let (new, all) = taken(of);
        if new < AT_LEAST || new.saturating_mul(ONE_IN) <= all {
            continue;
        }
        let mut evidence =
            vec![format!("{name} took up to {new} of {all} receive pages from the page allocator {}", within(window))];
        for key in ["recycle-ring-full", "recycle-released-refcnt"] {
            evidence.extend(Some(of(key)).filter(|by| *by > 0).map(|by| format!("{key} grew by {by}")));
        }
        seen.found(finding(
            NAME,
            Severity::Warning,
            format!("{name} makes receive pages anew instead of using them again"),
            evidence,
            "make readers take their packets sooner, and keep the receive ring no larger than it has to be",
        ));
    }
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::facts::{deny_group, grow, healthy};

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn many_and_few() {
        let mut facts = healthy();
        grow(&mut facts, "pagepool/eth0", "alloc-fast", 90_000);
        grow(&mut facts, "pagepool/eth0", "alloc-slow", 100);
        assert_eq!(rule(NAME, &facts), Seen::default(), "6400 of 90100");
        grow(&mut facts, "pagepool/eth0", "alloc-slow", 400);
        grow(&mut facts, "pagepool/eth0", "recycle-ring-full", 7);
        let said = [
            "eth0 took up to 32000 of 90500 receive pages from the page allocator in 1000 ms",
            "recycle-ring-full grew by 7",
        ];
        only(NAME, &facts, &said, &[]);
    }

    /// A driver that uses no page again: each allocation in 64 is slow, and none comes from the ring of returned pages.
    #[test]
    fn a_driver_that_recycles_nothing() {
        let taken = |fast: u64, slow: u64, blocks: u64, refill: u64| {
            super::taken(|key| match key {
                "alloc-fast" => fast,
                "alloc-slow" => slow,
                "alloc-slow-high-order" => blocks,
                "alloc-refill" => refill,
                _ => 0,
            })
        };
        assert_eq!(taken(63_000, 1_000, 0, 0), (64_000, 64_000));
        assert_eq!(taken(90_000, 0, 0, 1_500), (0, 91_500), "all from the ring");
        assert_eq!(taken(0, 0, 5_000, 0), (5_000, 5_000), "blocks are not fetched in bulk");
        assert_eq!(taken(0, 10, 0, 0), (10, 10), "memory is short, and no bulk came");
        assert_eq!(taken(u64::MAX, u64::MAX, 1, 1), (u64::MAX, u64::MAX), "whatever the kernel counts");
    }

    #[test]
    fn blind_where_they_may_not_be_read() {
        let mut facts = healthy();
        deny_group(&mut facts, "pagepool/*");
        blind(NAME, &facts, "counters pagepool/*", "denied");
        let mut facts = healthy();
        deny_group(&mut facts, "pagepool/eth0");
        blind(NAME, &facts, "counters pagepool/eth0", "denied");
    }
}
