//! A socket whose buffer was made smaller than the kernel's own.

use lowlat_model::{Facts, Severity};

use crate::look::{few, finding, number, socket};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// A socket of the application with a buffer below the one that the kernel gives every socket.
    /// ## Why it matters
    /// A small receive buffer drops datagrams of a short burst, and closes TCP's window; a small send buffer makes the
    /// writer sleep. The size counts the memory of the packets and not only their data: at least half a KiB more for
    /// each. SO_RCVBUF and SO_SNDBUF also end TCP's own choice of the size.
    /// ## Threshold
    /// Below net.core.rmem_default or wmem_default for UDP, below the second figure of net.ipv4.tcp_rmem or tcp_wmem
    /// for an established TCP connection. The kernel does not go below these on its own, except with TCP's send buffer
    /// where memory is short. A socket that is older than a change of these is reported too.
    /// ## Remedy
    /// Leave out SO_RCVBUF and SO_SNDBUF for TCP. For UDP ask for what the longest burst needs, up to
    /// net.core.rmem_max.
    pub SocketBufferSmall = "socket-buffer-small";
    sources [
        "man 7 socket (SO_RCVBUF, SO_SNDBUF), man 7 tcp (tcp_rmem, tcp_wmem)",
        "net/core/sock.c in linux 6.12: __sock_set_rcvbuf, sock_init_data_uid",
        "net/ipv4/tcp.c in linux 6.12: tcp_init_sock",
        "include/net/sock.h in linux 6.12: sk_stream_moderate_sndbuf",
        "include/linux/skbuff.h in linux 6.12: SKB_TRUESIZE",
        "Documentation/networking/ip-sysctl.rst in linux 6.12: tcp_rmem, tcp_wmem (automatic tuning)",
    ];
}

/// The second of a sysctl's three figures.
fn middle(seen: &mut Seen, facts: &Facts, key: &str) -> Option<u64> {
    let Some(reading) = facts.sysctls.get(key) else {
        seen.missing(format!("sysctl {key}"), "absent: it was not read");
        return None;
    };
    seen.need(format!("sysctl {key}"), reading)?.split_whitespace().nth(1)?.parse().ok()
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(application) = &input.facts.application else { return };
    let facts = input.facts;
    let mut evidence = Vec::new();
    for s in &application.sockets {
        let least = match (s.protocol.as_str(), s.state.as_str()) {
            ("udp", _) => [number(seen, facts, "net.core.rmem_default"), number(seen, facts, "net.core.wmem_default")],
            (_, "established") => [middle(seen, facts, "net.ipv4.tcp_rmem"), middle(seen, facts, "net.ipv4.tcp_wmem")],
            _ => continue,
        };
        for (what, is, least) in [("receive", &s.receive_buffer, least[0]), ("send", &s.send_buffer, least[1])] {
            let Some(is) = seen.need(format!("{what} buffer of {}", socket(s)), is) else { continue };
            if let Some(least) = least.filter(|least| is < least) {
                evidence.push(format!("{}: {what} buffer {is} bytes, the kernel's own is {least}", socket(s)));
            }
        }
    }
    if evidence.is_empty() {
        return;
    }
    seen.found(finding(
        NAME,
        Severity::Warning,
        "the application made socket buffers smaller than the kernel's own".to_owned(),
        few(evidence),
        "leave out SO_RCVBUF and SO_SNDBUF for TCP; for UDP ask for what the longest burst needs, up to net.core.rmem_max",
    ));
}

#[cfg(test)]
mod tests {
    use lowlat_model::Reading;
    use lowlat_testkit::application::of;
    use lowlat_testkit::facts::healthy;

    use super::*;
    use crate::look::test::{blind, only};

    #[test]
    fn smaller_than_the_kernels_own() {
        let mut facts = healthy();
        of(&mut facts).sockets[0].receive_buffer = Reading::Value(131_071);
        of(&mut facts).sockets[1].send_buffer = Reading::Value(4_608);
        let lines = [
            "feed[812] fd 7: tcp 192.0.2.1:5000 to 192.0.2.2:40000: receive buffer 131071 bytes, the kernel's own is 131072",
            "feed[812] fd 8: udp 0.0.0.0:6000: send buffer 4608 bytes, the kernel's own is 212992",
        ];
        only(NAME, &facts, &lines, &[]);
    }

    #[test]
    fn blind_where_the_size_is_not_shown() {
        let mut facts = healthy();
        of(&mut facts).sockets[1].receive_buffer = Reading::Unsupported("x".into());
        blind(NAME, &facts, "receive buffer of feed[812] fd 8", "unsupported");
        let mut facts = healthy();
        facts.sysctls.remove("net.ipv4.tcp_rmem");
        blind(NAME, &facts, "sysctl net.ipv4.tcp_rmem", "absent");
    }
}
