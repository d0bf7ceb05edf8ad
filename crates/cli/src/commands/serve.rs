//! `lowlat serve`: the far end.

use lowlat_peers::serve::{self, Bound, Confinement, ServeConfig, ServeStats, Wait, Watcher};
use lowlat_sys::Live;
use lowlat_transport_xdp::Responder;

use crate::args::ServeArgs;
use crate::{output, signals};
use lowlat_live::responder::{self, DpdkFarEnd};
use lowlat_live::{Failure, Outcome, far, path::read_key, suspend};

/// Runs the command until a signal ends it; then prints what it did.
pub fn run(args: &ServeArgs, json: bool) -> Outcome {
    if args.engine.as_deref() == Some(DPDK) {
        return behind_dpdk(args, json);
    }
    let way = way(args)?;
    if let Some(iface) = way.suspends {
        return suspend::far_end(iface, "--suspended", &Live::new(), &mut output::progress);
    }
    let mut config = ServeConfig {
        bind: args.bind.clone(),
        sockperf: args.sockperf,
        stamp: args.stamp,
        key: args.key_file.as_deref().map(read_key).transpose()?,
        source_limit: args.source_limit,
        total_limit: args.total_limit,
        wait: way.wait,
        cpu: args.cpu,
        places: Some(far::places(&Live::new())),
        confine: true,
        ..ServeConfig::default()
    };
    if let Some(port) = args.port {
        config.port = Some(port);
    }
    // Linux binds a datagram socket to them, and answers would leave with a source that no probe can have been sent to.
    let nobodys = |ip: &&std::net::IpAddr| ip.is_multicast() || **ip == std::net::Ipv4Addr::BROADCAST;
    if let Some(ip) = args.bind.iter().find(nobodys) {
        return Err(Failure::new(format!(
            "serve on {ip}: it is a group's address, not one of this host; name an address that `ip address` shows"
        )));
    }
    for range in &args.allow {
        config.allow.push(range.parse().map_err(|e| Failure::new(format!("serve: {e}")))?);
    }
    let mut xdp = way.xdp.map(|iface| responder::open(iface, &config, &Live::new())).transpose()?;
    let gone = way.xdp.map(ended_under_us);
    let mut console = Console { every_ns: args.report, xdp: xdp.as_mut(), gone, suspended: args.suspended };
    let stats = serve::watched(&config, signals::stop(), &mut console)?;
    print(&stats, xdp.map(|xdp| xdp.answered()), json)?;
    Ok(0)
}

const DPDK: &str = "dpdk";

/// The far end behind a port of DPDK, which has no sockets.
fn behind_dpdk(args: &ServeArgs, json: bool) -> Outcome {
    let given = [
        ("--bind", !args.bind.is_empty()),
        ("--spin", args.spin),
        ("--sockperf", args.sockperf.is_some()),
        ("--stamp", args.stamp.is_some()),
        ("--allow", !args.allow.is_empty()),
        ("--key-file", args.key_file.is_some()),
        ("--source-limit", args.source_limit.is_some()),
        ("--total-limit", args.total_limit.is_some()),
    ];
    let no = |why: String| Failure::new(format!("serve with engine {DPDK:?}: {why}"));
    if let Some((flag, _)) = given.into_iter().find(|(_, given)| *given) {
        return Err(no(format!("its port answers lowlat's own probes alone, from everybody; leave out {flag}")));
    }
    let address =
        args.dpdk_address.ok_or_else(|| no("its address is missing; give --dpdk-address ADDRESS/LENGTH".to_owned()))?;
    let far = DpdkFarEnd {
        port: args.dpdk_port.as_deref().unwrap_or("net_af_packet"),
        iface: args.iface.as_deref(),
        address: address.0,
        udp_port: args.port,
        cpu: args.cpu,
        every_ns: args.report,
    };
    let answered = responder::behind_dpdk(&far, &mut output::progress)?;
    print(&ServeStats { received: answered, answered, ..ServeStats::default() }, None, json)?;
    Ok(0)
}

/// How the far end waits and answers.
#[derive(Default)]
struct Way<'a> {
    wait: Wait,
    /// Interface of the XDP program.
    xdp: Option<&'a str>,
    /// Interface whose interrupts are suspended while another process answers.
    suspends: Option<&'a str>,
}

