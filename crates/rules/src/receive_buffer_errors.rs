//! Datagrams lost because a socket's receive buffer was full.

use lowlat_model::op::Target;
use lowlat_model::{Severity, defaults};

use crate::look::{finding, number, set, with, within};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// UDP datagrams that arrived and were dropped because the receive buffer of their socket was full, or a default
    /// receive buffer below the kernel's own.
    /// ## Why it matters
    /// The packet came all the way and is lost at the last step; for a request over UDP that means a timeout. Small
    /// datagrams fill a buffer faster than their size suggests, because each one counts with all the memory it
    /// occupies: 64 bytes of payload count as about 768 bytes on a veth link, and as a whole receive buffer of about
    /// 2304 bytes where a driver builds the packet in place, as igb does. The kernel's default of 212992 bytes
    /// therefore holds some 277 of them, or 92.
    /// ## Threshold
    /// Any growth of `Udp.RcvbufErrors` or `Udp6RcvbufErrors` in the counter window; or `net.core.rmem_default` below
    /// the kernel's own default: 212992 bytes, on 32-bit machines 163840.
    /// ## Remedy
    /// Set a larger `SO_RCVBUF` in the program that loses datagrams, and make its reader keep up. For programs that set
    /// none, raise `net.core.rmem_default`; `net.core.rmem_max` limits what a program may ask for. A larger buffer
    /// absorbs a burst; it does not help a reader that is always too slow.
    pub ReceiveBufferErrors = "receive-buffer-errors";
    counted_by "snmp" "Udp.RcvbufErrors";
    sources [
        "Documentation/admin-guide/sysctl/net.rst in linux 6.12: rmem_default, rmem_max",
        "include/net/sock.h in linux 6.12: SK_RMEM_MAX = 256 x SKB_TRUESIZE(256) = 212992",
        "net/ipv4/udp.c in linux 6.12: __udp_queue_rcv_skb",
        "drivers/net/ethernet/intel/igb/igb_main.c in linux 6.12: igb_build_skb",
        "measured: veth, linux 6.18: a 64 byte datagram is charged with 768 bytes",
    ];
    follows ["steal-time", "cpu-quota-throttled", "thermal-throttling", "swapping"];
}

/// What is tried: room for some 1365 small datagrams.
const ROOM: u64 = 1 << 20;
/// No more than this: a queue that long is latency, not safety.
const MOST: u64 = 16 << 20;

fn look(input: &Input<'_>, seen: &mut Seen) {
    let default = number(seen, input.facts, "net.core.rmem_default");
    let max = number(seen, input.facts, "net.core.rmem_max");
    let mut evidence = Vec::new();
    let mut lost = false;
    if let Some(window) = seen.window(input) {
        if let Some(by) = seen.growth(window, "snmp", "Udp.RcvbufErrors").filter(|by| *by > 0) {
            evidence.push(format!("Udp.RcvbufErrors grew by {by} {} (/proc/net/snmp)", within(window)));
        }
        // A kernel without IPv6 has no such table; that is not a fact missed.
        if let Some(by) = window.delta("snmp6", "Udp6RcvbufErrors").filter(|by| *by > 0) {
            evidence.push(format!("Udp6RcvbufErrors grew by {by} {} (/proc/net/snmp6)", within(window)));
        }
        lost = !evidence.is_empty();
    }
    let host = &input.facts.host;
    let (release, machine) = (host.release.value(), host.machine.value());
    let kernels =
        defaults::number("net.core.rmem_default", 0, release.map(String::as_str), machine.map(String::as_str))
            .unwrap_or_default();
    let small = default.is_some_and(|d| d < kernels);
    if !lost && !small {
        return;
    }
    if let Some(default) = default {
        evidence.push(format!("net.core.rmem_default = {default}; the kernel's own is {kernels}"));
    }
    let mut settings = Vec::new();
    let want = default.map_or(ROOM, |d| d.saturating_mul(2).max(ROOM)).min(MOST);
    if default.is_some_and(|d| d < want) {
        settings.push(set("sysctl.net.core.rmem_default", Target::Host, want));
    }
    if max.is_some_and(|m| m < want) {
        settings.push(set("sysctl.net.core.rmem_max", Target::Host, want));
    }
    let found = finding(
        NAME,
        if lost { Severity::Critical } else { Severity::Warning },
        if lost {
            "received datagrams are lost because socket buffers are full".to_owned()
        } else {
            "the default receive buffer is smaller than the kernel's own".to_owned()
        },
        evidence,
        "set SO_RCVBUF in the program that loses datagrams and make its reader keep up; a larger default helps programs that set none",
    );
    seen.found(with(found, settings));
}

#[cfg(test)]
mod tests {
    use lowlat_model::{Facts, Reading};
    use lowlat_testkit::facts::{deny_group, grow, healthy};

    use super::*;
    use crate::look::test::{blind, only, rule};

    fn settings(facts: &Facts) -> Vec<String> {
        let found = rule(NAME, facts).findings.remove(0);
        found.remedy.settings.iter().map(|s| format!("{}={}", s.knob, s.value)).collect()
    }

    #[test]
    fn lost_datagrams() {
        let mut facts = healthy();
        grow(&mut facts, "snmp", "Udp.RcvbufErrors", 64);
        only(
            NAME,
            &facts,
            &[
                "Udp.RcvbufErrors grew by 64 in 1000 ms (/proc/net/snmp)",
                "net.core.rmem_default = 212992; the kernel's own is 212992",
            ],
            &[],
        );
        assert_eq!(rule(NAME, &facts).findings[0].severity, Severity::Critical);
        assert_eq!(settings(&facts), ["sysctl.net.core.rmem_default=1048576", "sysctl.net.core.rmem_max=1048576"]);
    }

    #[test]
    fn lost_datagrams_over_ipv6() {
        let mut facts = healthy();
        grow(&mut facts, "snmp6", "Udp6RcvbufErrors", 5);
        assert_eq!(
            rule(NAME, &facts).findings[0].evidence[0],
            "Udp6RcvbufErrors grew by 5 in 1000 ms (/proc/net/snmp6)"
        );
    }

    #[test]
    fn a_small_default_is_a_fault_on_its_own() {
        let mut facts = healthy();
        facts.sysctls.insert("net.core.rmem_default".into(), Reading::Value("4096".into()));
        only(NAME, &facts, &["net.core.rmem_default = 4096; the kernel's own is 212992"], &[]);
        assert_eq!(rule(NAME, &facts).findings[0].severity, Severity::Warning);
    }

    #[test]
    fn the_default_of_a_machine_of_32_bits() {
        let mut facts = healthy();
        facts.sysctls.insert("net.core.rmem_default".into(), Reading::Value("163840".into()));
        assert_eq!(rule(NAME, &facts).findings.len(), 1);
        facts.host.machine = Reading::Value("armv7l".into());
        assert_eq!(rule(NAME, &facts), Seen::default());
    }

    #[test]
    fn a_buffer_that_is_large_already_is_not_raised_for_ever() {
        let mut facts = healthy();
        grow(&mut facts, "snmp", "Udp.RcvbufErrors", 1);
        facts.sysctls.insert("net.core.rmem_default".into(), Reading::Value("33554432".into()));
        facts.sysctls.insert("net.core.rmem_max".into(), Reading::Value("33554432".into()));
        assert_eq!(settings(&facts), [""; 0]);
    }

    #[test]
    fn blind_without_counters() {
        let mut facts = healthy();
        deny_group(&mut facts, "snmp");
        blind(NAME, &facts, "counter snmp", "denied");
    }
}
