//! The main job on an embedded lab: `lowlat demo`.
//!
//! A node that is nobody's gets faults that real hosts have, and then `optimize` runs there as a user would run it,
//! without knowing what was planted. What differs between the labs is the node: `netns` is a pair of private
//! network namespaces, `vm` a virtual machine with two NICs (`near` is the part of it that runs inside).

#![forbid(unsafe_code)]

mod far;
mod near;
mod netns;
mod vm;

use std::net::SocketAddr;
use std::time::Duration;

use lowlat_lab::faults::{self, Bed, FaultSite};
use lowlat_lab::netns::{FAR_ADDRESS, Far, LabError};
use lowlat_live::Failure;
use lowlat_live::optimize::{self, Finished, Job};
use lowlat_live::path::{PathAsk, ProbePath};
use lowlat_model::document::{Planted, RunDocument};
use lowlat_model::{Facts, Goal, GoalQuantile, Verdict, settings};
use lowlat_sys::Sys;
use lowlat_sys::store::Store;
use lowlat_transport::Proto;

pub use far::run as far;
pub use near::run as near;

/// Port of the far end that sleeps: the path of baseline and A/B tests.
const PORT: u16 = 7_411;
/// Port of the far end on the path on which the engines are shown.
const ENGINES_PORT: u16 = 7_412;

/// What the lab could not do.
#[allow(clippy::needless_pass_by_value)] // for map_err
fn in_lab(e: LabError) -> Failure {
    Failure::new(e.to_string())
}

/// What is asked of a demo.
#[derive(Debug)]
pub struct DemoAsk {
    /// `netns` or `vm`.
    pub lab: String,
    /// The goals; where there is none, a median of 100 µs: what the lab reaches once it is fixed.
    pub goals: Vec<Goal>,
    /// Run all the pairs of every test, as a fixed design would.
    pub fixed: bool,
}

/// What the command line does for a demo.
pub trait Screen {
    /// Shows one line of progress.
    fn line(&self, line: &str);
    /// Runs the job and shows how far it is.
    ///
    /// # Errors
    /// The job's own.
    fn job(&self, job: &Job, sys: &dyn Sys, store: &Store) -> Result<Finished, Failure>;
}

/// Runs the demo, and stores its run.
///
/// # Errors
/// There is no such lab, it could not be made, or the job could not be done in it.
pub fn run(ask: DemoAsk, screen: &dyn Screen) -> Result<RunDocument, Failure> {
    let ask = DemoAsk { goals: goals(ask.goals), ..ask };
    match ask.lab.as_str() {
        "netns" => netns::run(&ask, screen),
        "vm" => vm::run(&ask, screen),
        other => Err(Failure::new(format!("demo: there is no lab {other:?}; choose netns or vm"))),
    }
}

fn goals(asked: Vec<Goal>) -> Vec<Goal> {
    if asked.is_empty() { vec![Goal { quantile: GoalQuantile::P50, goal_ns: 100_000 }] } else { asked }
}

/// A node with its far end, ready for the job.
struct Node<'a> {
    far: &'a mut Far,
    bed: Bed,
    link: &'a str,
    near_cpu: u32,
    other_cpu: Option<u32>,
    /// What the far end of the engines' path is asked.
    engines_far: String,
    job: Job,
}

/// Plants the faults, runs the job as if it did not know, rolls back, and compares with the state before.
fn prove(node: Node<'_>, live: &dyn Sys, store: &Store, screen: &dyn Screen) -> Result<RunDocument, Failure> {
    let Node { far, bed, link, near_cpu, other_cpu, engines_far, job } = node;
    let mut site = FaultSite { link, far, probe_port: PORT, probe_cpu: near_cpu, other_cpu };
    let mut planted = Vec::new();
    let mut traffic = Vec::new();
    for fault in faults::on(bed) {
        match fault.plant(&mut site) {
            Ok(mut p) => {
                screen.line(&format!("  - {}", p.words));
                traffic.append(&mut p.traffic);
                planted.push(p);
            }
            Err(e) => screen.line(&format!("  - (not planted) {e}")),
        }
    }
    // A bulk transfer needs a moment to fill its queue; then the host is as a user would find it.
    std::thread::sleep(Duration::from_millis(500));
    let before = lowlat_collect::gather(live, Some(link), None);

    far.ask(&engines_far).map_err(in_lab)?;
    optimize::preflight(&job, live, store)?;
    let Finished { mut document, session, .. } = screen.job(&job, live, store)?;
    let Some(mut session) = session else {
        return Err(Failure::new("demo: optimize opened no transaction; report this as a bug"));
    };
    screen.line("rollback");
    let report = session.rollback(live)?;
    let after = lowlat_collect::gather(live, Some(link), None);
    let different = settings::differences(&before, &after);
    for line in report.words().lines().chain(different.iter().map(String::as_str)) {
        screen.line(&format!("  {line}"));
    }
    document.rollback_verified = Some(report.complete() && different.is_empty());
    document.planted = Some(planted.iter().map(|p| judged(p, &document)).collect());
    drop(traffic);
    Ok(document)
}

/// The path to the far end's port.
fn path(link: &str, port: u16, cpu: u32) -> Result<ProbePath, Failure> {
    let ask = PathAsk {
        proto: Proto::Udp,
        peer: "lowlat".to_owned(),
        size: 64,
        cpu: Some(cpu),
        // Longer than any queue here; a probe that takes longer is lost, and a lost one must not eat a whole round.
        timeout_ns: 120_000_000,
        dscp: None,
        priority: None,
        key_file: None,
        busy_poll_ns: None,
        dpdk: None,
    };
    ProbePath::new(&SocketAddr::from((FAR_ADDRESS, port)).to_string(), &ask, Some(link))
}

/// Whether a planted fault was found, and whether a step that its rule asked for was kept.
fn judged(planted: &faults::PlantedFault, document: &RunDocument) -> Planted {
    let findings: Vec<_> = document.findings.iter().filter(|f| f.rule == planted.rule).collect();
    let asked: Vec<_> = findings.iter().flat_map(|f| &f.remedy.settings).collect();
    let kept = document.steps.iter().any(|s| {
        s.kept && s.verdict == Verdict::Better && asked.iter().any(|a| a.knob == s.knob && a.target == s.target)
    });
    Planted {
        fault: planted.words.clone(),
        rule: planted.rule.to_owned(),
        found: !findings.is_empty(),
        fixed: if findings.is_empty() {
            Some(false)
        } else if asked.is_empty() {
            None
        } else {
            Some(kept)
        },
    }
}

fn cpus(sys: &dyn Sys) -> Vec<u32> {
    let facts: Facts = lowlat_collect::gather(sys, None, None);
    facts.cpus.online.into_value().filter(|c| !c.is_empty()).unwrap_or_else(|| vec![0])
}
