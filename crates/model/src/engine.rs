//! What an engine turned out to be on this host, what its rounds cost, and all engines side by side.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::document::EngineResult;
use crate::tune::Placement;
use crate::verdict::Round;
use crate::{NotSeen, Schema};

/// One option of an engine, as the kernel answered when it was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EngineOption {
    /// The kernel's name: `DEFER_TASKRUN`, `SO_BUSY_POLL_BUDGET`.
    pub option: String,
    /// What was granted, as text; `null` where it is lacking or was not asked for.
    pub got: Option<String>,
    /// Why it is lacking; `null` where it was granted.
    pub why_not: Option<String>,
}

impl EngineOption {
    /// One that was granted.
    pub fn got(option: &str, words: impl Into<String>) -> Self {
        Self { option: option.to_owned(), got: Some(words.into()), why_not: None }
    }

    /// One that is lacking.
    pub fn lacking(option: &str, why: impl Into<String>) -> Self {
        Self { option: option.to_owned(), got: None, why_not: Some(why.into()) }
    }

    /// `option: got` or `option lacking: why`.
    pub fn words(&self) -> String {
        match (&self.got, &self.why_not) {
            (Some(got), _) if got.is_empty() => self.option.clone(),
            (Some(got), _) => format!("{} {got}", self.option),
            (None, Some(why)) => format!("{} lacking: {why}", self.option),
            (None, None) => format!("{} lacking", self.option),
        }
    }
}

/// What an engine was when a round ended: what was granted, not what was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EngineState {
    /// As text: `connected UDP socket, busy polling 50 µs`.
    pub words: String,
    /// Its options.
    pub options: Vec<EngineOption>,
    /// Where it ran: the CPU that its thread was pinned to, locked memory, and the NUMA node of its buffers.
    #[serde(default)]
    pub placement: Vec<EngineOption>,
}

/// What a round cost this host. What could not be counted is `null`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RoundCost {
    /// Probes sent, warm-up included.
    pub messages: u64,
    /// How long the counting lasted, ns.
    pub wall_ns: u64,
    /// CPU time of the probing thread, ns.
    pub cpu_ns: Option<u64>,
    /// System calls of the engine, without those that read a clock.
    pub system_calls: Option<u64>,
    /// Times that the probing thread went to sleep.
    pub sleeps: Option<u64>,
    /// Interrupts of the path's devices.
    pub interrupts: Option<u64>,
    /// Times that the softirq NET_RX ran, on all CPUs and for all traffic: it polls the NAPI instances that no program polls.
    #[serde(default)]
    pub net_rx: Option<u64>,
}

/// What an engine cost over all of its rounds, per probe. What could not be counted is `null`, with the reason in
/// `not_counted`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EngineCost {
    /// CPU time of the probing thread over the time that passed: 1 for a thread that never sleeps.
    pub cpu_ratio: Option<f64>,
    /// CPU time of the probing thread for each probe, ns.
    pub cpu_ns_per_message: Option<f64>,
    /// System calls of the engine for each probe, without those that read a clock.
    pub syscalls_per_message: Option<f64>,
    /// Times that the probing thread went to sleep for each probe.
    pub sleeps_per_message: Option<f64>,
    /// Interrupts of the path's devices for each probe.
    pub interrupts_per_message: Option<f64>,
    /// Runs of the softirq NET_RX for each probe, of all CPUs and all traffic.
    #[serde(default)]
    pub net_rx_per_message: Option<f64>,
    /// What could not be counted, and why.
    pub not_counted: Vec<NotSeen>,
}

