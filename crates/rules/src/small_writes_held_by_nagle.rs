//! Small messages that wait for an acknowledgement.

use lowlat_model::Severity;

use crate::look::{few, finding, socket};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// A TCP connection of the application that sends small segments without TCP_NODELAY, or with TCP_CORK.
    /// ## Why it matters
    /// Nagle's algorithm holds a segment that is not full for as long as an earlier one that was not full either is not
    /// acknowledged. The peer may delay that acknowledgement by 40 to 200 ms. A program that waits for the answer to
    /// each message meets it only where a message is written in several parts. TCP_CORK holds such a segment up to
    /// 200 ms.
    /// ## Threshold
    /// TCP_NODELAY is off, or TCP_CORK on, on an established connection whose segments carry less than half of the
    /// largest segment on average (a heuristic: larger ones are bulk data, which Nagle does not delay).
    /// ## Remedy
    /// setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)) once for each connection. Write each message with
    /// one call (writev, sendmsg).
    pub SmallWritesHeldByNagle = "small-writes-held-by-nagle";
    sources [
        "net/ipv4/tcp_output.c in linux 6.12: tcp_nagle_test, tcp_nagle_check, tcp_minshall_check",
        "include/net/tcp.h in linux 6.12: TCP_DELACK_MIN (HZ/25), TCP_DELACK_MAX (HZ/5)",
        "man 7 tcp (TCP_NODELAY, TCP_CORK)",
        "heuristic: less than half of a segment on average",
    ];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(application) = &input.facts.application else { return };
    let mut evidence = Vec::new();
    for s in &application.sockets {
        let (Some(connection), "established") = (&s.tcp, s.state.as_str()) else { continue };
        let segments = connection.sent_segments.saturating_sub(connection.resent_segments);
        // What was sent is not counted before 4.19; such a connection may send small segments.
        let mean = connection.sent_bytes.and_then(|bytes| bytes.checked_div(segments));
        if segments == 0 || mean.is_some_and(|mean| mean * 2 >= connection.segment_bytes) {
            continue;
        }
        let Some(options) = seen.need(format!("options of {}", socket(s)), &s.options) else { continue };
        let is = |name: &str, value: i64| options.get(name) == Some(&value);
        let held = match (is("TCP_NODELAY", 0), is("TCP_CORK", 1)) {
            (_, true) => "TCP_CORK on",
            (true, false) => "TCP_NODELAY off",
            (false, false) => continue,
        };
        let size = mean.map_or_else(String::new, |mean| format!(" of {mean} bytes on average"));
        evidence.push(format!("{}: {held}, {segments} segments{size} sent", socket(s)));
    }
    if evidence.is_empty() {
        return;
    }
    seen.found(finding(
        NAME,
        Severity::Warning,
        "the application's small messages wait for acknowledgements of earlier ones".to_owned(),
        few(evidence),
        "setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)) on each connection, and one write for each message",
    ));
}

#[cfg(test)]
mod tests {
    use lowlat_model::Reading;
    use lowlat_testkit::application::{of, set_option};
    use lowlat_testkit::facts::healthy;

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn small_segments_with_nagle() {
        let mut facts = healthy();
        set_option(&mut facts, 0, "TCP_NODELAY", 0);
        let socket = "feed[812] fd 7: tcp 192.0.2.1:5000 to 192.0.2.2:40000";
        let line = format!("{socket}: TCP_NODELAY off, 1000 segments of 64 bytes on average sent");
        only(NAME, &facts, &[&line], &[]);
        set_option(&mut facts, 0, "TCP_CORK", 1);
        assert!(rule(NAME, &facts).findings[0].evidence[0].contains("TCP_CORK on"));
        of(&mut facts).sockets[0].tcp.as_mut().unwrap().sent_bytes = Some(1_448_000);
        assert_eq!(rule(NAME, &facts), Seen::default(), "bulk data is not held");
        of(&mut facts).sockets[0].tcp.as_mut().unwrap().sent_segments = 0;
        assert_eq!(rule(NAME, &facts), Seen::default(), "nothing was sent");
    }

    #[test]
    fn blind_where_the_options_are_another_users() {
        let mut facts = healthy();
        of(&mut facts).sockets[0].options = Reading::Denied("x".into());
        blind(NAME, &facts, "options of feed[812] fd 7", "denied");
    }
}
