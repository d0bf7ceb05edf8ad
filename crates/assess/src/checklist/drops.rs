//! Item 8: nothing was dropped.

use lowlat_model::Window;
use lowlat_model::document::{ChecklistItem, item as id};

use super::item;
use crate::Input;

/// 8: during the last measurement no probe was lost, and no counter of dropped packets on the path grew: softnet, the
/// interface and its ring, its queue disciplines, UDP receive buffers. Counters that could not be read are named;
/// without any of them it cannot be determined.
pub(crate) fn no_drops(input: &Input<'_>) -> ChecklistItem {
    let name = (id::DROPS, "no drops");
    let Some(m) = input.present() else {
        return item(name, None, "nothing was measured");
    };
    let facts = input.now();
    let (Some((iface, _)), Some(window)) = (facts.focus(), facts.window.as_ref()) else {
        let met = if m.lost > 0 { Some(false) } else { None };
        return item(name, met, format!("{} of {} probes lost; no counters were read", m.lost, m.sent));
    };
    let (counted, unread) = counted(window, iface);
    let mut bad: Vec<String> = counted.iter().filter(|(_, n)| *n > 0).map(|(what, n)| format!("{what} {n}")).collect();
    if m.lost > 0 {
        bad.insert(0, format!("{} of {} probes lost", m.lost, m.sent));
    }
    if !bad.is_empty() {
        return item(name, Some(false), bad.join(", "));
    }
    if unread.is_empty() {
        let seen: Vec<&str> = counted.iter().map(|(what, _)| what.as_str()).collect();
        item(name, Some(true), format!("none of {} probes lost; none at {}", m.sent, seen.join(", ")))
    } else {
        item(name, None, format!("none seen, but unreadable: {}", unread.join(", ")))
    }
}

/// What each place dropped in the window, and the places that could not be read.
fn counted(window: &Window, iface: &str) -> (Vec<(String, u64)>, Vec<String>) {
    let link = format!("link/{iface}");
    let places = [
        ("softnet".to_owned(), window.delta_under("softnet/", "dropped")),
        (format!("{iface} receive"), window.delta(&link, "rx_dropped")),
        // The NIC had no room left: in its own memory, in its ring.
        (format!("{iface} missed"), window.delta(&link, "rx_missed_errors")),
        (format!("{iface} ring"), window.delta(&link, "rx_fifo_errors")),
        ("queue disciplines".to_owned(), window.delta_under(&format!("qdisc/{iface}/"), "drops")),
        ("UDP receive buffers".to_owned(), window.delta("snmp", "Udp.RcvbufErrors")),
    ];
    let mut counted = Vec::new();
    let mut unread = Vec::new();
    for (place, grown) in places {
        match grown {
            Some(n) => counted.push((place, n)),
            None => unread.push(place),
        }
    }
    (counted, unread)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use lowlat_testkit::facts;

    #[test]
    fn a_drop_anywhere_is_seen() {
        for (group, key) in [
            ("softnet/cpu1", "dropped"),
            ("link/eth0", "rx_dropped"),
            ("link/eth0", "rx_missed_errors"),
            ("link/eth0", "rx_fifo_errors"),
            ("qdisc/eth0/root", "drops"),
            ("snmp", "Udp.RcvbufErrors"),
        ] {
            let mut run = sample::Run::good();
            facts::grow(run.after(), group, key, 1);
            assert_eq!(no_drops(&run.input()).met, Some(false), "{group} {key}");
        }
        let mut run = sample::Run::good();
        run.result.as_mut().unwrap().lost = 1;
        assert_eq!(no_drops(&run.input()).met, Some(false));
    }

    #[test]
    fn an_unread_counter_is_not_zero() {
        let mut run = sample::Run::good();
        facts::deny_group(run.after(), "snmp");
        assert_eq!(no_drops(&run.input()).met, None);
        run.after().window = None;
        assert_eq!(no_drops(&run.input()).met, None);
    }
}
