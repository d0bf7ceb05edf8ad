//! Packets that reached a socket and found no room.

use lowlat_model::application::OpenSocket;
use lowlat_model::{Severity, Window};

use crate::look::{few, finding, socket, within};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// A socket of the application that dropped packets within the window, with the process that has it open.
    /// ## Why it matters
    /// A datagram that finds the receive buffer full is lost. UDP also counts datagrams that the socket's filter
    /// refuses and those with a wrong checksum. TCP counts segments that it refuses for any reason (out of the window,
    /// damaged, no memory), which are sent again, and at a listening socket connections that it could not take.
    /// ## Threshold
    /// Any growth within the window. A UDP socket that had no room is a loss that the program causes, and critical.
    /// Where the namespace counts errors of UDP in the window and none of them for lack of room or memory, the datagrams
    /// were damaged or refused by a filter; that, and TCP, whose peer sends again, is a warning.
    /// ## Remedy
    /// UDP: read faster (a thread of its own for the socket, recvmmsg, no work between two reads); for bursts a larger
    /// buffer: setsockopt(fd, SOL_SOCKET, SO_RCVBUF, …), up to net.core.rmem_max, or SO_RCVBUFFORCE with CAP_NET_ADMIN. A
    /// listening socket: accept faster, and a longer queue (the backlog of listen(), net.core.somaxconn). Damaged
    /// datagrams: find the device or tunnel that damages them.
    pub SocketDrops = "socket-drops";
    sources [
        "include/uapi/linux/sock_diag.h in linux 6.12: SK_MEMINFO_DROPS",
        "net/ipv4/udp.c in linux 6.12: __udp_enqueue_schedule_skb, udp_queue_rcv_one_skb (sk_drops)",
        "net/ipv4/tcp_input.c in linux 6.12: tcp_drop_reason",
        "include/net/tcp.h in linux 6.12: tcp_listendrop",
        "net/ipv4/udp.c in linux 6.12: __udp_queue_rcv_skb (UDP_MIB_RCVBUFERRORS, UDP_MIB_MEMERRORS, UDP_MIB_INERRORS)",
        "man 7 socket (SO_RCVBUF, SO_RCVBUFFORCE)",
        "man 2 listen (backlog)",
    ];
    follows ["receive-buffer-errors"];
}

/// What a socket dropped, by what is to be done about it. The most serious first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// UDP, no room.
    Full,
    /// UDP, damaged or refused.
    Damaged,
    /// TCP, a connection that was not taken.
    Listener,
    /// TCP, a segment that was refused.
    Segment,
}

impl Kind {
    fn of(socket: &OpenSocket, damaged: bool) -> Self {
        match (socket.protocol.as_str(), socket.state.as_str()) {
            ("udp", _) if damaged => Self::Damaged,
            ("udp", _) => Self::Full,
            (_, "listen") => Self::Listener,
            _ => Self::Segment,
        }
    }

    fn advice(self) -> &'static str {
        match self {
            Self::Full => {
                "read faster (a thread of its own, recvmmsg); for bursts setsockopt(fd, SOL_SOCKET, SO_RCVBUF, …) up to \
                 net.core.rmem_max"
            }
            Self::Damaged => {
                "find what damages datagrams (a device's checksum offload, a tunnel), or look at the filter that the \
                 program attached"
            }
            Self::Listener => "accept faster, and let more wait: the backlog of listen(), up to net.core.somaxconn",
            Self::Segment => "read faster, and see tcp-receive-pruned and retransmits for why segments are refused",
        }
    }
}

/// How much UDP counted of this in the window, IPv4 and IPv6.
fn udp(window: &Window, name: &str) -> u64 {
    let (four, six) = (format!("Udp.{name}"), format!("Udp6{name}"));
    window.delta("snmp", &four).unwrap_or(0) + window.delta("snmp6", &six).unwrap_or(0)
}

