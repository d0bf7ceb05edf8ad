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
    /// In the counter window more than one allocation in ten was slow, and at least 1 000 were (heuristics). A slow
    /// allocation of single pages fetches up to 64 and counts once; the others count as fast when they are taken. So the
    /// share of new pages is larger than this one, and a driver that uses no page again may stay below it. Pools count
    /// where the kernel has `CONFIG_PAGE_POOL_STATS`.
    /// ## Remedy
    /// Pages do not come back in time: programs hold packets in their sockets (a slow reader, large receive buffers), or
    /// the ring is larger than the pool. `alloc-refill` and `recycle-ring-full` show which.
    pub ReceivePagesNotRecycled = "receive-pages-not-recycled";
    sources [
        "Documentation/networking/page_pool.rst in linux 6.12: Stats API and structures",
        "Documentation/netlink/specs/netdev.yaml in linux 6.12: page-pool-stats-get",
        "net/core/page_pool.c in linux 6.12: __page_pool_alloc_pages_slow, __page_pool_get_cached",
        "heuristic: one in ten, 1 000 allocations",
        "not confirmed: the durations of the two kinds of allocation",
    ];
    follows ["receive-buffer-errors", "tcp-receive-pruned", "memory-reclaim-stalls"];
}

const ONE_IN: u64 = 10;
const AT_LEAST: u64 = 1_000;

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
        let (slow, quick) = (of("alloc-slow"), of("alloc-fast") + of("alloc-refill"));
        if slow < AT_LEAST || slow * ONE_IN <= slow + quick {
            continue;
        }
        let mut evidence = vec![format!(
            "{name} took {slow} of {} receive pages from the page allocator {}",
            slow + quick,
            within(window)
        )];
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
        grow(&mut facts, "pagepool/eth0", "alloc-slow", 900);
        assert_eq!(rule(NAME, &facts), Seen::default());
        grow(&mut facts, "pagepool/eth0", "alloc-slow", 29_100);
        grow(&mut facts, "pagepool/eth0", "recycle-ring-full", 7);
        let said = [
            "eth0 took 30000 of 120000 receive pages from the page allocator in 1000 ms",
            "recycle-ring-full grew by 7",
        ];
        only(NAME, &facts, &said, &[]);
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
