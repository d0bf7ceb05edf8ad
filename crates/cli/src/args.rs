//! The command line. Names are the contract; every flag of `measure` and `optimize` is also a key of the config file.

use lowlat_live::judge::{self, ChosenHistogram, ConnectionsAsk, HistogramAsk, Judge, JudgeSource};
pub use lowlat_live::path::subnet;
use lowlat_live::{Failure, path::PathAsk, watch::Trigger};
pub use lowlat_model::values::dscp;
use lowlat_transport::{DpdkPort, Proto};
use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use lowlat_model::Goal;
use lowlat_model::goal::check_goals;
use lowlat_model::units::parse_duration_ns as duration;
use lowlat_model::values::{Worth, burst_gap, false_keep, gain, interval, round, worth};

/// Measure a network path, find what slows it down, tune the host with proof, and undo every change.
#[derive(Debug, Parser)]
#[command(name = "lowlat", version, about, max_term_width = 120)]
pub struct Cli {
    /// Without a command, on a terminal, lowlat asks what it needs and runs `optimize`.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Print one JSON document instead of text.
    // After the command's own flags, before --help.
    #[arg(long, global = true, display_order = 900)]
    pub json: bool,
    /// Config file (TOML); its keys are the flags' names [default: /etc/lowlat.toml if present].
    #[arg(long, global = true, value_name = "FILE", display_order = 901)]
    pub config: Option<PathBuf>,
}

impl Command {
    /// Commands that change nothing, and that a signal may end at any moment; `measure` and `optimize` say by
    /// themselves from when on it may not.
    pub fn only_reports(&self) -> bool {
        matches!(
            self,
            Self::Facts(_)
                | Self::Check(_)
                | Self::Measure(_)
                | Self::Plan(_)
                | Self::Optimize(_)
                | Self::Around(_)
                | Self::Status
                | Self::Bypass(BypassArgs { command: BypassCommand::Check { .. } })
                | Self::Explain(_)
                | Self::Report(_)
                | Self::Schema(_)
        )
    }

    /// Commands that lowlat starts itself.
    pub fn is_hidden(&self) -> bool {
        matches!(
            self,
            Self::HoldDmaLatency { .. } | Self::RollbackUnlessConfirmed { .. } | Self::LabFar | Self::LabNear(_)
        )
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the whole job on a built-in lab: private namespaces, planted faults, its own far end.
    Demo(DemoArgs),
    /// Print the host's configuration and state as one JSON document.
    Facts(FactsArgs),
    /// Find what slows this host down; changes nothing.
    Check(CheckArgs),
    /// Answer probes: the far end of a measurement.
    Serve(ServeArgs),
    /// Measure round trips to a far end.
    Measure(MeasureArgs),
    /// Compare two stored runs, or two live configurations alternated on one path.
    Compare(CompareArgs),
    /// Measure what the host itself adds: wake-up latency and interruptions per CPU.
    Noise(NoiseArgs),
    /// Show where the time of a round trip goes, stage by stage, by the kernel's trace points.
    Trace(TraceArgs),
    /// Watch live traffic without a probe: round trips, losses, drops, and who does not read.
    Watch(WatchArgs),
    /// Record the shape of a flow, sizes and gaps alone, for `measure --shape`.
    Shape(ShapeArgs),
    /// Plan the changes that the findings call for; changes nothing.
    Plan(PlanArgs),
    /// Apply a plan as one transaction that can be rolled back.
    Apply(ApplyArgs),
    /// Keep the changes of `apply --confirm-within`.
    Confirm,
    /// Restore every setting that lowlat changed.
    Rollback(RollbackArgs),
    /// Show what lowlat changed and whether it is still in effect.
    Status,
    /// Make applied changes survive a reboot.
    Persist(PersistArgs),
    /// Run the whole job: measure, find, tune with proof, measure again, report.
    Optimize(OptimizeArgs),
    /// Run another tuner, prove what it changed, and keep or undo it: around --iface IF --target HOST -- PROGRAM ARGS.
    Around(AroundArgs),
    /// Show what kernel bypass needs and whether this host has it.
    Bypass(BypassArgs),
    /// Explain a knob, rule, engine or NIC family: what it does, why, cost, versions, sources.
    Explain(ExplainArgs),
    /// Print a stored run.
    Report(ReportArgs),
    /// Print the JSON Schema of a document.
    Schema(SchemaArgs),
    /// Keeps /dev/cpu_dma_latency open (started by apply; ended by rollback).
    #[command(hide = true)]
    HoldDmaLatency {
        /// Limit, µs.
        us: u32,
        /// The pipe that it is known and ended by.
        pipe: Option<std::path::PathBuf>,
    },
    /// Rolls a transaction back unless it is confirmed in time (started by apply).
    #[command(hide = true)]
    RollbackUnlessConfirmed {
        /// Transaction id.
        transaction: String,
        /// By which the guard is known again.
        token: String,
        /// When it goes back, by the clock of this boot, ns.
        deadline_boot_ns: u64,
        /// What it watches meanwhile.
        watch: Option<String>,
        /// The path to it counts as cut after this long, ns.
        lost_after_ns: Option<u64>,
    },
    /// The far namespace of the lab (started by demo).
    #[command(hide = true)]
    LabFar,
    /// The near end in the lab's virtual machine (started by demo).
    #[command(hide = true)]
    LabNear(LabNearArgs),
}

/// `lab-near`.
#[derive(Debug, Args)]
pub struct LabNearArgs {
    /// The latency goal.
    #[command(flatten)]
    pub goal: GoalArgs,
    /// Where the run's document goes.
    #[arg(long)]
    pub out: PathBuf,
}

/// The latency goal; shared by every command that knows a goal.
#[derive(Debug, Clone, Default, Args)]
pub struct GoalArgs {
    /// Latency goal: 50us (median), p99=100us, p99.9=1ms, max=5ms; repeatable, or separated by commas.
    #[arg(
        id = "goal",
        long = "goal",
        value_parser = goal,
        value_delimiter = ',',
        allow_hyphen_values = true,
        value_name = "[QUANTILE=]TIME"
    )]
    goals: Vec<Goal>,
}

