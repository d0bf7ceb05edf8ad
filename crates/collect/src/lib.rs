//! What the host is: one file per collector, one line per file in [`COLLECTORS`].
//!
//! A collector asks the reading door and turns the kernel's text into facts. It holds no threshold and gives no
//! opinion: that is the rules' part. Parsers of kernel text are pure functions over `&str` and never panic; text
//! that does not match its documentation is [`Reading::Garbled`], never a zero.
//!
//! [`gather`] runs them all. It reads through a `Moment`, so each file is read once per moment
//! however many collectors want it, and all collectors of one moment see the same text. On the live host two threads share
//! the work, each with a moment of its own. [`site`] and [`site_state`] read
//! only what one measurement depends on, by the same parsers.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod application;
pub mod bypass;
mod counters;
mod cpus;
mod cpusets;
mod device;
mod filters;
mod host;
mod interfaces;
mod irqs;
mod linuxptp;
mod moment;
pub mod path;
mod qdiscs;
mod queues;
mod routes;
mod site;
mod sockets;
mod sysctls;
mod text;
mod timesync;

use std::collections::BTreeMap;

use lowlat_model::facts::{Cpus, Filters, Host, Interface, Irq, Qdisc, Route, Sockets, TimeSync, XdpSocket};
use lowlat_model::{Counters, Facts, Reading, Schema, Window};
use lowlat_sys::Sys;

use moment::Moment;

pub use application::{ApplicationProblem, Whose, is_a_program, open_sockets, process_state, socket_owners};
pub use path::{PathProblem, Towards};
pub use site::{cpu_ticks, site, site_state};
pub use sysctls::KEYS as SYSCTLS;

/// What is known of a collector before it runs.
#[derive(Debug)]
pub struct Collector {
    /// `host`, `cpus`, `counters/softnet`.
    pub name: &'static str,
    /// The page: Markdown, what the collector reports and how to read it.
    pub page: &'static str,
    /// Paths and queries it asks for.
    pub reads: &'static [&'static str],
    /// Where the formats are documented.
    pub sources: &'static [&'static str],
    /// File of the collector.
    pub file: &'static str,
}

