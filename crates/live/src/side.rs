//! One side of a comparison of two live configurations: an engine, and what differs from the settings of both.

use lowlat_model::tune::Placement;
use lowlat_sys::{Live, Sys};
use lowlat_transport::Proto;

use crate::path::{PathAsk, ProbePath, is_engine};
use crate::probe::{self, Ask, Held};
use crate::{Failure, conditions};

/// `ENGINE[,KEY=VALUE…]`, ready to measure.
#[derive(Debug)]
pub struct ComparedSide {
    engine: String,
    path: ProbePath,
    rt: Option<u8>,
}

/// What may differ between two sides.
const KEYS: &str = "cpu, rt, size, dscp, busy-poll, proto, peer, target";

impl ComparedSide {
    /// Whether a text names a live configuration.
    pub fn is_one(text: &str) -> bool {
        is_engine(text.split(',').next().unwrap_or_default()).is_ok()
    }

    /// Reads one; every key takes what the flag of its name takes.
    pub fn parse(text: &str, target: &str, ask: &PathAsk, iface: Option<&str>) -> Result<Self, Failure> {
        let bad = |setting: &str, why: &str| {
            Failure::new(format!("compare {text:?}: {setting:?} {why}; write ENGINE,KEY=VALUE with {KEYS}"))
        };
        let mut ask = ask.clone();
        let (mut target, mut rt) = (target.to_owned(), None);
        let mut parts = text.split(',');
        let engine = parts.next().unwrap_or_default().to_owned();
        for setting in parts {
            let (key, value) = setting.split_once('=').ok_or_else(|| bad(setting, "has no ="))?;
            let number = |most: u32| {
                let n = value.parse::<u32>().ok().filter(|n| *n <= most);
                n.ok_or_else(|| bad(setting, &format!("is not a whole number up to {most}")))
            };
            match key {
                "cpu" => ask.cpu = Some(number(u32::MAX)?),
                "size" => ask.size = number(u32::MAX)? as usize,
                "rt" => match number(98)? {
                    0 => return Err(bad(setting, "is not a priority; the least is 1")),
                    priority => rt = u8::try_from(priority).ok(),
                },
                "dscp" => {
                    let read = lowlat_model::values::dscp(value).map_err(|why| bad(setting, &format!("({why})")))?;
                    ask.dscp = Some(read);
                }
                "busy-poll" => {
                    let ns = lowlat_model::units::parse_duration_ns(value).map_err(|why| bad(setting, &why))?;
                    ask.busy_poll_ns = Some(ns);
                }
                "proto" => {
                    ask.proto = match value {
                        "icmp" => Proto::Icmp,
                        "udp" => Proto::Udp,
                        "tcp" => Proto::Tcp,
                        "tcp-connect" => Proto::TcpConnect,
                        "tls" => Proto::Tls,
                        "udp-closed" => Proto::UdpClosed,
                        "arp" => Proto::Arp,
                        "nd" => Proto::Nd,
                        _ => {
                            return Err(bad(
                                setting,
                                "is none of icmp, udp, tcp, tcp-connect, tls, udp-closed, arp, nd",
                            ));
                        }
                    }
                }
                "peer" => value.clone_into(&mut ask.peer),
                "target" => value.clone_into(&mut target),
                _ => return Err(bad(setting, "is not a setting")),
            }
        }
        Ok(Self { engine, path: ProbePath::new(&target, &ask, iface)?, rt })
    }

    /// Refuses an engine that would reset the link by which this host is reached.
    pub fn spare_the_link(&self) -> Result<(), Failure> {
        crate::optimize::spare_the_link("compare by", [self.engine.as_str()], &self.path, &Live::new())
    }

    /// Takes what is found of the far end's pace from the other side, where both ask one far end.
    pub fn shares_with(&mut self, other: &Self) {
        if (self.path.remote, &self.path.peer) == (other.path.remote, &other.path.peer) {
            self.path.found = other.path.found.clone();
        }
    }