/// Errors of UDP in the window, none of them for lack of room: what they are. Where nothing was counted the sockets are of
/// another namespace.
fn damage(window: &Window) -> Option<String> {
    if udp(window, "RcvbufErrors") + udp(window, "MemErrors") > 0 || udp(window, "InErrors") == 0 {
        return None;
    }
    let (errors, sums) = (udp(window, "InErrors"), udp(window, "InCsumErrors"));
    Some(format!(
        "UDP counted {errors} errors {}, {sums} of them wrong checksums, none for lack of room",
        within(window)
    ))
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(application) = &input.facts.application else { return };
    let damage = input.facts.window.as_ref().and_then(damage);
    let (mut evidence, mut kinds) = (Vec::new(), Vec::new());
    for s in &application.sockets {
        let Some(total) = seen.need(format!("drops of {}", socket(s)), &s.drops) else { continue };
        let Some(by) = s.drops_grown else {
            seen.missing("drops of the application's sockets", "absent: they were read once, without a window");
            continue;
        };
        if by > 0 {
            kinds.push(Kind::of(s, damage.is_some()));
            let room = s.receive_buffer.value().map_or_else(String::new, |b| format!(", receive buffer {b} bytes"));
            evidence.push(format!("{}: {by} dropped in the window, {total} since it was made{room}", socket(s)));
        }
    }
    if evidence.is_empty() {
        return;
    }
    kinds.sort_unstable();
    kinds.dedup();
    let mut evidence = few(evidence);
    evidence.extend(damage.filter(|_| kinds.contains(&Kind::Damaged)));
    let advice: Vec<&str> = kinds.iter().map(|k| k.advice()).collect();
    seen.found(finding(
        NAME,
        if kinds.contains(&Kind::Full) { Severity::Critical } else { Severity::Warning },
        "sockets of the application drop packets".to_owned(),
        evidence,
        &advice.join("; "),
    ));
}

#[cfg(test)]
mod tests {
    use lowlat_model::Reading;
    use lowlat_testkit::application::of;
    use lowlat_testkit::facts::{grow, healthy};

    use super::*;
    use crate::look::test::{blind, only, rule};

    /// A datagram with a wrong checksum is no reason to read faster.
    #[test]
    fn damaged_datagrams_are_no_lack_of_room() {
        let mut facts = healthy();
        of(&mut facts).sockets[1].drops_grown = Some(5);
        grow(&mut facts, "snmp", "Udp.InErrors", 5);
        grow(&mut facts, "snmp", "Udp.InCsumErrors", 5);
        let found = rule(NAME, &facts).findings.remove(0);
        assert_eq!(found.severity, Severity::Warning);
        assert_eq!(
            found.evidence[1],
            "UDP counted 5 errors in 1000 ms, 5 of them wrong checksums, none for lack of room"
        );
        assert!(found.remedy.advice.starts_with("find what damages datagrams"), "{}", found.remedy.advice);
        grow(&mut facts, "snmp6", "Udp6InErrors", 1);
        grow(&mut facts, "snmp6", "Udp6RcvbufErrors", 1);
        let found = rule(NAME, &facts).findings.remove(0);
        assert_eq!((found.severity, found.evidence.len()), (Severity::Critical, 1), "one was lost for lack of room");
        assert!(found.remedy.advice.starts_with("read faster"));
    }

    #[test]
    fn a_listener_and_a_connection_have_their_own_advice() {
        let mut facts = healthy();
        of(&mut facts).sockets[0].drops_grown = Some(1);
        let advice = |facts: &lowlat_model::Facts| rule(NAME, facts).findings.remove(0).remedy.advice;
        assert!(advice(&facts).starts_with("read faster, and see tcp-receive-pruned"));
        of(&mut facts).sockets[0].state = "listen".into();
        assert!(advice(&facts).starts_with("accept faster") && !advice(&facts).contains("SO_RCVBUF"));
        of(&mut facts).sockets[1].drops_grown = Some(1);
        assert!(advice(&facts).contains("recvmmsg") && advice(&facts).contains("accept faster"));
    }

    #[test]
    fn each_drop_has_its_owner() {
        let mut facts = healthy();
        let udp = &mut of(&mut facts).sockets[1];
        (udp.drops, udp.drops_grown) = (Reading::Value(12), Some(5));
        let line = "feed[812] fd 8: udp 0.0.0.0:6000: 5 dropped in the window, 12 since it was made, receive buffer 212992 bytes";
        only(NAME, &facts, &[line], &[]);
        assert_eq!(rule(NAME, &facts).findings[0].severity, Severity::Critical);
        of(&mut facts).sockets[1].drops_grown = Some(0);
        of(&mut facts).sockets[0].drops_grown = Some(1);
        assert_eq!(rule(NAME, &facts).findings[0].severity, Severity::Warning, "TCP sends again");
    }

    #[test]
    fn blind_on_an_old_kernel_and_without_a_window() {
        let mut facts = healthy();
        of(&mut facts).sockets[1].drops = Reading::Unsupported("x".into());
        blind(NAME, &facts, "drops of feed[812] fd 8", "unsupported");
        let mut facts = healthy();
        of(&mut facts).sockets[1].drops_grown = None;
        blind(NAME, &facts, "drops of the application", "absent");
    }
}
