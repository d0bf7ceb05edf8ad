//! The lab of two private network namespaces joined by a veth link.
//!
//! The demo's process goes into private namespaces before it does anything else. Its far end is a child process in a
//! namespace of its own. Both namespaces vanish with the processes, so an interrupted or killed demo leaves nothing
//! behind.

use lowlat_lab::faults::Bed;
use lowlat_lab::netns::{self, Far, NEAR_LINK};
use lowlat_model::Capability;
use lowlat_model::document::RunDocument;
use lowlat_model::tune::Scope;
use lowlat_sys::Live;
use lowlat_sys::store::Store;
use lowlat_tune::Limits;

use super::{DemoAsk, ENGINES_PORT, Node, PORT, Screen, cpus, path, prove};
use lowlat_live::{
    Failure,
    optimize::{self, Job},
};

/// What the report says of it.
const LAB: &str = "two private network namespaces of this host, joined by a veth link. It has no interrupts of a NIC, no \
                   coalescing and no rings, so the figures claim nothing about one.";

/// Runs the demo there.
pub(super) fn run(ask: &DemoAsk, screen: &dyn Screen) -> Result<RunDocument, Failure> {
    lowlat_live::privilege::need(
        "demo",
        &[Capability::SysAdmin, Capability::NetAdmin],
        "its private namespaces need it",
    )?;
    let store = Store::locate()?;
    optimize::free_to_change(&store)?;
    netns::enter_private().map_err(super::in_lab)?;
    let mut far = Far::spawn().map_err(super::in_lab)?;
    netns::join(&mut far).map_err(super::in_lab)?;
    let live = Live::new();
    let cpus = cpus(&live);
    let (near_cpu, other_cpu) = (cpus[0], cpus.get(1).copied());
    // On the prober's CPU: with the far end on another, the A/B tests would show wake-ups across CPUs.
    far.ask(&format!("serve {PORT} sleep {near_cpu}")).map_err(super::in_lab)?;
    screen.line("lab: two private network namespaces joined by a veth link; planted, and unknown to optimize:");
    let node = Node {
        far: &mut far,
        bed: Bed::Veth,
        link: NEAR_LINK,
        near_cpu,
        other_cpu,
        engines_far: format!("serve {ENGINES_PORT} spin {}", other_cpu.unwrap_or(near_cpu)),
        job: job(ask, near_cpu)?,
    };
    let mut document = prove(node, &live, &store, screen)?;
    document.lab = Some(LAB.to_owned());
    store.save_stage(&document.run, "run", &document)?;
    Ok(document)
}

fn job(ask: &DemoAsk, cpu: u32) -> Result<Job, Failure> {
    Ok(Job {
        iface: NEAR_LINK.to_owned(),
        path: Some(path(NEAR_LINK, PORT, cpu)?),
        judge: None,
        around: None,
        engine_path: Some(path(NEAR_LINK, ENGINES_PORT, cpu)?),
        goals: ask.goals.clone(),
        present_ns: None,
        engine: "block".to_owned(),
        dry_run: false,
        allow_disruptive: true,
        // A namespace's settings are the lab's own; the host's CPUs are not.
        reach: Scope::Namespace,
        // Many short pairs: the host's speed changes between them, not within.
        limits: Limits {
            most_pairs: 60,
            round_ns: 40_000_000,
            headline_ns: 2_000_000_000,
            load_streams: 2,
            seed: lowlat_live::ab::seed(),
            fixed: ask.fixed,
            ..Limits::default()
        },
        duration_ns: 2_000_000_000,
        engines: ["block", "spin", "io-uring", "af-xdp"].map(str::to_owned).to_vec(),
        asked: Vec::new(),
        not_seen: Vec::new(),
        stages: true,
        rolls_back: true,
    })
}
