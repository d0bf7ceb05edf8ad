//! What grew between two readings of one socket.

use lowlat_model::watch::{SocketChange, SocketSample, TcpSample};

/// The difference of two readings, the earlier one first.
pub fn change(first: &SocketSample, last: &SocketSample) -> SocketChange {
    let over_ns = last.at_ns.saturating_sub(first.at_ns);
    let tcp = first.tcp.as_ref().zip(last.tcp.as_ref());
    // Counters of 32 bits in the kernel, which start again at zero.
    let small = |of: fn(&TcpSample) -> u64| tcp.map(|(a, b)| grown_32(of(a), of(b)));
    let large = |of: fn(&TcpSample) -> u64| tcp.map(|(a, b)| of(b).saturating_sub(of(a)));
    let share = |of: fn(&TcpSample) -> Option<u64>| {
        let (a, b) = tcp?;
        let spent = of(b)?.saturating_sub(of(a)?);
        // The kernel counts in its tick (tcp_jiffies32), so a time may seem a tick longer than it was.
        (over_ns > 0).then(|| (spent as f64 / over_ns as f64).min(1.0))
    };
    let (sent, again) = (small(|t| t.sent_segments), small(|t| t.retransmits));
    SocketChange {
        over_ns,
        drops: first.drops.zip(last.drops).map(|(a, b)| grown_32(a, b)),
        sent_segments: sent,
        received_segments: small(|t| t.received_segments),
        retransmits: again,
        retransmit_ratio: sent.zip(again).filter(|(sent, _)| *sent > 0).map(|(sent, again)| again as f64 / sent as f64),
        timeouts: tcp.and_then(|(a, b)| Some(b.timeouts?.wrapping_sub(a.timeouts?) & u64::from(u16::MAX))),
        acknowledged_bytes: large(|t| t.acknowledged_bytes),
        received_bytes: large(|t| t.received_bytes),
        busy_ratio: share(|t| t.busy_ns),
        window_limited_ratio: share(|t| t.window_limited_ns),
        buffer_limited_ratio: share(|t| t.buffer_limited_ns),
    }
}

fn grown_32(first: u64, last: u64) -> u64 {
    last.wrapping_sub(first) & u64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn counters_that_start_again_grow_on_and_what_is_not_shown_is_not_zero() {
        let at = |at_ns, drops, tcp| SocketSample { at_ns, drops, tcp, ..SocketSample::default() };
        let tcp = TcpSample {
            sent_segments: u64::from(u32::MAX) - 9,
            retransmits: 5,
            busy_ns: Some(1_000),
            ..TcpSample::default()
        };
        let later = TcpSample { sent_segments: 90, retransmits: 15, busy_ns: Some(3_000), ..tcp };
        let grown = change(&at(0, Some(u64::from(u32::MAX)), Some(tcp)), &at(4_000, Some(1), Some(later)));
        assert_eq!((grown.drops, grown.sent_segments, grown.retransmits), (Some(2), Some(100), Some(10)));
        assert_eq!((grown.retransmit_ratio, grown.busy_ratio), (Some(0.1), Some(0.5)));
        assert_eq!((grown.window_limited_ratio, grown.timeouts), (None, None));
        let udp = change(&at(0, None, None), &at(4_000, Some(7), None));
        assert_eq!((udp.drops, udp.retransmits, udp.over_ns), (None, None, 4_000));
        assert_eq!(change(&at(5, None, Some(tcp)), &at(5, None, Some(tcp))).busy_ratio, None, "no time passed");
    }

    proptest! {
        #[test]
        fn any_two_readings_have_a_difference(a in any::<[u64; 4]>(), b in any::<[u64; 4]>()) {
            let sample = |v: [u64; 4]| SocketSample {
                at_ns: v[0],
                drops: Some(v[1]),
                tcp: Some(TcpSample { sent_segments: v[2], busy_ns: Some(v[3]), ..TcpSample::default() }),
                ..SocketSample::default()
            };
            let grown = change(&sample(a), &sample(b));
            prop_assert!(grown.busy_ratio.is_none_or(|r| (0.0..=1.0).contains(&r)));
        }
    }
}
