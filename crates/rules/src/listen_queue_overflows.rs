//! Connections that nobody accepts in time.

use lowlat_model::Severity;
use lowlat_model::op::Target;

use crate::look::{finding, number, set, with};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// Completed handshakes that were dropped because the listener's queue was full.
    /// ## Why it matters
    /// The client believes that it is connected. What it sends is dropped until the server sends its part of the
    /// handshake again, after one second and then after two; new clients get no answer at all meanwhile.
    /// ## Threshold
    /// Any growth of `ListenOverflows` in the counter window.
    /// ## Remedy
    /// Make the server accept faster. The length of its queue is the smaller of the backlog it passed to listen() and
    /// sysctl.net.core.somaxconn: raise both, and restart the server.
    pub ListenQueueOverflows = "listen-queue-overflows";
    sources [
        "net/ipv4/tcp_ipv4.c in linux 6.12: tcp_v4_syn_recv_sock (LINUX_MIB_LISTENOVERFLOWS)",
        "net/ipv4/tcp_input.c in linux 6.12: tcp_conn_request (sk_acceptq_is_full)",
        "Documentation/networking/ip-sysctl.rst in linux 6.12: somaxconn",
        "Documentation/networking/snmp_counter.rst in linux 6.12: TcpExtListenOverflows and TcpExtListenDrops",
    ];
    follows ["steal-time", "cpu-quota-throttled", "swapping"];
}

/// A queue longer than this only hides a server that does not keep up.
const LONGEST: u64 = 65_535;

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(window) = seen.window(input) else { return };
    let mut evidence = seen.grown(window, "netstat", &["TcpExt.ListenOverflows"], "/proc/net/netstat");
    if evidence.is_empty() {
        return;
    }
    let most = number(seen, input.facts, "net.core.somaxconn");
    evidence.extend(most.map(|most| format!("net.core.somaxconn = {most}")));
    let found = finding(
        NAME,
        Severity::Critical,
        "connections are dropped because the server does not accept them in time".to_owned(),
        evidence,
        "make the server accept faster; raise its own backlog with net.core.somaxconn, and start it again",
    );
    let longer = most.map(|most| set("sysctl.net.core.somaxconn", Target::Host, most.saturating_mul(2).min(LONGEST)));
    seen.found(with(found, longer));
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::facts::{deny_group, grow, healthy};

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn a_full_queue() {
        let mut facts = healthy();
        grow(&mut facts, "netstat", "TcpExt.ListenOverflows", 6);
        only(
            NAME,
            &facts,
            &["TcpExt.ListenOverflows grew by 6 in 1000 ms (/proc/net/netstat)", "net.core.somaxconn = 4096"],
            &[],
        );
        assert_eq!(rule(NAME, &facts).findings[0].remedy.settings[0].value, "8192");
        deny_group(&mut facts, "netstat");
        blind(NAME, &facts, "netstat", "denied");
    }
}
