//! Small segments that are held back.

use lowlat_model::Severity;
use lowlat_model::op::Target;

use crate::look::{finding, number, set, with};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// TCP segments that the kernel held back after the program had written them.
    /// ## Why it matters
    /// A segment that is not full waits while an earlier one is still in the queue or the device. TCP_NODELAY does not
    /// prevent that. The message is sent when the device reports the earlier segment as sent, which may take until a
    /// coalesced interrupt.
    /// ## Threshold
    /// `TCPAutoCorking` grew by more than ten a second in the counter window (a heuristic: any bulk writer causes a
    /// few), with `tcp_autocorking` on.
    /// ## Remedy
    /// Write each message with one call; a program that batches on purpose should cork explicitly (TCP_CORK, MSG_MORE).
    /// Then try sysctl.net.ipv4.tcp_autocorking 0 for the whole host.
    pub Autocorking = "autocorking";
    sources [
        "Documentation/networking/ip-sysctl.rst in linux 6.12: tcp_autocorking",
        "net/ipv4/tcp.c in linux 6.12: tcp_should_autocork, tcp_push (TCPAutoCorking)",
        "heuristic: ten a second",
    ];
}

const PER_SECOND: f64 = 10.0;

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(window) = seen.window(input) else { return };
    let evidence = seen.grown(window, "netstat", &["TcpExt.TCPAutoCorking"], "/proc/net/netstat");
    if evidence.is_empty() || window.rate("netstat", "TcpExt.TCPAutoCorking").is_none_or(|rate| rate <= PER_SECOND) {
        return;
    }
    let on = number(seen, input.facts, "net.ipv4.tcp_autocorking").is_some_and(|n| n != 0);
    let found = finding(
        NAME,
        Severity::Info,
        "TCP holds back small segments (autocorking)".to_owned(),
        evidence,
        "write whole messages; then try net.ipv4.tcp_autocorking 0",
    );
    seen.found(with(found, on.then(|| set("sysctl.net.ipv4.tcp_autocorking", Target::Host, 0))));
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::facts::{deny_group, grow, healthy};

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn held_back_often() {
        let mut facts = healthy();
        grow(&mut facts, "netstat", "TcpExt.TCPAutoCorking", 10);
        assert_eq!(rule(NAME, &facts), Seen::default());
        grow(&mut facts, "netstat", "TcpExt.TCPAutoCorking", 90);
        only(NAME, &facts, &["TcpExt.TCPAutoCorking grew by 100 in 1000 ms (/proc/net/netstat)"], &[]);
        assert_eq!(rule(NAME, &facts).findings[0].remedy.settings[0].value, "0");
        deny_group(&mut facts, "netstat");
        blind(NAME, &facts, "netstat", "denied");
    }
}
