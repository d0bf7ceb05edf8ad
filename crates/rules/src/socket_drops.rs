//! Packets that reached a socket and found no room.

use lowlat_model::Severity;

use crate::look::{few, finding, socket};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// A socket of the application that dropped packets within the window, with the process that has it open.
    /// ## Why it matters
    /// A datagram that finds the receive buffer full is lost. UDP also counts datagrams that the socket's filter
    /// refuses and those with a wrong checksum. TCP counts segments that it refuses for any reason (out of the window,
    /// damaged, no memory), which are sent again, and at a listening socket connections that it could not take.
    /// ## Threshold
    /// Any growth within the window, on UDP a loss, on TCP a delay.
    /// ## Remedy
    /// Read faster: a thread of its own for the socket, recvmmsg, no work between two reads. For bursts a larger buffer:
    /// setsockopt(fd, SOL_SOCKET, SO_RCVBUF, …), up to net.core.rmem_max, or SO_RCVBUFFORCE with CAP_NET_ADMIN.
    pub SocketDrops = "socket-drops";
    sources [
        "include/uapi/linux/sock_diag.h in linux 6.12: SK_MEMINFO_DROPS",
        "net/ipv4/udp.c in linux 6.12: __udp_enqueue_schedule_skb, udp_queue_rcv_one_skb (sk_drops)",
        "net/ipv4/tcp_input.c in linux 6.12: tcp_drop_reason",
        "include/net/tcp.h in linux 6.12: tcp_listendrop",
        "man 7 socket (SO_RCVBUF, SO_RCVBUFFORCE)",
    ];
    follows ["receive-buffer-errors"];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(application) = &input.facts.application else { return };
    let (mut evidence, mut lost) = (Vec::new(), false);
    for s in &application.sockets {
        let Some(total) = seen.need(format!("drops of {}", socket(s)), &s.drops) else { continue };
        let Some(by) = s.drops_grown else {
            seen.missing("drops of the application's sockets", "absent: they were read once, without a window");
            continue;
        };
        if by > 0 {
            lost |= s.protocol == "udp";
            let room = s.receive_buffer.value().map_or_else(String::new, |b| format!(", receive buffer {b} bytes"));
            evidence.push(format!("{}: {by} dropped in the window, {total} since it was made{room}", socket(s)));
        }
    }
    if evidence.is_empty() {
        return;
    }
    seen.found(finding(
        NAME,
        if lost { Severity::Critical } else { Severity::Warning },
        "sockets of the application drop packets".to_owned(),
        few(evidence),
        "read faster (a thread of its own, recvmmsg); for bursts setsockopt(fd, SOL_SOCKET, SO_RCVBUF, …) up to net.core.rmem_max",
    ));
}

#[cfg(test)]
mod tests {
    use lowlat_model::Reading;
    use lowlat_testkit::application::of;
    use lowlat_testkit::facts::healthy;

    use super::*;
    use crate::look::test::{blind, only, rule};

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
