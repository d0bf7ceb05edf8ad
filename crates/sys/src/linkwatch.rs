//! The state of links and queues before and after a change, and waiting until a link is up again.

use lowlat_model::Reading;
use lowlat_model::link::{InterfaceState, LinkState};

use crate::{Sys, irqs, query};

/// How often a link that is down is looked at, ns.
const LOOK_NS: u64 = 10_000_000;

/// What these interfaces and their queues are now.
pub fn snapshot(sys: &dyn Sys, ifaces: &[String]) -> LinkState {
    LinkState { interfaces: ifaces.iter().map(|i| (i.clone(), interface(sys, i))).collect() }
}

fn interface(sys: &dyn Sys, iface: &str) -> InterfaceState {
    let file = |name: &str| sys.read(&format!("/sys/class/net/{iface}/{name}"));
    let queues = sys.list(&format!("/sys/class/net/{iface}/queues"));
    let count = |prefix: &str| {
        let of = |names: Vec<String>| names.iter().filter(|n| n.starts_with(prefix)).count();
        queues.clone().map(|names| u32::try_from(of(names)).unwrap_or(u32::MAX))
    };
    InterfaceState {
        index: file("ifindex").parse("ifindex"),
        carrier_changes: file("carrier_changes").parse("carrier_changes"),
        operstate: operstate(sys, iface),
        tx_timeouts: queues.clone().and_then(|names| tx_timeouts(sys, iface, &names)),
        rx_queues: count("rx-"),
        tx_queues: count("tx-"),
        napi_ids: query::napis(sys, iface).map(|all| all.into_iter().map(|n| n.id).collect()),
        irqs: irqs::of_interface(sys, iface).map(|lines| lines.iter().map(|l| l.irq).collect()),
    }
}

fn operstate(sys: &dyn Sys, iface: &str) -> Reading<String> {
    sys.read(&format!("/sys/class/net/{iface}/operstate")).map(|t| t.trim().to_owned())
}

/// The sum over the transmit queues; the first that cannot be read decides, since a sum without it would be another.
fn tx_timeouts(sys: &dyn Sys, iface: &str, queues: &[String]) -> Reading<u64> {
    let mut sum = 0u64;
    for queue in queues.iter().filter(|q| q.starts_with("tx-")) {
        let path = format!("/sys/class/net/{iface}/queues/{queue}/tx_timeout");
        match sys.read(&path).parse::<u64>(&path) {
            Reading::Value(n) => sum = sum.saturating_add(n),
            other => return other,
        }
    }
    Reading::Value(sum)
}

