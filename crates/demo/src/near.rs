//! The part of the VM lab's demo that runs inside the guest: a whole host, and nobody's but ours.

use std::path::Path;

use lowlat_lab::faults::Bed;
use lowlat_lab::netns::{self, Far};
use lowlat_model::Goal;
use lowlat_model::tune::Scope;
use lowlat_sys::Live;
use lowlat_sys::store::{self, Store};
use lowlat_tune::Limits;

use super::{ENGINES_PORT, Node, PORT, Screen, goals, path, prove};
use lowlat_live::{Failure, Outcome, optimize::Job};

/// The topology's two linked NICs.
const LINKS: [&str; 2] = ["eth0", "eth1"];
/// The two ends run on CPUs of their own: the guest has two.
const NEAR_CPU: u32 = 1;
const FAR_CPU: u32 = 0;

/// Runs the job and leaves its document in the file `out`.
///
/// # Errors
/// This is no machine of the lab, or the job could not be done.
pub fn run(asked: Vec<Goal>, out: &Path, screen: &dyn Screen) -> Outcome {
    // It takes links apart; started by hand on a host it would take the host's.
    if !lowlat_lab::vm::inside() {
        return Err(Failure::new(
            "lab-near: this is not a machine of the lab; run `lowlat demo --lab vm`, which makes one",
        ));
    }
    let store = Store::locate()?;
    let mut far = Far::spawn().map_err(super::in_lab)?;
    netns::join_nics(&mut far, LINKS[0], LINKS[1]).map_err(super::in_lab)?;
    let live = Live::new();
    far.ask(&format!("serve {PORT} sleep {FAR_CPU}")).map_err(super::in_lab)?;
    screen.line("lab: a virtual machine with two e1000e back to back; planted, and unknown to optimize:");
    let node = Node {
        far: &mut far,
        bed: Bed::Nic,
        link: LINKS[0],
        near_cpu: NEAR_CPU,
        other_cpu: Some(FAR_CPU),
        engines_far: format!("serve {ENGINES_PORT} sleep {FAR_CPU}"),
        job: job(goals(asked))?,
    };
    let document = prove(node, &live, &store, screen)?;
    let text = serde_json::to_vec(&document)
        .map_err(|e| Failure::new(format!("write the run's document: {e}; report this as a bug")))?;
    store::write_atomic(out, text).map_err(|e| Failure::because(e, "boot again"))?;
    Ok(0)
}

fn job(goals: Vec<Goal>) -> Result<Job, Failure> {
    Ok(Job {
        iface: LINKS[0].to_owned(),
        path: Some(path(LINKS[0], PORT, NEAR_CPU)?),
        judge: None,
        around: None,
        engine_path: Some(path(LINKS[0], ENGINES_PORT, NEAR_CPU)?),
        goals,
        present_ns: None,
        engine: "block".to_owned(),
        dry_run: false,
        allow_disruptive: true,
        reach: Scope::Host,
        // Time is counted in instructions and repeats to some percent, so few samples show much.
        limits: Limits {
            most_pairs: 24,
            round_ns: 20_000_000,
            headline_ns: 300_000_000,
            load_streams: 1,
            // What an interrupt more costs in instructions says nothing about a real host.
            worth_ratio: 0.1,
            seed: lowlat_live::ab::seed(),
            ..Limits::default()
        },
        duration_ns: 300_000_000,
        engines: ["block", "spin", "busy-poll", "io-uring"].map(str::to_owned).to_vec(),
        asked: Vec::new(),
        not_seen: Vec::new(),
        // Guest time is expensive, and a phase of this short run would show little.
        stages: false,
        rolls_back: true,
    })
}