fn goal(text: &str) -> Result<Goal, String> {
    text.parse()
}

impl GoalArgs {
    /// All of them, lowest quantile first. Refuses one quantile twice and goals that contradict each other.
    pub fn all(&self) -> Result<Vec<Goal>, Failure> {
        check_goals(&self.goals).map_err(|why| Failure::new(format!("take the goals: {why}")))
    }
}

/// The user's own metric.
#[derive(Debug, Clone, Default, Args)]
pub struct JudgeArgs {
    /// Judge by this command instead of by round trips: run by `sh -c` once a round, it prints one number, without a
    /// unit, as its last line. A lower number is better. No --target is needed then.
    #[arg(id = "judge", long = "judge", group = "judged", value_name = "COMMAND")]
    command: Option<String>,
    /// Judge by a latency histogram that the application exports (Prometheus' buckets, HdrHistogram's interval log): a
    /// file or http://HOST:PORT/PATH. What came within a round counts.
    #[arg(long, groups = ["judged", "judge_reads"], value_name = "FILE|URL")]
    judge_histogram: Option<String>,
    /// Judge by the round trips of the application's own TCP connections, as the kernel smooths them: port=PORT, pid=PID,
    /// peer=ADDRESS, or several with commas between.
    #[arg(long, groups = ["judged", "judge_reads"], value_parser = str::parse::<ConnectionsAsk>, value_name = "WHOSE")]
    judge_live: Option<ConnectionsAsk>,
    /// Which histogram of --judge-histogram: NAME or NAME{label="value"}; of an interval log the tag.
    #[arg(long, requires = "judge_histogram", value_parser = str::parse::<ChosenHistogram>, value_name = "NAME")]
    judge_metric: Option<ChosenHistogram>,
    /// Quantile of --judge-histogram.
    #[arg(long, requires = "judge_histogram", value_parser = judge::quantile, default_value = "p99", value_name = "QUANTILE")]
    judge_quantile: f64,
    /// Shortest round of --judge-histogram and --judge-live; it goes on until enough came.
    #[arg(long, requires = "judge_reads", value_parser = duration, default_value = "1s", value_name = "TIME")]
    judge_round: u64,
    /// A higher number of the judge is better.
    #[arg(long, requires = "judged")]
    higher_is_better: bool,
    /// A round of the judge that takes longer has failed.
    #[arg(long, requires = "judged", value_parser = duration, default_value = "60s", value_name = "TIME")]
    judge_timeout: u64,
}

impl JudgeArgs {
    /// The judge, if one was named.
    pub fn judge(&self) -> Result<Option<Judge>, Failure> {
        let round_ns = self.judge_round;
        let source = match (&self.command, &self.judge_histogram, &self.judge_live) {
            (Some(command), ..) => JudgeSource::Command(command.clone()),
            (_, Some(place), _) => {
                let (chosen, quantile) = (self.judge_metric.clone(), self.judge_quantile);
                JudgeSource::Histogram(HistogramAsk { chosen, quantile, round_ns, ..HistogramAsk::new(place)? })
            }
            (.., Some(ask)) => JudgeSource::Connections(ConnectionsAsk { round_ns, ..ask.clone() }),
            _ => return Ok(None),
        };
        Judge::new(source, self.higher_is_better, self.judge_timeout).map(Some)
    }
}

/// Most streams of a load: each is a thread and a connection, and a hundred fill any path.
const MOST_STREAMS: i64 = 256;

fn trigger(text: &str) -> Result<Trigger, String> {
    text.parse()
}

/// `facts`.
#[derive(Debug, Args)]
pub struct FactsArgs {
    /// Interface to examine.
    #[arg(long)]
    pub iface: Option<String>,
    /// Far end; the interfaces on the kernel's route to it are examined.
    #[arg(long, value_name = "HOST", conflicts_with = "capture")]
    pub target: Option<String>,
    /// Read a captured tree instead of the live host.
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Store everything that was read as a captured tree, with addresses and names masked.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["root", "pid", "port"])]
    pub capture: Option<PathBuf>,
    /// Also measure counter growth over this time.
    #[arg(long, value_parser = duration, value_name = "TIME")]
    pub window: Option<u64>,
    /// Also record this application.
    #[command(flatten)]
    pub application: ApplicationArgs,
}

/// One running application.
#[derive(Debug, Clone, Copy, Args)]
pub struct ApplicationArgs {
    /// A running process: its threads, memory and sockets are looked at.
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "root")]
    pub pid: Option<u32>,
    /// TCP and UDP sockets with this local or remote port, and the processes that have them; with --pid only its own.
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..), conflicts_with = "root")]
    pub port: Option<u16>,
}

