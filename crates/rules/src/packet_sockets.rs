//! Taps on the network.

use lowlat_model::Severity;

use crate::look::finding;
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// Packet sockets that receive: a forgotten tcpdump, an agent that listens to everything, a DHCP or LLDP daemon.
    /// ## Why it matters
    /// The kernel clones each matching packet for the socket and runs the socket's filter on it, as part of the
    /// packet's own processing. A socket for all protocols (tcpdump) also gets the packets that are sent.
    /// ## Threshold
    /// One socket is enough for the finding, which is `info`. The facts count sockets and do not say which protocol
    /// each one receives, so a DHCP client, which costs nothing on a UDP path, counts like a tcpdump.
    /// ## Remedy
    /// `ss -0 -p` names the programs. Stop those that are not needed. lowlat stops no programs.
    pub PacketSockets = "packet-sockets";
    sources [
        "man 7 packet (ETH_P_ALL)",
        "net/core/dev.c in linux 6.12: dev_queue_xmit_nit, deliver_skb",
    ];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(count) = seen.need("packet sockets", &input.facts.filters.packet_sockets) else { return };
    if *count == 0 {
        return;
    }
    seen.found(finding(
        NAME,
        Severity::Info,
        "packet sockets listen on the network".to_owned(),
        vec![format!("{count} receiving packet sockets (/proc/net/packet)")],
        "`ss -0 -p` names the programs; stop those that are not needed",
    ));
}

#[cfg(test)]
mod tests {
    use lowlat_model::Reading;
    use lowlat_testkit::facts::healthy;

    use super::*;
    use crate::look::test::{blind, only};

    #[test]
    fn one_tap() {
        let mut facts = healthy();
        facts.filters.packet_sockets = Reading::Value(1);
        only(NAME, &facts, &["1 receiving packet sockets (/proc/net/packet)"], &[]);
    }

    #[test]
    fn blind_without_the_table() {
        let mut facts = healthy();
        facts.filters.packet_sockets = Reading::Denied("x".into());
        blind(NAME, &facts, "packet sockets", "denied");
    }
}
