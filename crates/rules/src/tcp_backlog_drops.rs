//! Segments for a socket that is being read.

use lowlat_model::Severity;

use crate::look::finding;
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// TCP segments that were dropped because a program held the socket and the socket's backlog was full.
    /// ## Why it matters
    /// While a program is inside a system call on a socket, segments for it wait in its backlog. If the call takes too
    /// long, or the program loses its CPU meanwhile, the backlog overflows. The dropped segments are sent again a round
    /// trip or a timeout later.
    /// ## Threshold
    /// Any growth of `TCPBacklogDrop` in the counter window. The limit is twice the socket's receive buffer and some
    /// more; a host that keeps up does not reach it.
    /// ## Remedy
    /// Make the reading program faster, and make sure that nothing else takes its CPU. A larger receive buffer
    /// (SO_RCVBUF, net.ipv4.tcp_rmem) only absorbs bursts.
    pub TcpBacklogDrops = "tcp-backlog-drops";
    sources [
        "net/ipv4/tcp_ipv4.c in linux 6.12: tcp_add_backlog",
        "net/ipv4/proc.c in linux 6.12: snmp4_net_list (TCPBacklogDrop)",
    ];
    follows ["steal-time", "cpu-quota-throttled", "swapping"];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(window) = seen.window(input) else { return };
    let evidence = seen.grown(window, "netstat", &["TcpExt.TCPBacklogDrop"], "/proc/net/netstat");
    if evidence.is_empty() {
        return;
    }
    seen.found(finding(
        NAME,
        Severity::Critical,
        "received TCP data is dropped while its program holds the socket".to_owned(),
        evidence,
        "make the program that reads faster and see that nothing takes its processor; larger buffers only absorb bursts",
    ));
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::facts::{deny_group, grow, healthy};

    use super::*;
    use crate::look::test::{blind, only};

    #[test]
    fn a_backlog_that_overflows() {
        let mut facts = healthy();
        grow(&mut facts, "netstat", "TcpExt.TCPBacklogDrop", 1);
        only(NAME, &facts, &["TcpExt.TCPBacklogDrop grew by 1 in 1000 ms (/proc/net/netstat)"], &[]);
        deny_group(&mut facts, "netstat");
        blind(NAME, &facts, "netstat", "denied");
    }
}