/// Declares a collector: its doc comment is its page.
macro_rules! collector {
    ($(#[doc = $doc:literal])+ pub $id:ident = $name:literal; reads [$($read:literal),+ $(,)?]; sources [$($source:literal),+ $(,)?];) => {
        $(#[doc = $doc])+
        pub(crate) static $id: $crate::Collector = $crate::Collector {
            name: $name,
            page: lowlat_model::doc_page!($($doc)+),
            reads: &[$($read),+],
            sources: &[$($source),+],
            file: file!(),
        };
    };
}
pub(crate) use collector;

/// Every collector, in the order of the document.
pub static COLLECTORS: &[&Collector] = &[
    &host::HOST,
    &cpus::CPUS,
    &cpusets::CPUSETS,
    &interfaces::INTERFACES,
    &queues::QUEUES,
    &irqs::IRQS,
    &sysctls::SYSCTLS,
    &qdiscs::QDISCS,
    &filters::FILTERS,
    &sockets::SOCKETS,
    &routes::ROUTES,
    &path::PATH,
    &timesync::TIMESYNC,
    &counters::softnet::SOFTNET,
    &counters::protocols::PROTOCOLS,
    &counters::links::LINKS,
    &counters::interrupts::INTERRUPTS,
    &counters::processors::PROCESSORS,
    &counters::idle::IDLE,
    &counters::memory::MEMORY,
    &counters::neighbours::NEIGHBOURS,
    &counters::scheduler::SCHEDULER,
    &counters::pressure::PRESSURE,
    &counters::thermal::THERMAL,
    &counters::cgroup::CGROUP,
    &counters::conntrack::CONNTRACK,
    &counters::aer::AER,
    &application::APPLICATION,
    &counters::softirq_threads::SOFTIRQ_THREADS,
    &counters::firmware::FIRMWARE,
];

/// Reads the host. With `window_ns`, then also reads the counters, lets that time pass and reads them again: the
/// window holds nothing of the reading itself.
///
/// `taken_at_unix_ns` is 0: the wall clock is the caller's.
pub fn gather(sys: &dyn Sys, iface: Option<&str>, window_ns: Option<u64>) -> Facts {
    gather_path(sys, iface, None, window_ns)
}

/// As [`gather`], with the path to a target: its route's interfaces and what is beneath them. Without `iface` the
/// route's own comes into focus.
pub fn gather_path(sys: &dyn Sys, iface: Option<&str>, target: Option<Towards>, window_ns: Option<u64>) -> Facts {
    let mut facts = still(sys, iface, target, window_ns.is_none());
    if let Some(ns) = window_ns {
        watch(sys, &mut facts, ns);
    }
    facts
}

/// As [`gather_path`], with one running application, whose window is that of the counters.
///
/// # Errors
/// Where there is no such application, or it ended within the window.
pub fn gather_application(
    sys: &dyn Sys,
    iface: Option<&str>,
    target: Option<Towards>,
    window_ns: Option<u64>,
    whose: Whose,
) -> Result<Facts, ApplicationProblem> {
    // Before the host is read, which takes a while.
    application::first(sys, whose)?;
    let mut facts = still(sys, iface, target, window_ns.is_none());
    let first = application::first(sys, whose)?;
    if let Some(ns) = window_ns {
        watch(sys, &mut facts, ns);
    }
    facts.application = Some(first.finish(sys, window_ns.is_some())?);
    Ok(facts)
}

/// Reads the counters, lets the time pass and reads them again.
fn watch(sys: &dyn Sys, facts: &mut Facts, ns: u64) {
    let before = counters(sys);
    sys.wait(ns);
    facts.counters = counters(sys);
    facts.counters.share(&before);
    facts.window = Some(Window { before, after: facts.counters.clone() });
}

/// Everything but a window; the counters too, if they are to be those of the same moment.
///
/// Half of it is files of the machine, half questions about the network. Where the door allows it, a thread reads the first
/// and the counters meanwhile, as a moment of its own.
fn still(sys: &dyn Sys, iface: Option<&str>, target: Option<Towards>, counted: bool) -> Facts {
    std::thread::scope(|scope| {
        let meanwhile = sys.shared().and_then(|sys| {
            let read = move || Machine::read(&Moment::new(sys), counted);
            std::thread::Builder::new().spawn_scoped(scope, read).ok()
        });
        let now = Moment::new(sys);
        let network = Network::read(&now);
        let machine = match meanwhile {
            Some(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            None => Machine::read(&now, false),
        };
        let mut facts = Facts {
            path: Vec::new(),
            target: None,
            path_not_seen: Vec::new(),
            login_ifaces: network.login_ifaces,
            schema: Schema::current("facts"),
            lowlat: env!("CARGO_PKG_VERSION").to_owned(),
            taken_at_unix_ns: 0,
            iface: iface.map(str::to_owned),
            host: machine.host,
            cpus: machine.cpus,
            irqs: network.irqs,
            irq_actions: network.irq_actions,
            interfaces: network.interfaces,
            sysctls: machine.sysctls,
            qdiscs: network.qdiscs,
            filters: network.filters,
            xdp_sockets: network.xdp_sockets,
            sockets: network.sockets,
            routes: network.routes,
            time: machine.time,
            counters: Counters::default(),
            window: None,
            application: None,
        };
        path::fill(&now, &mut facts, target);
        if counted {
            facts.counters = machine.counters.unwrap_or_else(|| counters::read(&now));
        }
        facts
    })
}

/// The machine's half of the facts.
struct Machine {
    host: Host,
    cpus: Cpus,
    sysctls: BTreeMap<String, Reading<String>>,
    time: TimeSync,
    counters: Option<Counters>,
}

impl Machine {
    fn read(sys: &dyn Sys, counted: bool) -> Self {
        Self {
            host: host::read(sys),
            cpus: cpus::read(sys),
            sysctls: sysctls::read(sys),
            time: timesync::read(sys),
            counters: counted.then(|| counters::read(sys)),
        }
    }
}

/// The network's half.
struct Network {
    interfaces: BTreeMap<String, Interface>,
    irqs: Reading<Vec<Irq>>,
    irq_actions: Reading<BTreeMap<u32, String>>,
    login_ifaces: Vec<String>,
    qdiscs: Reading<Vec<Qdisc>>,
    filters: Filters,
    xdp_sockets: Reading<Vec<XdpSocket>>,
    sockets: Reading<Sockets>,
    routes: Reading<Vec<Route>>,
}

impl Network {
    fn read(sys: &dyn Sys) -> Self {
        let interfaces = interfaces::read(sys);
        let (irqs, irq_actions) = irqs::read(sys, interfaces.keys().map(String::as_str));
        let sockets = sockets::read(sys);
        Self {
            interfaces,
            irqs,
            irq_actions,
            login_ifaces: path::login_ifaces(sys, &sockets),
            qdiscs: qdiscs::read(sys),
            filters: filters::read(sys),
            xdp_sockets: filters::xdp_sockets(sys),
            sockets: sockets.map(Into::into),
            routes: routes::read(sys),
        }
    }
}

/// Reads the counters alone.
pub fn counters(sys: &dyn Sys) -> Counters {
    counters::read(&Moment::new(sys))
}

#[cfg(test)]
mod tests;