/// What `--engine` names, or the flags that are older than it.
fn way(args: &ServeArgs) -> Result<Way<'_>, Failure> {
    let spin = if args.spin { Wait::Spin } else { Wait::Sleep };
    let Some(engine) = args.engine.as_deref() else {
        return Ok(Way { wait: spin, xdp: args.xdp.as_deref(), suspends: None });
    };
    let no = |why: String| Failure::new(format!("serve with engine {engine:?}: {why}"));
    let wait = responder::wait(engine).map_err(no)?;
    let on_iface = matches!(engine, "af-xdp" | "suspend");
    match args.iface.as_deref() {
        Some(_) if !on_iface => Err(no("only suspend, af-xdp and dpdk take --iface; leave it out".to_owned())),
        None if on_iface => Err(no("its interface is missing; give --iface IF".to_owned())),
        _ if args.dpdk_address.is_some() => {
            Err(no("only dpdk takes --dpdk-port and --dpdk-address; leave them out".to_owned()))
        }
        _ if args.spin && !matches!(engine, "spin" | "busy-poll" | "af-xdp") => {
            Err(no("it says itself how it waits; leave out --spin".to_owned()))
        }
        xdp if engine == "af-xdp" => Ok(Way { wait: spin, xdp, suspends: None }),
        suspends => Ok(Way { wait, xdp: None, suspends: suspends.filter(|_| !args.suspended) }),
    }
}

/// Reports on standard error what is bound and, now and then, how it fares.
struct Console<'a> {
    every_ns: Option<u64>,
    xdp: Option<&'a mut Responder>,
    /// What is said once when the program's interface goes; taken when it is said.
    gone: Option<String>,
    /// Who set the NAPI instances lives as long as standard input stays open.
    suspended: bool,
}

/// That the interface of the XDP program is no more.
fn ended_under_us(iface: &str) -> String {
    format!(
        "serve: {iface} was deleted or left this network namespace, and the XDP program with it; the sockets answer what \
         still comes, start serve again for --xdp"
    )
}

impl Watcher for Console<'_> {
    fn granted(&mut self, options: &[lowlat_transport::EngineOption]) {
        if let Some(words) = responder::granted(options) {
            output::progress(&words);
        }
    }

    fn ready(&mut self, bound: &[Bound], confinement: &[Confinement]) {
        if let Some(xdp) = &self.xdp {
            output::progress(xdp.words());
        }
        for b in bound {
            output::progress(&format!("{} over {:?} on {}", b.protocol, b.proto, b.at));
        }
        for c in confinement {
            output::progress(&c.to_string());
        }
    }

    fn report(&mut self, stats: &ServeStats) {
        let counts = counts(stats);
        let mut words: Vec<String> = reported(&counts).map(|(name, count)| format!("{name} {count}")).collect();
        words.extend(self.xdp.as_ref().map(|xdp| format!("answered by XDP {}", xdp.answered())));
        words.extend(residence(stats));
        output::progress(&words.join(", "));
    }

    fn look(&mut self) {
        if self.suspended && signals::input_ended() {
            signals::stop().store(true, std::sync::atomic::Ordering::SeqCst);
        }
        if self.gone.is_some() && self.xdp.as_mut().is_some_and(|xdp| xdp.is_gone()) {
            output::progress(&self.gone.take().unwrap_or_default());
        }
    }

    fn every_ns(&self) -> Option<u64> {
        self.every_ns
    }
}

fn counts(stats: &ServeStats) -> [(&'static str, u64); 17] {
    [
        ("received", stats.received),
        ("answered", stats.answered),
        ("answered_connected", stats.answered_connected),
        ("malformed", stats.malformed),
        ("unauthenticated", stats.unauthenticated),
        ("replayed", stats.replayed),
        ("none_wanted", stats.none_wanted),
        ("not_allowed", stats.not_allowed),
        ("source_limited", stats.source_limited),
        ("total_limited", stats.total_limited),
        ("send_failed", stats.send_failed),
        ("receive_failed", stats.receive_failed),
        ("kernel_dropped", stats.kernel_dropped),
        ("connections", stats.connections),
        ("connections_refused", stats.connections_refused),
        ("connections_idle", stats.connections_idle),
        ("sink_bytes", stats.sink_bytes),
    ]
}

/// For people: the two that always say something, and what is not nothing.
fn reported<'a>(counts: &'a [(&'static str, u64)]) -> impl Iterator<Item = &'a (&'static str, u64)> {
    counts.iter().filter(|(name, count)| *count > 0 || matches!(*name, "received" | "answered"))
}

fn residence(stats: &ServeStats) -> Option<String> {
    let (p50, p99) = (stats.residence.quantile(0.5)?, stats.residence.quantile(0.99)?);
    Some(format!("residence p50 {p50} ns, p99 {p99} ns, max {} ns", stats.residence.max_ns))
}

fn print(stats: &ServeStats, by_xdp: Option<u64>, json: bool) -> Result<(), Failure> {
    let counts = counts(stats);
    if json {
        return output::json(&stats.document(by_xdp));
    }
    for (name, count) in reported(&counts) {
        output::text(&format!("{name:<20} {count}"));
    }
    if let Some(count) = by_xdp {
        output::text(&format!("{:<20} {count}", "answered_by_xdp"));
    }
    if let Some(words) = residence(stats) {
        output::text(&words);
    }
    Ok(())
}