/// Waits until every link that was up before is up again, at most `timeout_ns`; gives those that are not. A link whose
/// state cannot be read, or that never was up (`unknown` is what a device without a carrier says), is not waited for.
pub fn wait_for_link(sys: &dyn Sys, before: &LinkState, timeout_ns: u64) -> Vec<String> {
    let up = |state: &Reading<String>| state.value().map(String::as_str) == Some("up");
    let watched: Vec<&String> =
        before.interfaces.iter().filter(|(_, s)| up(&s.operstate)).map(|(name, _)| name).collect();
    let down = || -> Vec<String> {
        let not_up = |name: &&&String| matches!(operstate(sys, name), Reading::Value(s) if s != "up");
        watched.iter().filter(not_up).map(|name| (*name).clone()).collect()
    };
    let began = sys.now_ns();
    loop {
        let waits_for = down();
        if waits_for.is_empty() || sys.now_ns().saturating_sub(began) >= timeout_ns {
            return waits_for;
        }
        sys.wait(LOOK_NS);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use lowlat_model::link::changes;

    use super::*;
    use crate::NetQuery;

    /// A host of one interface, whose link is down for a number of looks.
    #[derive(Default)]
    struct Host {
        now: Cell<u64>,
        up_at: u64,
        carrier_changes: Cell<u64>,
        timeouts_denied: bool,
    }

    impl Sys for Host {
        fn read(&self, path: &str) -> Reading<String> {
            let Some(name) = path.strip_prefix("/sys/class/net/eth0/") else {
                return Reading::Absent(path.to_owned());
            };
            match name {
                "ifindex" => Reading::Value("2\n".into()),
                "carrier_changes" => Reading::Value(format!("{}\n", self.carrier_changes.get())),
                "operstate" => Reading::Value(if self.now.get() < self.up_at { "down\n" } else { "up\n" }.into()),
                "queues/tx-1/tx_timeout" if self.timeouts_denied => Reading::Denied(path.to_owned()),
                "queues/tx-0/tx_timeout" | "queues/tx-1/tx_timeout" => Reading::Value("3\n".into()),
                _ => Reading::Absent(path.to_owned()),
            }
        }
        fn list(&self, path: &str) -> Reading<Vec<String>> {
            let queues = ["rx-0", "tx-0", "tx-1"].map(str::to_owned).to_vec();
            if path == "/sys/class/net/eth0/queues" { Reading::Value(queues) } else { Reading::Absent(path.to_owned()) }
        }
        fn link_target(&self, path: &str) -> Reading<String> {
            Reading::Absent(path.to_owned())
        }
        fn net(&self, query: &NetQuery) -> Reading<serde_json::Value> {
            Reading::Unsupported(query.name())
        }
        fn now_ns(&self) -> u64 {
            self.now.get()
        }
        fn wait(&self, ns: u64) {
            self.now.set(self.now.get() + ns);
        }
    }

    fn eth0() -> Vec<String> {
        vec!["eth0".to_owned()]
    }

    #[test]
    fn each_field_is_an_answer_of_its_own() {
        let state = snapshot(&Host::default(), &["eth0".to_owned(), "none".to_owned()]);
        let eth0 = &state.interfaces["eth0"];
        assert_eq!((&eth0.index, &eth0.tx_timeouts), (&Reading::Value(2), &Reading::Value(6)));
        assert_eq!((&eth0.rx_queues, &eth0.tx_queues), (&Reading::Value(1), &Reading::Value(2)));
        assert!(matches!(eth0.napi_ids, Reading::Unsupported(_)), "{:?}", eth0.napi_ids);
        assert!(matches!(state.interfaces["none"].index, Reading::Absent(_)));
        let denied = Host { timeouts_denied: true, ..Host::default() };
        assert!(matches!(snapshot(&denied, &self::eth0()).interfaces["eth0"].tx_timeouts, Reading::Denied(_)));
    }

    #[test]
    fn a_carrier_that_went_and_came_is_noticed() {
        let host = Host::default();
        let before = snapshot(&host, &eth0());
        assert_eq!(changes(&before, &snapshot(&host, &eth0())), []);
        host.carrier_changes.set(2);
        let said: Vec<String> = changes(&before, &snapshot(&host, &eth0())).iter().map(ToString::to_string).collect();
        assert_eq!(said, ["eth0: the link went down and up (carrier_changes 0 → 2)"]);
    }

    #[test]
    fn a_link_is_waited_for_and_not_for_ever() {
        let before = snapshot(&Host::default(), &eth0());
        let host = Host { up_at: 300_000_000, ..Host::default() };
        assert_eq!(wait_for_link(&host, &before, 1_000_000_000), [""; 0]);
        assert_eq!(host.now.get(), 300_000_000);
        let host = Host { up_at: u64::MAX, ..Host::default() };
        assert_eq!(wait_for_link(&host, &before, 1_000_000_000), ["eth0"]);
        assert_eq!(host.now.get(), 1_000_000_000);
        // One that was down before is not waited for.
        let down = snapshot(&Host { up_at: 1, ..Host::default() }, &eth0());
        assert_eq!(wait_for_link(&Host { up_at: u64::MAX, ..Host::default() }, &down, 1_000_000_000), [""; 0]);
    }
}