/// `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Interface to examine.
    #[arg(long)]
    pub iface: Option<String>,
    /// Far end; the interfaces on the kernel's route to it are examined.
    #[arg(long, value_name = "HOST", conflicts_with = "facts")]
    pub target: Option<String>,
    /// Use stored facts instead of reading the host.
    #[arg(long, value_name = "FILE", conflicts_with = "root")]
    pub facts: Option<PathBuf>,
    /// Read a captured tree instead of the live host.
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Time over which rates are measured; `none` skips them, 0ns is refused.
    #[arg(long, default_value = "1s", value_name = "TIME|none")]
    pub window: String,
    /// The latency goal; some rules use the goal of the median.
    #[command(flatten)]
    pub goal: GoalArgs,
    /// What this application does to itself.
    #[command(flatten)]
    pub application: ApplicationArgs,
}

/// `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Addresses to bind [default: all].
    #[arg(long, value_name = "ADDR")]
    pub bind: Vec<IpAddr>,
    /// Port of lowlat's own protocol, UDP and TCP.
    #[arg(long)]
    pub port: Option<u16>,
    /// How it waits and answers: block, spin, busy-poll, epoll, suspend on --iface, io-uring, af-xdp on --iface, or dpdk at
    /// --dpdk-address.
    #[arg(long, conflicts_with = "xdp")]
    pub engine: Option<String>,
    /// The NAPI instances are set (started by serve --engine suspend).
    #[arg(long, hide = true)]
    pub suspended: bool,
    /// Interface of --engine suspend, af-xdp or dpdk.
    #[arg(long, requires = "engine")]
    pub iface: Option<String>,
    /// Port of --engine dpdk: net_af_packet, net_af_xdp, net_tap, or the PCI address of a bound device
    /// [default: net_af_packet].
    #[arg(long, value_name = "PORT", value_parser = lowlat_live::path::dpdk_port, requires = "dpdk_address")]
    pub dpdk_port: Option<String>,
    /// Address that --engine dpdk answers at.
    #[arg(long, value_name = "ADDR/LEN", value_parser = subnet, requires = "engine")]
    pub dpdk_address: Option<(std::net::Ipv4Addr, u8)>,
    /// Spin instead of sleeping; uses a whole core. The same as --engine spin, and goes with af-xdp.
    #[arg(long)]
    pub spin: bool,
    /// Answer lowlat's own UDP probes where they arrive on this interface, by an XDP program (no key, no limits). The same
    /// as --engine af-xdp --iface.
    #[arg(long, value_name = "IFACE")]
    pub xdp: Option<String>,
    /// CPU to run on.
    #[arg(long)]
    pub cpu: Option<u32>,
    /// Also answer stock sockperf clients (UDP and TCP) on this port.
    #[arg(long, value_name = "PORT", num_args = 0..=1, default_missing_value = "11111")]
    pub sockperf: Option<u16>,
    /// Also answer STAMP and TWAMP-Light senders on this port.
    #[arg(long, value_name = "PORT", num_args = 0..=1, default_missing_value = "862")]
    pub stamp: Option<u16>,
    /// Answer only these sources.
    #[arg(long, value_name = "CIDR")]
    pub allow: Vec<String>,
    /// File with the shared key: answer only probes that carry its HMAC.
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// Limit of messages per second from one source.
    #[arg(long, value_name = "PPS", value_parser = clap::value_parser!(u64).range(1..))]
    pub source_limit: Option<u64>,
    /// Limit of messages per second in total.
    #[arg(long, value_name = "PPS", value_parser = clap::value_parser!(u64).range(1..))]
    pub total_limit: Option<u64>,
    /// Also report counters and residence time on standard error at this interval.
    #[arg(long, value_parser = duration, value_name = "TIME")]
    pub report: Option<u64>,
}

/// How to reach and probe a far end; shared by `measure`, `compare` and `optimize`.
#[derive(Debug, Clone, Args)]
pub struct PathArgs {
    /// icmp, udp or tcp.
    #[arg(long, value_enum, default_value_t = ProtoArg::Udp)]
    pub proto: ProtoArg,
    /// Protocol of the far end: lowlat, sockperf, stamp, irtt; none: TCP handshakes with the port that the target names, or
    /// echo requests.
    #[arg(long, default_value = "lowlat")]
    pub peer: String,
    /// Message size, bytes.
    #[arg(long, default_value_t = 64)]
    pub size: usize,
    /// CPU the prober runs on.
    #[arg(long)]
    pub cpu: Option<u32>,
    /// Count a probe as lost after this time.
    #[arg(long, value_parser = duration, default_value = "1s", value_name = "TIME")]
    pub timeout: u64,
    /// DSCP of the probes: 0 to 63, or a name such as EF, CS6, AF41.
    #[arg(long, value_parser = dscp)]
    pub dscp: Option<u8>,
    /// SO_PRIORITY of the probes: the queue discipline's class and, by a VLAN interface's egress map, the PCP bits.
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=15))]
    pub priority: Option<u8>,
    /// File with the key shared with the far end.
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// SO_BUSY_POLL for the engines that use it.
    #[arg(long, value_parser = duration, value_name = "TIME")]
    pub busy_poll: Option<u64>,
    /// Port of the engine dpdk: net_af_packet, net_af_xdp, net_tap, or the PCI address of a bound device.
    #[arg(long, value_name = "PORT", value_parser = lowlat_live::path::dpdk_port)]
    pub dpdk_port: Option<String>,
    /// Address of a DPDK port that the kernel has no interface for.
    #[arg(long, value_name = "ADDR/LEN", value_parser = subnet, requires = "dpdk_port")]
    pub dpdk_address: Option<(std::net::Ipv4Addr, u8)>,
}