impl EngineCost {
    /// Of these rounds. A count that one round lacks is lacking.
    pub fn of(rounds: &[Round]) -> Self {
        let costs = || rounds.iter().map(|r| r.cost);
        let (messages, wall_ns) = costs().fold((0, 0), |(m, w), c| (m + c.messages, w + c.wall_ns));
        let sum = |count: fn(&RoundCost) -> Option<u64>| costs().map(|c| count(&c)).sum::<Option<u64>>();
        let per = |sum: Option<u64>, of: u64| sum.filter(|_| of > 0).map(|n| n as f64 / of as f64);
        let cpu_ns = sum(|c| c.cpu_ns);
        let mut cost = Self {
            cpu_ratio: per(cpu_ns, wall_ns),
            cpu_ns_per_message: per(cpu_ns, messages),
            syscalls_per_message: per(sum(|c| c.system_calls), messages),
            sleeps_per_message: per(sum(|c| c.sleeps), messages),
            interrupts_per_message: per(sum(|c| c.interrupts), messages),
            net_rx_per_message: per(sum(|c| c.net_rx), messages),
            not_counted: Vec::new(),
        };
        let mut lacks = |count: Option<f64>, fact: &str, why: &str| {
            if count.is_none() && messages > 0 {
                cost.not_counted.push(NotSeen { fact: fact.to_owned(), why: why.to_owned() });
            }
        };
        lacks(per(cpu_ns, messages), "CPU time", "another process or a kernel thread does some of the work");
        lacks(per(sum(|c| c.system_calls), messages), "system calls", "this engine does not count its own");
        lacks(per(sum(|c| c.sleeps), messages), "sleeps", "/proc/thread-self/status gives no count");
        lacks(
            per(sum(|c| c.interrupts), messages),
            "interrupts",
            "no device of the path has an interrupt line in /proc/interrupts (loopback and veth have none)",
        );
        lacks(
            per(sum(|c| c.net_rx), messages),
            "NET_RX softirqs",
            "/proc/softirqs gives no count, or the run is older than this figure",
        );
        cost
    }
}

/// The document of `lowlat measure --engine all`: engines on one path in one run, in alternated rounds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EnginesDocument {
    /// `lowlat.engines`.
    pub schema: Schema,
    /// Address and port.
    pub target: String,
    /// `icmp`, `udp`, `tcp`.
    pub proto: String,
    /// Far-end protocol.
    pub peer: String,
    /// Payload bytes of one probe.
    pub size_bytes: u32,
    /// Interface of the path; `null` where it is not known.
    pub iface: Option<String>,
    /// Rounds of each engine.
    pub laps: u32,
    /// Of the order of the rounds and the resampling.
    pub seed: u64,
    /// Where both ends ran.
    pub placed: Placement,
    /// Whether memory was locked for all rounds, or why not.
    pub memory: EngineOption,
    /// Each engine, in the order that was asked for.
    pub engines: Vec<EngineResult>,
    /// Bulk TCP streams of `loaded`; 0 where none were asked for.
    pub load_streams: u32,
    /// The same engines under load; empty without one.
    pub loaded: Vec<EngineResult>,
    /// What weakens the figures.
    pub warnings: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_per_message_and_lacking_where_one_round_lacks_it() {
        let round = |system_calls, interrupts| Round {
            cost: RoundCost {
                messages: 10,
                wall_ns: 1_000,
                cpu_ns: Some(500),
                system_calls,
                sleeps: Some(10),
                interrupts,
                net_rx: Some(15),
            },
            ..Round::default()
        };
        let cost = EngineCost::of(&[round(Some(20), Some(5)), round(Some(22), None)]);
        assert_eq!((cost.cpu_ratio, cost.cpu_ns_per_message), (Some(0.5), Some(50.0)));
        assert_eq!((cost.syscalls_per_message, cost.sleeps_per_message), (Some(2.1), Some(1.0)));
        assert_eq!((cost.interrupts_per_message, cost.net_rx_per_message), (None, Some(1.5)));
        assert_eq!(cost.not_counted.iter().map(|n| n.fact.as_str()).collect::<Vec<_>>(), ["interrupts"]);
        assert_eq!(EngineCost::of(&[]), EngineCost::default());
    }

    #[test]
    fn an_option_says_what_was_got_or_why_not() {
        assert_eq!(EngineOption::got("SQPOLL", "").words(), "SQPOLL");
        assert_eq!(EngineOption::got("SO_BUSY_POLL", "50 µs").words(), "SO_BUSY_POLL 50 µs");
        assert_eq!(EngineOption::lacking("RECV_ZC", "needs 6.15").words(), "RECV_ZC lacking: needs 6.15");
    }
}
