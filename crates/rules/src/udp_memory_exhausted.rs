//! Datagrams lost because UDP as a whole may take no more memory.

use lowlat_model::{Reading, Severity, Window};

use crate::look::{finding, within};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// UDP datagrams that arrived and were dropped because all UDP sockets together had reached the limit of `udp_mem`.
    /// ## Why it matters
    /// The socket that loses datagrams may have an empty buffer: others have used up the memory. Larger socket buffers
    /// make it worse.
    /// ## Threshold
    /// Any growth of `Udp.MemErrors` or `Udp6MemErrors` in the counter window (counted from 5.11 on). Older kernels
    /// count such losses in `Udp.InErrors` alone: there it is a warning where that grew by more than `RcvbufErrors` and
    /// `InCsumErrors` together, because datagrams that a socket's filter refuses count there too.
    /// ## Remedy
    /// Find the sockets whose queues are full (`ss -uam`) and their readers. Then raise the third number of
    /// `net.ipv4.udp_mem`, the limit in pages. Smaller socket buffers help where many sockets have huge ones.
    pub UdpMemoryExhausted = "udp-memory-exhausted";
    counted_by "snmp" "Udp.MemErrors";
    sources [
        "Documentation/networking/ip-sysctl.rst in linux 6.12: udp_mem",
        "net/ipv4/udp.c in linux 6.12: __udp_queue_rcv_skb (UDP_MIB_MEMERRORS)",
        "linux commit a3ce2b109a59ee9670706ae8126dcc04cfe261cd: net: udp: introduce UDP_MIB_MEMERRORS for udp_mem",
        "https://github.com/splunk/splunk-connect-for-syslog/issues/2604",
    ];
    follows ["steal-time", "cpu-quota-throttled", "swapping"];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(window) = seen.window(input) else { return };
    let mut evidence = Vec::new();
    // Kernels before 5.11 do not count it, and one without IPv6 has no such table.
    for (group, key, file) in
        [("snmp", "Udp.MemErrors", "/proc/net/snmp"), ("snmp6", "Udp6MemErrors", "/proc/net/snmp6")]
    {
        if let Some(by) = window.delta(group, key).filter(|by| *by > 0) {
            evidence.push(format!("{key} grew by {by} {} ({file})", within(window)));
        }
    }
    let certain = !evidence.is_empty();
    evidence.extend(unnamed(window));
    if group_denied(seen, input) || evidence.is_empty() {
        return;
    }
    if let Some(limits) = input.facts.sysctl("net.ipv4.udp_mem") {
        let limits: Vec<&str> = limits.split_whitespace().collect();
        evidence.push(format!("net.ipv4.udp_mem = {} (pages; the third is the limit)", limits.join(" ")));
    }
    seen.found(finding(
        NAME,
        if certain { Severity::Critical } else { Severity::Warning },
        "received datagrams are lost because UDP has no memory left".to_owned(),
        evidence,
        "find the sockets with full queues (ss -uam); then a larger third number of net.ipv4.udp_mem, or smaller socket buffers",
    ));
}

/// Errors without a cause of their own, of a kernel that does not count those for lack of memory apart.
fn unnamed(window: &Window) -> Option<String> {
    if window.after.get("snmp", "Udp.MemErrors").is_some() {
        return None;
    }
    let grown = |key: &str| window.delta("snmp", key).unwrap_or(0);
    let rest = grown("Udp.InErrors").saturating_sub(grown("Udp.RcvbufErrors") + grown("Udp.InCsumErrors"));
    (rest > 0).then(|| {
        format!(
            "Udp.InErrors grew by {rest} beyond RcvbufErrors and InCsumErrors {}; this kernel does not count MemErrors",
            within(window)
        )
    })
}

/// Says it where the table may not be read.
fn group_denied(seen: &mut Seen, input: &Input<'_>) -> bool {
    let table = input.facts.window.as_ref().and_then(|w| w.after.groups.get("snmp"));
    match table {
        Some(Reading::Value(_)) | None => false,
        Some(other) => {
            seen.need("counters snmp", other);
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::facts::{deny_group, grow, healthy};

    use super::*;
    use crate::look::test::{blind, only};

    #[test]
    fn no_memory_for_udp() {
        let mut facts = healthy();
        facts.sysctls.insert("net.ipv4.udp_mem".into(), Reading::Value("190000\t253334\t380000".into()));
        grow(&mut facts, "snmp", "Udp.MemErrors", 7);
        let want = [
            "Udp.MemErrors grew by 7 in 1000 ms (/proc/net/snmp)",
            "net.ipv4.udp_mem = 190000 253334 380000 (pages; the third is the limit)",
        ];
        only(NAME, &facts, &want, &[]);
    }

    #[test]
    fn the_same_over_ipv6() {
        let mut facts = healthy();
        grow(&mut facts, "snmp6", "Udp6MemErrors", 7);
        only(NAME, &facts, &["Udp6MemErrors grew by 7 in 1000 ms (/proc/net/snmp6)"], &[]);
    }

    #[test]
    fn blind_without_the_table() {
        let mut facts = healthy();
        deny_group(&mut facts, "snmp");
        blind(NAME, &facts, "snmp", "denied");
    }
}