impl PathArgs {
    /// The same without the flags.
    pub fn ask(&self) -> PathAsk {
        PathAsk {
            proto: match self.proto {
                ProtoArg::Icmp => Proto::Icmp,
                ProtoArg::Arp => Proto::Arp,
                ProtoArg::Nd => Proto::Nd,
                ProtoArg::Udp => Proto::Udp,
                ProtoArg::Tcp => Proto::Tcp,
                ProtoArg::TcpConnect => Proto::TcpConnect,
                ProtoArg::Tls => Proto::Tls,
                ProtoArg::UdpClosed => Proto::UdpClosed,
            },
            peer: self.peer.clone(),
            size: self.size,
            cpu: self.cpu,
            timeout_ns: self.timeout,
            dscp: self.dscp,
            priority: self.priority,
            key_file: self.key_file.clone(),
            busy_poll_ns: self.busy_poll,
            dpdk: self.dpdk_port.as_ref().map(|port| DpdkPort { port: Some(port.clone()), address: self.dpdk_address }),
        }
    }
}

/// Protocol names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProtoArg {
    /// Echo request.
    Icmp,
    /// Datagrams.
    Udp,
    /// A stream.
    Tcp,
    /// TCP handshakes with any port that listens; the far end runs nothing of ours.
    TcpConnect,
    /// TLS greetings of any server that speaks it: ClientHello to ServerHello.
    Tls,
    /// Datagrams to a port where nobody listens, which the far kernel answers by an ICMP error.
    UdpClosed,
    /// ARP requests to a host of the same link.
    Arp,
    /// Neighbour solicitations to a host of the same link.
    Nd,
}

/// Clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ClockArg {
    /// The kernel's, or the TSC where the kernel's is slow to read and the TSC can be trusted.
    Auto,
    /// CLOCK_MONOTONIC.
    Kernel,
    /// The processor's time stamp counter, calibrated, if it can be trusted.
    Tsc,
}

/// Modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ModeArg {
    /// Send the next probe when the answer arrives.
    PingPong,
    /// Send probes on a schedule.
    OpenLoop,
}

/// `measure`.
#[allow(clippy::struct_excessive_bools)] // each is a flag
#[derive(Debug, Args)]
pub struct MeasureArgs {
    /// HOST or HOST:PORT.
    #[arg(required_unless_present_any = ["self_test", "configured_target"])]
    pub target: Option<String>,
    /// The config file's `target`, used where the command line names none.
    #[arg(long, hide = true)]
    pub configured_target: Option<String>,
    /// How to probe.
    #[command(flatten)]
    pub path: PathArgs,
    /// block, spin, busy-poll, epoll, suspend, io-uring, af-xdp, dpdk; a list of them, or `all`: alternated in rounds on one path in
    /// one run, each for --duration. Options of io_uring behind a colon: io-uring:sleep+multishot.
    #[arg(long, default_value = "block")]
    pub engine: String,
    /// Interface of the path (af-xdp); default by route.
    #[arg(long)]
    pub iface: Option<String>,
    /// ping-pong or open-loop.
    #[arg(long, value_enum, default_value_t = ModeArg::PingPong)]
    pub mode: ModeArg,
    /// Probes per second (open loop; in ping-pong, the pace).
    #[arg(long, value_name = "PPS")]
    pub rate: Option<f64>,
    /// fixed, poisson or burst:N (open loop).
    #[arg(long, default_value = "fixed")]
    pub pattern: String,
    /// Probe in the shape of a flow that `lowlat shape --out` stored: its sizes at its gaps, in open loop, again and again;
    /// reports each phase of a burst.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["size", "rate", "pattern", "mode", "sweep", "zerocopy", "stamp_cost"])]
    pub shape: Option<PathBuf>,
    /// How long to measure.
    #[arg(long, value_parser = duration, default_value = "5s", value_name = "TIME")]
    pub duration: u64,
    /// Stop after this many probes.
    #[arg(long)]
    pub count: Option<u64>,
    /// Exclude the probes of this time at the start [default: found by a steady-state test].
    #[arg(long, value_parser = duration, value_name = "TIME")]
    pub warmup: Option<u64>,
    /// Measure idle first, then with this many bulk TCP streams; reports both.
    #[arg(
        long,
        value_name = "STREAMS",
        num_args = 0..=1,
        default_missing_value = "2",
        value_parser = clap::value_parser!(u32).range(0..=MOST_STREAMS)
    )]
    pub load: Option<u32>,
    /// Exit 1 unless every goal is met; a goal with too few samples is not met. Open loop: from the planned send time.
    #[command(flatten)]
    pub goal: GoalArgs,
    /// Measure at each point of an axis: interval=10us,1ms, size=64..1472 or rate=1000..100000; each for --duration.
    #[arg(long, value_name = "AXIS=POINTS", conflicts_with_all = ["log", "load", "goal"])]
    pub sweep: Option<String>,
    /// Measure sends without a copy (MSG_ZEROCOPY, io_uring SEND_ZC) against plain ones to the far end's sink instead: from
    /// which size they pay.
    #[arg(
        long,
        value_name = "BYTES,...",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "1024,4096,16384,65536,262144",
        conflicts_with_all = ["sweep", "load", "goal", "log", "stamps", "rate", "count", "rt"]
    )]
    pub zerocopy: Option<String>,
    /// Attach af-xdp also where that resets the link of the default route or a login session.
    #[arg(long)]
    pub allow_disruptive: bool,
    /// SCHED_FIFO priority, 1 to 98.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=98))]
    pub rt: Option<u8>,
    /// Take kernel and hardware timestamps.
    #[arg(long)]
    pub stamps: bool,
    /// Also measure the cost of timestamps in paired rounds.
    #[arg(long, requires = "stamps")]
    pub stamp_cost: bool,
    /// Do not look where the round trips take their time (a tenth of --duration, afterwards).
    #[arg(long)]
    pub no_stages: bool,
    /// Write every sample to this file.
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// Store the run in this folder: the document, and every sample.
    #[arg(long, value_name = "RUN")]
    pub out: Option<PathBuf>,
    /// Replace the run that --out already holds.
    #[arg(long, requires = "out")]
    pub overwrite: bool,
    /// Clock; auto uses the kernel's, or the TSC where the kernel's is slow to read.
    #[arg(long, value_enum, default_value_t = ClockArg::Auto)]
    pub clock: ClockArg,
    /// Measure lowlat's own overhead on this host instead of a path.
    #[arg(long = "self", conflicts_with_all = ["target", "sweep", "load", "goal", "log", "out", "stamps", "rate", "count"])]
    pub self_test: bool,
}

