//! One live configuration: an engine, and what differs from the command line's settings.

use crate::args::{PathArgs, ProtoArg};
use crate::failure::Failure;
use crate::path::{ENGINES, Path};
use crate::probe::{self, Ask};

/// `ENGINE[,KEY=VALUE…]`, ready to measure.
#[derive(Debug)]
pub struct Side {
    engine: String,
    path: Path,
    rt: Option<u8>,
}

/// What may differ between two sides.
const KEYS: &str = "cpu, rt, size, dscp, busy-poll, proto, peer, target";

impl Side {
    /// Whether a text names a live configuration.
    pub fn is_one(text: &str) -> bool {
        ENGINES.contains(&text.split(',').next().unwrap_or_default())
    }

    /// Reads one; every key takes what the flag of its name takes.
    pub fn parse(text: &str, target: &str, args: &PathArgs, iface: Option<&str>) -> Result<Self, Failure> {
        let bad = |setting: &str, why: &str| {
            Failure::new(format!("compare {text:?}: {setting:?} {why}; write ENGINE,KEY=VALUE with {KEYS}"))
        };
        let mut args = args.clone();
        let (mut target, mut rt) = (target.to_owned(), None);
        let mut parts = text.split(',');
        let engine = parts.next().unwrap_or_default().to_owned();
        for setting in parts {
            let (key, value) = setting.split_once('=').ok_or_else(|| bad(setting, "has no ="))?;
            let number = |most: u32| {
                let n = value.parse::<u32>().ok().filter(|n| *n <= most);
                n.ok_or_else(|| bad(setting, &format!("is no whole number up to {most}")))
            };
            match key {
                "cpu" => args.cpu = Some(number(u32::MAX)?),
                "size" => args.size = number(u32::MAX)? as usize,
                "rt" => match number(98)? {
                    0 => return Err(bad(setting, "is no priority; the least is 1")),
                    priority => rt = u8::try_from(priority).ok(),
                },
                "dscp" => args.dscp = Some(crate::args::dscp(value).map_err(|why| bad(setting, &format!("({why})")))?),
                "busy-poll" => {
                    let ns = lowlat_model::units::parse_duration_ns(value).map_err(|why| bad(setting, &why))?;
                    args.busy_poll = Some(ns);
                }
                "proto" => {
                    args.proto = match value {
                        "icmp" => ProtoArg::Icmp,
                        "udp" => ProtoArg::Udp,
                        "tcp" => ProtoArg::Tcp,
                        _ => return Err(bad(setting, "is none of icmp, udp, tcp")),
                    }
                }
                "peer" => value.clone_into(&mut args.peer),
                "target" => value.clone_into(&mut target),
                _ => return Err(bad(setting, "is no setting")),
            }
        }
        Ok(Self { engine, path: Path::new(&target, &args, iface)?, rt })
    }

    /// The length of a round that holds enough probes at the far end's pace, ns; said where it is longer.
    pub fn round_at_pace(&self, round_ns: u64) -> Result<u64, Failure> {
        // Only a protocol with a handshake can set a pace; the others are not asked.
        if self.path.peer != lowlat_peers::irtt::ENTRY.name {
            return Ok(round_ns);
        }
        let (round_ns, words) = probe::round_at_pace(&self.path, &self.engine, round_ns)?;
        if let Some(words) = words {
            crate::output::progress(&words);
        }
        Ok(round_ns)
    }

    /// One round of it.
    pub fn ask(&self, round_ns: u64) -> Ask<'_> {
        // Two thirds ping-pong, one third on a plan.
        let planned_ns = round_ns / 3;
        Ask { duration_ns: round_ns - planned_ns, planned_ns, rt: self.rt, ..Ask::new(&self.path, &self.engine) }
    }
}
