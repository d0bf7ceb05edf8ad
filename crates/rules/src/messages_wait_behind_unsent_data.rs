//! Messages that the application queues in the kernel.

use lowlat_model::Severity;

use crate::look::{few, finding, socket};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// A TCP connection of the application with data that was written and not sent, at both ends of the window.
    /// ## Why it matters
    /// A new message waits for all that was written before it, and can no longer be replaced by a newer one. BBR sends
    /// at the rate that it has measured, so that what is above it waits too.
    /// ## Threshold
    /// More than 16 KiB unsent at the last reading (a heuristic: the size of a new socket's send buffer), and something
    /// in the send queue at both.
    /// ## Remedy
    /// setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &(int){16384}, sizeof(int)) and write when epoll reports room;
    /// a connection of its own for bulk data.
    pub MessagesWaitBehindUnsentData = "messages-wait-behind-unsent-data";
    sources [
        "Documentation/networking/ip-sysctl.rst in linux 6.12: tcp_notsent_lowat, tcp_wmem",
        "man 7 tcp (tcp_wmem)",
        "net/ipv4/tcp_bbr.c in linux 6.12: bbr_get_info, bbr_set_pacing_rate",
        "heuristic: 16 KiB, the send buffer of a new socket",
    ];
    follows ["unsent-data-queued"];
}

const UNSENT: u64 = 16 << 10;

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(application) = &input.facts.application else { return };
    let mut evidence = Vec::new();
    for s in &application.sockets {
        let Some(connection) = s.tcp.as_ref().filter(|c| c.unsent_bytes > UNSENT) else { continue };
        if s.queues.len() < 2 || s.queues.iter().any(|q| q.send == 0) {
            continue;
        }
        let option = seen.need(format!("options of {}", socket(s)), &s.options);
        let low = match option.and_then(|o| o.get("TCP_NOTSENT_LOWAT")) {
            // Zero leaves it to the sysctl, whose default is no limit (include/net/tcp.h, tcp_notsent_lowat;
            // net/ipv4/tcp_ipv4.c, tcp_sk_init).
            Some(0 | 4_294_967_295) => ", TCP_NOTSENT_LOWAT not set".to_owned(),
            Some(bytes) => format!(", TCP_NOTSENT_LOWAT {bytes}"),
            None => String::new(),
        };
        let paced = connection.bbr_rate.map_or_else(String::new, |rate| format!(", at {rate} bytes a second"));
        evidence.push(format!(
            "{}: {} bytes written and not sent, {}{paced}{low}",
            socket(s),
            connection.unsent_bytes,
            connection.algorithm
        ));
    }
    if evidence.is_empty() {
        return;
    }
    seen.found(finding(
        NAME,
        Severity::Warning,
        "the application's messages wait behind data that it wrote before".to_owned(),
        few(evidence),
        "setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &(int){16384}, sizeof(int)) and write when epoll reports room",
    ));
}

#[cfg(test)]
mod tests {
    use lowlat_model::Reading;
    use lowlat_model::application::Queues;
    use lowlat_testkit::application::{of, set_option};
    use lowlat_testkit::facts::healthy;

    use super::*;
    use crate::look::test::{only, rule};

    #[test]
    fn written_and_not_sent() {
        let mut facts = healthy();
        let tcp = &mut of(&mut facts).sockets[0];
        tcp.queues = vec![Queues { receive: 0, send: 90_000 }; 2];
        let connection = tcp.tcp.as_mut().unwrap();
        (connection.unsent_bytes, connection.algorithm) = (20_000, "bbr".into());
        connection.bbr_rate = Some(125_000);
        let socket = "feed[812] fd 7: tcp 192.0.2.1:5000 to 192.0.2.2:40000";
        let line = format!(
            "{socket}: 20000 bytes written and not sent, bbr, at 125000 bytes a second, TCP_NOTSENT_LOWAT not set"
        );
        only(NAME, &facts, &[&line], &[]);
        set_option(&mut facts, 0, "TCP_NOTSENT_LOWAT", 131_072);
        assert!(rule(NAME, &facts).findings[0].evidence[0].ends_with("TCP_NOTSENT_LOWAT 131072"));
        of(&mut facts).sockets[0].queues[0].send = 0;
        assert_eq!(rule(NAME, &facts), Seen::default());
    }

    #[test]
    fn without_options_the_rest_is_said() {
        let mut facts = healthy();
        let tcp = &mut of(&mut facts).sockets[0];
        tcp.options = Reading::Denied("x".into());
        tcp.queues = vec![Queues { receive: 0, send: 90_000 }; 2];
        assert_eq!(rule(NAME, &facts), Seen::default(), "all of it is sent, so nothing is missed");
        of(&mut facts).sockets[0].tcp.as_mut().unwrap().unsent_bytes = 20_000;
        let seen = rule(NAME, &facts);
        assert!(seen.findings[0].evidence[0].ends_with("20000 bytes written and not sent, cubic"));
        assert_eq!(seen.not_seen[0].why, "denied: x");
    }
}