/// `compare`.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// A stored run (folder, sample log, document), or a live configuration: ENGINE[,KEY=VALUE...].
    pub a: String,
    /// The other side, in the same form; keys: cpu, rt, size, dscp, busy-poll, proto, peer, target.
    pub b: String,
    /// Far end, for two live configurations.
    #[arg(long)]
    pub target: Option<String>,
    /// How to probe.
    #[command(flatten)]
    pub path: PathArgs,
    /// Interface of the path.
    #[arg(long)]
    pub iface: Option<String>,
    /// Maximum number of pairs of rounds; the test stops earlier when it is decided.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(4..=1000))]
    pub pairs: u32,
    /// Length of one round.
    #[arg(long, value_parser = round, default_value = "200ms", value_name = "TIME")]
    pub round: u64,
    /// Attach af-xdp also where that resets the link of the default route or a login session.
    #[arg(long)]
    pub allow_disruptive: bool,
    /// Seed of the round order and the resampling [default: random, recorded in the document].
    #[arg(long)]
    pub seed: Option<u64>,
}

/// `noise`.
#[derive(Debug, Args)]
pub struct NoiseArgs {
    /// CPUs to measure [default: all that this process may use].
    #[arg(long, value_delimiter = ',')]
    pub cpus: Vec<u32>,
    /// Duration: once for wake-ups on all CPUs, then once per CPU for interruptions.
    #[arg(long, value_parser = duration, default_value = "2s", value_name = "TIME")]
    pub duration: u64,
    /// Time between two wake-ups.
    #[arg(long, value_parser = duration, default_value = "1ms", value_name = "TIME")]
    pub interval: u64,
    /// Shortest interruption counted.
    #[arg(long, value_parser = duration, default_value = "1us", value_name = "TIME")]
    pub threshold: u64,
    /// The longest that a wake-up or an interruption may take; exit 1 when a CPU was seen to take longer.
    #[arg(long, value_parser = duration, value_name = "TIME")]
    pub goal: Option<u64>,
    /// SCHED_FIFO priority of the measuring threads [default: 80 for wake-ups where allowed, none for
    /// interruptions].
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=98))]
    pub rt: Option<u8>,
    /// Watch once more with the kernel's trace points on (in a tracefs instance of its own, removed again), and name
    /// who interrupts.
    #[arg(long)]
    pub trace: bool,
    /// Store the run in this folder, for `lowlat report`.
    #[arg(long, value_name = "RUN")]
    pub out: Option<PathBuf>,
    /// Replace the run that --out already holds.
    #[arg(long, requires = "out")]
    pub overwrite: bool,
}

/// `trace`.
#[derive(Debug, Args)]
pub struct TraceArgs {
    /// HOST or HOST:PORT. The stages of a far end on this host are shown as well.
    #[arg(required_unless_present = "answers")]
    pub target: Option<String>,
    /// On the far host, next to `lowlat serve`: trace what the program on this port answers for --duration, and print it as
    /// JSON, for --far at the near end.
    #[arg(long, value_name = "PORT", conflicts_with_all = ["target", "far", "out", "iface", "rt", "engine"])]
    pub answers: Option<u16>,
    /// The far host's own trace (`lowlat trace --answers` there), read when the rounds are over; - for standard input, as in
    /// `ssh far lowlat trace --answers 8620 | lowlat trace far --far -`.
    #[arg(long, value_name = "FILE")]
    pub far: Option<PathBuf>,
    /// How to probe.
    #[command(flatten)]
    pub path: PathArgs,
    /// block, spin, busy-poll, epoll, io-uring.
    #[arg(long, default_value = "block")]
    pub engine: String,
    /// Interface of the path; default by route.
    #[arg(long)]
    pub iface: Option<String>,
    /// How long to trace; half of it in rounds without tracing, which show what tracing costs.
    #[arg(long, value_parser = duration, default_value = "5s", value_name = "TIME")]
    pub duration: u64,
    /// SCHED_FIFO priority, 1 to 98.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=98))]
    pub rt: Option<u8>,
    /// Store the run in this folder, for `lowlat report`, and not as the last run.
    #[arg(long, value_name = "RUN")]
    pub out: Option<PathBuf>,
    /// Replace the run that --out already holds.
    #[arg(long, requires = "out")]
    pub overwrite: bool,
}

