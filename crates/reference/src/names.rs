//! Names that people type, and the pages they mean.

use super::{all, find};

/// What people call a thing that has a page under another name: words that no knob and no family claims for itself.
const MEANT: &[(&str, &str)] = &[
    ("bbr", "sysctl.net.core.default_qdisc"),
    ("bpf", "af-xdp"),
    ("chrony", "clock-not-synchronized"),
    ("conntrack", "connection-tracking-full"),
    ("cpufreq", "cpu.governor"),
    ("ebpf", "af-xdp"),
    ("ethtool", "nic-tuning"),
    ("firewall", "long-filter-chain"),
    ("flapping", "link-goes-down"),
    ("intel", "nic-tuning"),
    ("interrupt moderation", "interrupt-coalescing"),
    ("iommu", "strict-iommu"),
    ("iptables", "long-filter-chain"),
    ("jitter", "optimization-patterns"),
    ("ksoftirqd", "softirqs-left-to-threads"),
    ("latency", "optimization-patterns"),
    ("multicast", "socket.multicast"),
    ("netfilter", "long-filter-chain"),
    ("nftables", "long-filter-chain"),
    ("nic", "nic-tuning"),
    ("ntp", "clock-not-synchronized"),
    ("packet loss", "unexplained-drops"),
    ("packet drops", "unexplained-drops"),
    ("pcap", "packet-sockets"),
    ("pinning", "sched.cpu-affinity"),
    ("ptp", "time.ptp4l"),
    ("realtime", "boot.preempt-rt"),
    ("rp_filter", "reverse-path-drops"),
    ("rt", "boot.preempt-rt"),
    ("smi", "system-management-interrupts"),
    ("spectre", "mitigations-in-system-calls"),
    ("swap", "swapping"),
    ("tcpdump", "packet-sockets"),
    ("throttling", "thermal-throttling"),
    ("turbo", "frequency-capped"),
    ("tuning", "optimization-patterns"),
    ("uring", "io-uring"),
    ("wireshark", "packet-sockets"),
    ("xsk", "af-xdp"),
];

/// Shorter parts of names than this are in too many.
const PART: usize = 4;

/// A name without what people write in different ways: `AF_XDP`, `af-xdp` and `af xdp`.
fn plain(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, ' ' | '_' | '-' | '.' | '/')).flat_map(char::to_lowercase).collect()
}

/// Every name that leads to a page, and the page's own.
fn known() -> impl Iterator<Item = (&'static str, &'static str)> {
    let own = all().into_iter().flat_map(|(_, names)| names).map(|name| (name, name));
    let meant = MEANT.iter().map(|(word, page)| (*word, *page));
    let knobs = lowlat_knobs::KNOBS.iter().flat_map(|k| k.meta.also.iter().map(|also| (*also, k.meta.name)));
    let families =
        lowlat_families::FAMILIES.iter().flat_map(|f| f.also.iter().chain(f.drivers).map(|also| (*also, f.name)));
    own.chain(meant).chain(knobs).chain(families)
}

/// The page that is meant by a name: one that differs in case and separators alone, or the only one with it as a part.
pub(super) fn meant(name: &str) -> Option<String> {
    let asked = plain(name);
    if asked.is_empty() {
        return None;
    }
    if let Some((_, page)) = known().find(|(word, _)| plain(word) == asked) {
        return find(page);
    }
    // `busy_poll` is the last part of one knob's name.
    let mut tails =
        lowlat_knobs::KNOBS.iter().filter(|k| k.meta.name.rsplit('.').next().map(plain).as_ref() == Some(&asked));
    if let (Some(knob), None) = (tails.next(), tails.next()) {
        return find(knob.meta.name);
    }
    let mut holding = all().into_iter().flat_map(|(_, names)| names).filter(|n| plain(n).contains(&asked));
    match (holding.next(), holding.next()) {
        (Some(page), None) if asked.len() >= PART => find(page),
        _ => None,
    }
}

/// Names that are nearly this one, each with its page.
pub(super) fn words() -> Vec<&'static str> {
    known().map(|(word, _)| word).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test
mod tests {
    use super::*;
    use crate::page;

    #[test]
    fn every_word_leads_to_a_page_that_is_there() {
        for (word, name) in known() {
            assert!(find(name).is_some(), "{word} means {name}, and no page has that name");
            assert!(page(word).is_ok(), "{word} leads nowhere");
        }
    }

    #[test]
    fn the_words_of_users_lead_to_the_page_they_mean() {
        for (asked, title) in [
            ("onload", "sfc"),
            ("Solarflare", "sfc"),
            ("mellanox", "connectx"),
            ("ConnectX 6", "connectx"),
            ("cx5", "connectx"),
            ("dpdk", "dpdk"),
            ("x710", "i40e"),
            ("E810", "ice"),
            ("82599", "ixgbe"),
            ("i225", "igc"),
            ("i350", "igb"),
            ("aws", "ena"),
            ("ec2", "ena"),
            ("gvnic", "gve"),
            ("google", "gve"),
            ("azure", "netvsc"),
            ("kvm", "virtio"),
            ("virtio-net", "virtio"),
            ("docker", "veth"),
            ("rtl8125", "r8169"),
            ("r8125", "r8169"),
            ("io_uring", "io-uring"),
            ("iouring", "io-uring"),
            ("af xdp", "af-xdp"),
            ("xsk", "af-xdp"),
            ("c-states", "cpu.idle-states"),
            ("cstates", "cpu.idle-states"),
            ("hyperthreading", "cpu.smt"),
            ("turbo", "frequency-capped"),
            ("nagle", "socket.nodelay"),
            ("tcp_nodelay", "socket.nodelay"),
            ("busy poll", "busy-poll"),
            ("busy_read", "sysctl.net.core.busy_read"),
            ("NETDEV_BUDGET", "sysctl.net.core.netdev_budget"),
            ("irq-affinity", "irq.affinity"),
            ("irqbalance", "irq.irqbalance"),
            ("ring buffer", "nic.ring.rx"),
            ("coalescing", "interrupt-coalescing"),
            ("interrupt moderation", "interrupt-coalescing"),
            ("steal", "steal-time"),
            ("clocksource", "clocksource-not-tsc"),
            ("netem", "netem-on-path"),
            ("SMI", "system-management-interrupts"),
            ("huge pages", "memory.hugepages"),
            ("jitter", "optimization-patterns"),
            ("kernel bypass", "kernel-bypass"),
        ] {
            let found = page(asked).unwrap_or_else(|why| panic!("{why}"));
            assert!(
                found.starts_with(&format!("# {title}\n")) || title.contains("patterns") || title.contains("bypass"),
                "{asked}: {}",
                found.lines().next().unwrap()
            );
        }
    }

    #[test]
    fn a_word_without_a_page_names_pages_that_speak_of_it() {
        let why = |name: &str| page(name).unwrap_err().to_string();
        assert!(why("retrans").contains("retransmits"), "{}", why("retrans"));
        assert!(why("melanox").contains("did you mean mellanox"), "{}", why("melanox"));
        assert!(why("jumbo").contains("no such page"), "{}", why("jumbo"));
        assert!(why("gratuitous").ends_with("searches them"), "{}", why("gratuitous"));
    }
}
