//! TCP data thrown away at the receiver.

use lowlat_model::op::Target;
use lowlat_model::{Severity, defaults};

use crate::look::{finding, set, with, within};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// TCP segments that arrived and were dropped, or receive queues that the kernel had to collapse, because a
    /// connection's receive memory was used up.
    /// ## Why it matters
    /// A dropped segment must be sent again, a round trip or a retransmission timeout later; collapsing the queue takes
    /// time on the CPU that receives.
    /// ## Threshold
    /// Any growth of `TCPRcvQDrop`, `PruneCalled`, `RcvPruned` or `OfoPruned` in the counter window. On a host that
    /// keeps up none of them grows.
    /// ## Remedy
    /// Make the reader faster first. Then raise the third number of `net.ipv4.tcp_rmem`, the limit of autotuning;
    /// 32 MiB is the default of kernels from 6.16 on. Where somebody has lowered its second number, the size with which
    /// a connection starts, as older guides do (87380), raise that to the kernel's default of 131072.
    pub TcpReceivePruned = "tcp-receive-pruned";
    counted_by "netstat" "TcpExt.PruneCalled";
    sources [
        "Documentation/networking/snmp_counter.rst in linux 6.12: TcpExtPruneCalled, TcpExtRcvPruned, TcpExtOfoPruned",
        "net/ipv4/proc.c in linux 6.12: snmp4_net_list (TCPRcvQDrop)",
        "Documentation/networking/ip-sysctl.rst in linux 6.12: tcp_rmem",
        "net/ipv4/tcp_input.c in linux 6.12: tcp_prune_queue, tcp_data_queue",
        "net/ipv4/tcp.c in linux 6.12: tcp_init (6 MiB)",
        "linux commit 572be9bf9d0d: tcp: increase tcp_rmem[2] to 32 MB (6.16)",
        "measured: linux 6.18, tcp_rmem 4096 131072 33554432",
    ];
    follows ["steal-time", "cpu-quota-throttled", "swapping"];
}

const COUNTERS: [&str; 4] = ["TCPRcvQDrop", "PruneCalled", "RcvPruned", "OfoPruned"];
/// The release whose defaults are tried: its largest buffer is what later kernels have too.
const OF: &str = "6.16";

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(window) = seen.window(input) else { return };
    let evidence: Vec<String> = COUNTERS
        .iter()
        .filter_map(|key| {
            let by = seen.growth(window, "netstat", &format!("TcpExt.{key}")).filter(|by| *by > 0)?;
            Some(format!("TcpExt.{key} grew by {by} {} (/proc/net/netstat)", within(window)))
        })
        .collect();
    if evidence.is_empty() {
        return;
    }
    let rmem = input.facts.sysctls.get("net.ipv4.tcp_rmem").and_then(|r| seen.need("sysctl net.ipv4.tcp_rmem", r));
    let newest = |place| defaults::number("net.ipv4.tcp_rmem", place, Some(OF), None);
    let setting = rmem.and_then(|text| {
        let (own_start, own_most) = (newest(1)?, newest(2)?);
        let [min, default, max] = text.split_whitespace().collect::<Vec<_>>()[..] else { return None };
        let (start, most) = (default.parse::<u64>().ok()?, max.parse::<u64>().ok()?);
        let want = format!("{min} {} {}", start.max(own_start), most.max(own_most));
        (start < own_start || most < own_most).then(|| set("sysctl.net.ipv4.tcp_rmem", Target::Host, want))
    });
    let found = finding(
        NAME,
        Severity::Critical,
        "received TCP data is dropped for lack of receive memory".to_owned(),
        evidence,
        "make the program that reads faster; then raise what receive buffers may grow to (net.ipv4.tcp_rmem, third number)",
    );
    seen.found(with(found, setting));
}

#[cfg(test)]
mod tests {
    use lowlat_model::Reading;
    use lowlat_testkit::facts::{deny_group, grow, healthy};

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn pruned_queues() {
        let mut facts = healthy();
        grow(&mut facts, "netstat", "TcpExt.PruneCalled", 9);
        only(NAME, &facts, &["TcpExt.PruneCalled grew by 9 in 1000 ms (/proc/net/netstat)"], &[]);
        assert_eq!(rule(NAME, &facts).findings[0].remedy.settings[0].value, "4096 131072 33554432");
        facts.sysctls.insert("net.ipv4.tcp_rmem".into(), Reading::Value("4096\t131072\t33554432".into()));
        assert!(rule(NAME, &facts).findings[0].remedy.settings.is_empty(), "it is there already");
    }

    #[test]
    fn blind_without_counters() {
        let mut facts = healthy();
        deny_group(&mut facts, "netstat");
        blind(NAME, &facts, "counter netstat", "denied");
    }
}