/// `watch`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("watched").required(true).multiple(true).args(["port", "pid", "peer", "from"]))]
pub struct WatchArgs {
    /// TCP and UDP sockets with this local or remote port.
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// Sockets of this process, in its network namespace.
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pub pid: Option<u32>,
    /// Sockets connected to this far end.
    #[arg(long, value_name = "HOST")]
    pub peer: Option<String>,
    /// How long to watch.
    #[arg(long, value_parser = duration, default_value = "10s", value_name = "TIME")]
    pub duration: u64,
    /// Time between two readings of the sockets, 1ms or more.
    #[arg(long, value_parser = interval, default_value = "1s", value_name = "TIME")]
    pub interval: u64,
    /// Keep the last seconds of the kernel's trace in memory, and write a file with the blame when this is crossed:
    /// p=2ms (a round trip of TCP, or a gap between datagrams of one port), rtt=2ms, gap=2ms, drop; several with commas.
    #[arg(long, value_parser = trigger, value_name = "TRIGGER")]
    pub trigger: Option<Trigger>,
    /// Judge a stored run again instead: a folder of --out, a run of the state directory, or `last`.
    #[arg(long, value_name = "RUN", conflicts_with_all = ["port", "pid", "peer", "duration", "interval", "trigger", "out"])]
    pub from: Option<String>,
    /// Store the run in this folder, for `lowlat report`, and not as the last run.
    #[arg(long, value_name = "RUN")]
    pub out: Option<PathBuf>,
    /// Replace the run that --out already holds.
    #[arg(long, requires = "out")]
    pub overwrite: bool,
}

/// `shape`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("recorded").required(true).multiple(true).args(["from_pcap", "port", "pid"]))]
pub struct ShapeArgs {
    /// A capture, pcap or pcapng, of Ethernet, Linux cooked or raw IP.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["pid", "duration"])]
    pub from_pcap: Option<PathBuf>,
    /// Of a capture the flows from or to this port; else what comes to this UDP port, or to TCP connections with it.
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// What comes to the UDP sockets of this process, or where it has none to its TCP connections.
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pub pid: Option<u32>,
    /// How long to record a live socket.
    #[arg(long, visible_alias = "for", value_parser = duration, default_value = "10s", value_name = "TIME")]
    pub duration: u64,
    /// A gap of at least this begins a burst [default: 50us].
    #[arg(long, value_parser = burst_gap, value_name = "TIME")]
    pub burst_gap: Option<u64>,
    /// Write the shape to this file.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// `plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Interface to examine.
    #[arg(long)]
    pub iface: Option<String>,
    /// Far end; the interfaces on the kernel's route to it are examined.
    #[arg(long, value_name = "HOST", conflicts_with_all = ["facts", "set"])]
    pub target: Option<String>,
    /// Use stored facts for the findings.
    #[arg(long, value_name = "FILE")]
    pub facts: Option<PathBuf>,
    /// The latency goal; some rules use the goal of the median.
    #[command(flatten)]
    pub goal: GoalArgs,
    /// Show the change of each step as a diff (the default on a terminal).
    #[arg(long)]
    pub diff: bool,
    /// Print the plan for hosts without lowlat: a shell script that applies and undoes, an Ansible playbook, or a profile
    /// of tuned.
    #[arg(long, value_enum, value_name = "FORMAT", conflicts_with = "diff")]
    pub export: Option<ExportArg>,
    /// Write the plan, or what it is exported as, to this file.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Also plan steps that reset the link.
    #[arg(long)]
    pub allow_disruptive: bool,
    /// Plan this setting instead of those for the findings; repeatable.
    #[arg(long, num_args = 3, value_names = ["KNOB", "TARGET", "VALUE"], allow_hyphen_values = true)]
    pub set: Vec<String>,
}

/// What a plan is exported as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportArg {
    /// A script for any POSIX shell.
    Sh,
    /// A playbook.
    Ansible,
    /// A tuned.conf.
    Tuned,
}

/// `apply`.
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// The plan.
    pub plan: PathBuf,
    /// Revert automatically unless `lowlat confirm` is run within this time.
    #[arg(long, value_parser = duration, value_name = "TIME")]
    pub confirm_within: Option<u64>,
    /// Until then, revert at once when TARGET [default: the default gateway] answers no ping for 2 s (10 s where a step
    /// resets the link).
    #[arg(long, value_name = "TARGET", num_args = 0..=1, default_missing_value = "", requires = "confirm_within")]
    pub watch: Option<String>,
}

/// `rollback`.
#[derive(Debug, Args)]
pub struct RollbackArgs {
    /// Also restore settings that another program has changed since.
    #[arg(long)]
    pub force: bool,
}

/// `persist`.
#[derive(Debug, Clone, Args)]
pub struct PersistArgs {
    /// Show the files that would be written, and write nothing.
    #[arg(long)]
    pub print: bool,
    /// Take away the files that it wrote, and nothing else.
    #[arg(long, conflicts_with = "print")]
    pub remove: bool,
}