    /// Whether the target answers.
    pub fn reach(&self) -> Result<(), Failure> {
        probe::reach(&self.path, &self.engine)
    }

    /// Where its probers run, once [`hold`] has decided it.
    pub fn placed(&self) -> Placement {
        self.path.placed.clone().unwrap_or_default()
    }

    /// The length of a round that holds enough probes at the far end's pace, ns; with what to say where it is longer.
    pub fn round_at_pace(&self, round_ns: u64) -> Result<(u64, Option<String>), Failure> {
        // Only a protocol with a handshake can set a pace; the others are not asked.
        if !self.path.may_set_a_pace() {
            return Ok((round_ns, None));
        }
        probe::round_at_pace(&self.path, &self.engine, round_ns)
    }

    /// One round of it.
    pub fn ask(&self, round_ns: u64) -> Ask<'_> {
        // Two thirds ping-pong, one third on a plan.
        let planned_ns = round_ns / 3;
        Ask { duration_ns: round_ns - planned_ns, planned_ns, rt: self.rt, ..Ask::new(&self.path, &self.engine) }
    }
}

/// Decides where both sides run, for `lasting_ns` and as long as the answer lives: by one rule, and at a far end that
/// both ask at one place, so that a difference is none of the CPUs. Only a side's own `cpu=` makes one.
pub fn hold(a: &mut ComparedSide, b: &mut ComparedSide, lasting_ns: u64, sys: &dyn Sys) -> Vec<Held> {
    let mut all = vec![Held::take(&a.path, lasting_ns, sys)];
    a.path = all[0].path().clone();
    let one_far_end = (a.path.remote, &a.path.peer) == (b.path.remote, &b.path.peer);
    if one_far_end {
        // A second request would move it for the first one too.
        b.path.placed = Some(Placement { near: conditions::choose(&b.path, sys).near, ..a.placed() });
    } else {
        all.push(Held::take(&b.path, lasting_ns, sys));
        b.path = all[1].path().clone();
    }
    all
}

/// What the placement of both sides does to the comparison, where it does something.
pub fn uneven([a, b]: [&Placement; 2]) -> Vec<String> {
    let mut out = Vec::new();
    if a.far.as_ref().map(|p| p.cpu) != b.far.as_ref().map(|p| p.cpu) {
        out.push("the far ends of a and b are not placed alike: part of a difference may be theirs".to_owned());
    }
    for (name, placement) in [("a", a), ("b", b)] {
        let far = placement.far.as_ref().filter(|far| far.same_host && far.cpu == placement.near.cpu);
        if let Some(cpu) = far.and_then(|far| far.cpu) {
            out.push(format!("the prober of {name} shares CPU {cpu} with the far end on this host"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use lowlat_model::tune::Placed;

    use super::*;

    #[test]
    fn what_placement_does_to_a_comparison_is_said() {
        let at = |cpu: u32, why: &str| Placed { cpu: Some(cpu), why: format!("CPU {cpu}: {why}"), ..Placed::default() };
        let of = |near: u32, far: Option<Placed>| Placement { near: at(near, "x"), far, far_why_not: None };
        let a = of(1, Some(at(2, "by the same rule, on the far end's host")));
        assert!(uneven([&a, &a]).is_empty());
        assert!(uneven([&of(1, None), &of(1, None)]).is_empty(), "both as they come");
        let said = uneven([&a, &of(1, None)]);
        assert!(said.len() == 1 && said[0].contains("not placed alike"), "{said:?}");
        // CPU 2 of another host is another CPU.
        assert!(uneven([&a, &of(2, a.far.clone())]).is_empty());
        let beside = Some(Placed { same_host: true, ..at(2, "on the same host") });
        let said = uneven([&of(1, beside.clone()), &of(2, beside)]);
        assert_eq!(said, ["the prober of b shares CPU 2 with the far end on this host"]);
    }
}
