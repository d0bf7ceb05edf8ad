//! The application's own TCP connections: their round trips as the kernel smooths them.
//!
//! `tcpi_rtt` of a connection moves by an eighth with each measured round trip (net/ipv4/tcp_input.c, `tcp_rtt_estimator`), so it
//! holds some of the round before until some twenty were measured: a connection counts that got as many acknowledgements of its
//! data in the round. The figure of a round is the median over those, in microseconds.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::str::FromStr;

use lowlat_model::Reading;
use lowlat_sys::{Sys, TrafficDoor};

use super::{Found, round};
use crate::Failure;

/// Segments with data that a connection has to send in a round, each of which brings an acknowledgement: after twenty of them
/// 93 % of what `tcpi_rtt` says is of this round (1 − (7/8)^20).
const SEGMENTS: u64 = 20;

/// Whose connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionsAsk {
    /// With this local or remote port.
    pub port: Option<u16>,
    /// Of this process.
    pub pid: Option<u32>,
    /// To this address.
    pub peer: Option<IpAddr>,
    /// Shortest round, ns.
    pub round_ns: u64,
}

impl FromStr for ConnectionsAsk {
    type Err = String;

    /// `port=7000`, `pid=812`, `peer=192.0.2.7`, or several with commas between: all have to fit.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut ask = Self { port: None, pid: None, peer: None, round_ns: 1_000_000_000 };
        for part in text.split(',') {
            let Some((name, value)) = part.split_once('=') else {
                return Err("give port=PORT, pid=PID or peer=ADDRESS".to_owned());
            };
            let bad = || format!("{value:?} is no {name}");
            match name {
                "port" if ask.port.is_none() => {
                    ask.port = Some(value.parse().ok().filter(|p| *p != 0).ok_or_else(bad)?);
                }
                "pid" if ask.pid.is_none() => ask.pid = Some(value.parse().ok().filter(|p| *p != 0).ok_or_else(bad)?),
                "peer" if ask.peer.is_none() => ask.peer = Some(value.parse().map_err(|_| bad())?),
                "port" | "pid" | "peer" => return Err(format!("{name} is given twice")),
                _ => return Err(format!("{name:?} is none of port, pid, peer")),
            }
        }
        Ok(ask)
    }
}

/// One connection at one look.
#[derive(Debug, Clone, Copy)]
struct Seen {
    sent: u64,
    rtt_ns: Option<u64>,
}

impl ConnectionsAsk {
    /// As the user named it.
    pub(super) fn words(&self) -> String {
        let parts = [
            self.pid.map(|p| format!("pid={p}")),
            self.port.map(|p| format!("port={p}")),
            self.peer.map(|p| format!("peer={p}")),
        ];
        format!("TCP connections of {}", parts.into_iter().flatten().collect::<Vec<_>>().join(","))
    }

    /// The median round trip of a round, us.
    pub(super) fn round(&self, timeout_ns: u64, sys: &dyn Sys) -> Result<f64, Failure> {
        let failed = |why: &str, next: &str| Failure::new(format!("judge by the {}: {why}; {next}", self.words()));
        if let Some(pid) = self.pid {
            lowlat_collect::is_a_program(sys, pid)?;
        }
        // More rights help only where some were denied.
        let unread = |(kind, why): (&str, &str)| {
            let next = if kind == "denied" { "run as root" } else { "check that the application runs" };
            failed(&format!("{kind}: {why}"), next)
        };
        let mut door = match TrafficDoor::open(self.pid, self.port, self.peer) {
            Reading::Value(door) => door,
            other => return Err(unread(other.why_not().unwrap_or_default())),
        };
        let mut look = || -> Result<BTreeMap<u64, Seen>, Failure> {
            let mine: Option<BTreeSet<u32>> = match self.pid.map(|pid| lowlat_collect::open_sockets(sys, pid)) {
                None => None,
                Some(Reading::Value(all)) => Some(all.into_iter().map(|(inode, _)| inode).collect()),
                Some(other) => return Err(unread(other.why_not().unwrap_or_default())),
            };
            let wanted = |inode: u32| mine.as_ref().is_none_or(|mine| mine.contains(&inode));
            match door.sockets(0, &mut |inode| wanted(inode)) {
                Reading::Value(all) => Ok(all
                    .iter()
                    .filter(|s| s.state == "established")
                    .filter_map(|s| Some((s.cookie, s.sample.tcp?)))
                    .map(|(cookie, tcp)| (cookie, Seen { sent: tcp.sent_segments, rtt_ns: tcp.rtt_ns }))
                    .collect()),
                other => Err(unread(other.why_not().unwrap_or_default())),
            }
        };
        round(
            (self.round_ns, timeout_ns),
            &mut look,
            &|first, now| Ok(figure(first, now).map_or_else(Found::Missing, Found::Figure)),
            &failed,
        )
    }
}

/// The median over the connections that were there at both looks and sent enough in between, us; else what is missing.
fn figure(first: &BTreeMap<u64, Seen>, now: &BTreeMap<u64, Seen>) -> Result<f64, String> {
    let both = |cookie: &u64| Some((first.get(cookie)?, now.get(cookie)?));
    let sent = |cookie: &u64| both(cookie).map_or(0, |(a, b)| b.sent.saturating_sub(a.sent));
    let mut all: Vec<u64> =
        now.iter().filter(|(c, _)| sent(c) >= SEGMENTS).filter_map(|(_, seen)| seen.rtt_ns).collect();
    all.sort_unstable();
    match all.len() {
        0 if now.is_empty() => Err("no TCP connection is there".to_owned()),
        0 => Err(format!(
            "none of {} connections sent {SEGMENTS} segments with data; the busiest sent {}",
            now.len(),
            now.keys().map(sent).max().unwrap_or(0)
        )),
        n => Ok((all[(n - 1) / 2] + all[n / 2]) as f64 / 2_000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(all: &[(u64, u64, Option<u64>)]) -> BTreeMap<u64, Seen> {
        all.iter().map(|(cookie, sent, rtt_ns)| (*cookie, Seen { sent: *sent, rtt_ns: *rtt_ns })).collect()
    }

    #[test]
    fn only_connections_that_were_busy_count() {
        let first = seen(&[(1, 100, Some(50_000)), (2, 7, Some(900_000)), (3, 0, Some(70_000)), (4, 0, None)]);
        let now = seen(&[
            (1, 140, Some(60_000)),
            (2, 8, Some(900_000)),
            (3, 20, Some(80_000)),
            (4, 90, None),
            (5, 99, Some(1)),
        ]);
        assert_eq!(figure(&first, &now).unwrap().to_string(), "70");
        let quiet = figure(&now, &now).unwrap_err();
        assert!(quiet.contains("none of 5 connections") && quiet.contains("busiest sent 0"), "{quiet}");
        assert!(figure(&first, &seen(&[])).unwrap_err().contains("no TCP connection"));
    }

    #[test]
    fn what_is_asked_for_is_read_or_named() {
        let ask: ConnectionsAsk = "port=7000,peer=192.0.2.7".parse().unwrap();
        assert_eq!((ask.port, ask.pid, ask.peer), (Some(7000), None, Some("192.0.2.7".parse().unwrap())));
        assert_eq!(ask.words(), "TCP connections of port=7000,peer=192.0.2.7");
        for bad in ["", "7000", "port=0", "pid=x", "peer=host", "port=1,port=2", "gap=3"] {
            assert!(bad.parse::<ConnectionsAsk>().is_err(), "{bad}");
        }
    }
}