/// `optimize`.
#[allow(clippy::struct_excessive_bools)] // each is a flag
#[derive(Debug, Clone, Args)]
pub struct OptimizeArgs {
    /// Interface of the path.
    #[arg(long)]
    pub iface: Option<String>,
    /// Far end that runs `lowlat serve`: HOST or HOST:PORT.
    #[arg(long)]
    pub target: Option<String>,
    /// The latency goal.
    #[command(flatten)]
    pub goal: GoalArgs,
    /// Your own metric as the judge, instead of round trips.
    #[command(flatten)]
    pub judge: JudgeArgs,
    /// The P50 you believe you have now; the report compares it with the measured one.
    #[arg(long, value_parser = duration, value_name = "TIME")]
    pub present: Option<u64>,
    /// How to probe.
    #[command(flatten)]
    pub path: PathArgs,
    /// Engine of the baseline and of every A/B test.
    #[arg(long, default_value = "block")]
    pub engine: String,
    /// Show facts, findings and the plan; change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Also try steps that reset the link.
    #[arg(long)]
    pub allow_disruptive: bool,
    /// Try only settings of the path's own interfaces, none of the network namespace or the host.
    #[arg(long)]
    pub own_settings_only: bool,
    /// Maximum number of pairs of rounds per step; a step stops earlier when it is decided.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(4..=1000))]
    pub pairs: u32,
    /// Smallest difference worth having, as a share of the median, a time, or both: 1%,0.5us.
    #[arg(long, value_parser = worth, default_value = "1%,0.5us", value_name = "SHARE|TIME")]
    pub worth: Worth,
    /// Allowed chance, over the whole run, of keeping a step that has no effect.
    #[arg(long, value_parser = false_keep, default_value = "5%", value_name = "SHARE")]
    pub false_keep: f64,
    /// Ping-pong part of one round; extended where it would hold fewer than 24 probes.
    #[arg(long, value_parser = round, default_value = "50ms", value_name = "TIME")]
    pub round: u64,
    /// Also try this setting, in addition to those for the findings; repeatable.
    #[arg(long = "try", num_args = 3, value_names = ["KNOB", "TARGET", "VALUE"], allow_hyphen_values = true)]
    pub also_try: Vec<String>,
    /// Run all the pairs of every test, as a fixed design would: for comparison.
    #[arg(long, hide = true)]
    pub fixed: bool,
    /// Length of the baseline, and of each arm of the final test.
    #[arg(long, value_parser = duration, default_value = "5s", value_name = "TIME")]
    pub duration: u64,
    /// Bulk TCP streams of the measurement under load; needs `lowlat serve` at the far end; 0 skips it.
    /// [default: 2 where `lowlat serve` runs there]
    #[arg(long, value_name = "STREAMS", value_parser = clap::value_parser!(u32).range(0..=MOST_STREAMS))]
    pub load: Option<u32>,
    /// Engines to compare on the same path; `all` for each that there is, `none` skips this.
    #[arg(long, value_delimiter = ',', default_value = "block,spin,io-uring,af-xdp")]
    pub engines: Vec<String>,
    /// Do not look where the round trips take their time (a tenth of --duration, before and after).
    #[arg(long)]
    pub no_stages: bool,
    /// Roll back after the report.
    #[arg(long)]
    pub rollback: bool,
}

/// `around`.
#[derive(Debug, Args)]
pub struct AroundArgs {
    /// Interface of the path [default: that of the route to --target].
    #[arg(long, required_unless_present = "target")]
    pub iface: Option<String>,
    /// Far end that the path is probed to: HOST or HOST:PORT.
    #[arg(long, required_unless_present = "judged")]
    pub target: Option<String>,
    /// The latency goal.
    #[command(flatten)]
    pub goal: GoalArgs,
    /// Your own metric as the judge, instead of round trips.
    #[command(flatten)]
    pub judge: JudgeArgs,
    /// How to probe.
    #[command(flatten)]
    pub path: PathArgs,
    /// Engine of the baseline and of every A/B test.
    #[arg(long, default_value = "block")]
    pub engine: String,
    /// Also try changes that reset the link.
    #[arg(long)]
    pub allow_disruptive: bool,
    /// What stays: better (what is shown to help), all, or none.
    #[arg(long, value_enum, default_value_t = KeepArg::Better)]
    pub keep: KeepArg,
    /// Maximum number of pairs of rounds per change; a test stops earlier when it is decided.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(4..=1000))]
    pub pairs: u32,
    /// Smallest difference worth having, as a share of the median, a time, or both: 1%,0.5us.
    #[arg(long, value_parser = worth, default_value = "1%,0.5us", value_name = "SHARE|TIME")]
    pub worth: Worth,
    /// Allowed chance, over the whole run, of keeping a change that has no effect.
    #[arg(long, value_parser = false_keep, default_value = "5%", value_name = "SHARE")]
    pub false_keep: f64,
    /// Ping-pong part of one round; extended where it would hold fewer than 24 probes.
    #[arg(long, value_parser = round, default_value = "50ms", value_name = "TIME")]
    pub round: u64,
    /// Length of the baseline, and of each arm of the test of the whole.
    #[arg(long, value_parser = duration, default_value = "5s", value_name = "TIME")]
    pub duration: u64,
    /// The other tuner and its arguments, behind `--`: tuned-adm profile network-latency.
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    pub program: Vec<String>,
}

/// What stays of another tuner's changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum KeepArg {
    /// What is shown to help.
    Better,
    /// All of it.
    All,
    /// None of it.
    None,
}

/// `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// netns (seconds, veth) or vm (a minute, real NIC drivers in QEMU).
    #[arg(long, default_value = "netns")]
    pub lab: String,
    /// The latency goal [default: a median of 100us].
    #[command(flatten)]
    pub goal: GoalArgs,
    /// Also write the report as an HTML page.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Run all the pairs of every test, as a fixed design would: for comparison.
    #[arg(long, hide = true)]
    pub fixed: bool,
}

/// `bypass`.
#[derive(Debug, Args)]
pub struct BypassArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: BypassCommand,
}

/// `bypass` subcommands.
#[derive(Debug, Subcommand)]
pub enum BypassCommand {
    /// What each technique needs, whether this host has it, and what it costs.
    Check {
        /// Interface.
        #[arg(long)]
        iface: String,
    },
    /// Whether bypass is worth it on a path: every engine alternated, with what it costs and what it loses.
    Verdict(Box<VerdictArgs>),
    /// Write a small project to begin your own program with: it builds and runs a ping-pong against `lowlat serve`.
    New {
        /// af-xdp, io-uring or dpdk.
        technique: String,
        /// rust or c.
        #[arg(long, value_name = "LANGUAGE")]
        lang: String,
        /// Folder to make; one that is there has to be empty.
        dir: PathBuf,
    },
    /// Give a network device to vfio-pci, for DPDK: its interface goes until it is taken back.
    Bind {
        /// Its interface, or its PCI address (0000:01:00.0).
        device: String,
        /// Also without an IOMMU, where the kernel allows it: the device may then write anywhere in memory.
        #[arg(long)]
        allow_noiommu: bool,
        /// Take it back on its own after this time, unless `lowlat confirm` runs before.
        #[arg(long, value_parser = duration, value_name = "TIME")]
        confirm_within: Option<u64>,
    },
    /// Take a device back that `bypass bind` gave away: its driver, its interface's name and MTU.
    Unbind {
        /// Its PCI address.
        device: String,
    },
    /// Reserve hugepages on one NUMA node, for DPDK.
    Hugepages {
        /// NUMA node.
        #[arg(long)]
        node: u32,
        /// Size of a page: 2M, or 1G where the processor has them.
        #[arg(long, default_value = "2M", value_parser = ["2M", "1G"])]
        size: String,
        /// How many the node is to have.
        #[arg(long, value_parser = clap::value_parser!(u64).range(0..=16_777_216))]
        count: u64,
        /// Give them back on its own after this time, unless `lowlat confirm` runs before.
        #[arg(long, value_parser = duration, value_name = "TIME")]
        confirm_within: Option<u64>,
    },
}

/// `bypass verdict`.
#[derive(Debug, Args)]
pub struct VerdictArgs {
    /// Far end that runs `lowlat serve`: HOST or HOST:PORT.
    #[arg(required_unless_present_any = ["from", "configured_target"])]
    pub target: Option<String>,
    /// The config file's `target`, used where the command line names none.
    #[arg(long, hide = true)]
    pub configured_target: Option<String>,
    /// How to probe.
    #[command(flatten)]
    pub path: PathArgs,
    /// Interface of the path.
    #[arg(long)]
    pub iface: Option<String>,
    /// Engines, at least one of them without bypass; one that is named twice shows how the test answers where there is
    /// no difference.
    #[arg(long, value_delimiter = ',', default_value = "all")]
    pub engines: Vec<String>,
    /// Measured time of each engine.
    #[arg(long, value_parser = duration, default_value = "4s", value_name = "TIME")]
    pub duration: u64,
    /// The latency goal: bypass is worth it where it alone meets it.
    #[command(flatten)]
    pub goal: GoalArgs,
    /// Smallest gain of the median that is worth bypass [default: 20%].
    #[arg(long, value_parser = gain, value_name = "SHARE")]
    pub worth: Option<f64>,
    /// Attach also to the interface that carries the default route or a login session.
    #[arg(long)]
    pub allow_disruptive: bool,
    /// Seed of the order of the rounds [default: random, recorded in the document].
    #[arg(long)]
    pub seed: Option<u64>,
    /// Judge the recorded rounds of an earlier verdict again, by this --worth and --goal: run id, folder, or `last`.
    #[arg(long, value_name = "RUN", conflicts_with = "target")]
    pub from: Option<String>,
}

/// `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// Knob, rule, engine or NIC family; lists all without it.
    pub name: Option<String>,
    /// Pages that hold all these words, those with them in their names first.
    #[arg(long, value_name = "WORDS", num_args = 1.., conflicts_with = "name")]
    pub search: Vec<String>,
}

/// `report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Run id, folder, document or sample log; `last` is the newest run.
    pub run: String,
    /// text, md, json or html; csv or hlog (HdrHistogram) for the samples.
    #[arg(long, value_enum, default_value_t = FormatArg::Text)]
    pub format: FormatArg,
}

/// Report formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FormatArg {
    /// For a terminal.
    Text,
    /// Markdown.
    Md,
    /// The document.
    Json,
    /// One page with plots.
    Html,
    /// The samples, one line each.
    Csv,
    /// The samples as an HdrHistogram interval log, one histogram a second.
    Hlog,
}

/// `schema`.
#[derive(Debug, Args)]
pub struct SchemaArgs {
    #[arg(help = documents())]
    pub name: String,
}

/// The names of all documents.
fn documents() -> String {
    let names: Vec<&str> = lowlat_model::schema::DOCUMENTS.iter().map(|(name, _)| *name).collect();
    names.join(", ")
}
