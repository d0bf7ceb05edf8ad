//! `lowlat demo`: the main job on an embedded lab.
//!
//! The demo's process goes into private namespaces before it does anything else, plants its faults there, and then runs
//! `optimize` as a user would, without telling it what was planted. Its far end is a child process in a namespace of its
//! own. Both namespaces vanish with the processes, so an interrupted or killed demo leaves nothing behind.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use lowlat_lab::faults::{self, Site};
use lowlat_lab::netns::{self, FAR_ADDRESS, Far, FarNode, LabError, NEAR_LINK};
use lowlat_model::document::Planted;
use lowlat_model::settings;
use lowlat_model::{Facts, Verdict};
use lowlat_peers::serve::{self, ServeConfig};
use lowlat_sys::store::Store;
use lowlat_sys::{Live, Sys};

use crate::args::{DemoArgs, FormatArg, PathArgs, ProtoArg};
use crate::failure::{Failure, Outcome};
use crate::optimize::{self, Finished, Job};
use crate::output;
use crate::path::Path;

/// Port of the far end that sleeps, on the prober's CPU: the path of baseline and A/B tests.
const PORT: u16 = 7_411;
/// Port of the far end that spins on a CPU of its own: the path on which the engines are shown.
const SPIN_PORT: u16 = 7_412;

impl From<LabError> for Failure {
    fn from(e: LabError) -> Self {
        Self::new(e.to_string())
    }
}

/// Runs the command.
pub fn run(args: &DemoArgs, json: bool) -> Outcome {
    if args.lab != "netns" {
        return Err(Failure::new(format!("demo: there is no lab {:?}; choose netns", args.lab)));
    }
    crate::need_root("demo", "its private namespaces need it")?;
    let store = Store::locate()?;
    optimize::free_to_change(&store)?;
    netns::enter_private()?;
    let mut far = Far::spawn()?;
    netns::join(&mut far)?;
    let live = Live::new();
    let cpus = cpus(&live);
    let (near_cpu, other_cpu) = (cpus[0], cpus.get(1).copied());
    far.ask(&format!("serve {PORT} sleep {near_cpu}"))?;

    let mut site = Site { far: &mut far, probe_port: PORT, probe_cpu: near_cpu, other_cpu };
    let mut planted = Vec::new();
    let mut traffic = Vec::new();
    output::progress("lab: two private network namespaces joined by a veth link; planted, and not told to optimize:");
    for fault in faults::all() {
        match fault.plant(&mut site) {
            Ok(mut p) => {
                output::progress(&format!("  - {}", p.words));
                traffic.append(&mut p.traffic);
                planted.push(p);
            }
            Err(e) => output::progress(&format!("  - (not planted) {e}")),
        }
    }
    // The bulk transfer needs a moment to fill its queue; then the host is as a user would find it.
    std::thread::sleep(Duration::from_millis(500));
    let before = lowlat_probes::gather(&live, Some(NEAR_LINK), None);

    far.ask(&format!("serve {SPIN_PORT} spin {}", other_cpu.unwrap_or(near_cpu)))?;
    let job = job(args.goal, near_cpu)?;
    optimize::preflight(&job, &live, &store)?;
    let Finished { mut document, session, .. } = optimize::run(&job, &live, &store, &mut output::progress)?;
    let Some(mut session) = session else {
        return Err(Failure::new("demo: optimize opened no transaction; report this as a bug"));
    };
    output::progress("rollback");
    let report = session.rollback(&live)?;
    let after = lowlat_probes::gather(&live, Some(NEAR_LINK), None);
    let different = settings::differences(&before, &after);
    for line in report.words().lines().chain(different.iter().map(String::as_str)) {
        output::progress(&format!("  {line}"));
    }
    document.rollback_verified = Some(report.complete() && different.is_empty());
    // What was put back is not there to be persisted.
    document.next_steps.retain(|step| !step.contains("lowlat persist"));
    document.planted = Some(planted.iter().map(|p| judged(p, &document)).collect());
    store.save_stage(&document.run, "run", &document)?;
    drop(traffic);

    if let Some(file) = &args.html {
        let page = lowlat_report::html(&document);
        lowlat_sys::store::write_atomic(file, page.as_bytes())
            .map_err(|e| Failure::because(e, "name a file that can be written with --html"))?;
    }
    super::report::print(&document, if json { FormatArg::Json } else { FormatArg::Text })?;
    if document.rollback_verified == Some(true) {
        Ok(super::report::exit_code(&document))
    } else {
        Err(Failure::new("demo: the rollback did not restore everything, see the lines above; report this as a bug"))
    }
}

fn job(goal_ns: u64, cpu: u32) -> Result<Job, Failure> {
    let args = PathArgs {
        proto: ProtoArg::Udp,
        peer: "lowlat".to_owned(),
        size: 64,
        cpu: Some(cpu),
        // Longer than any queue here; a probe that takes longer is lost, and a lost one must not eat a whole round.
        timeout: 120_000_000,
        dscp: None,
        priority: None,
        key_file: None,
        busy_poll: None,
    };
    let at = |port: u16| SocketAddr::from((FAR_ADDRESS, port)).to_string();
    Ok(Job {
        iface: NEAR_LINK.to_owned(),
        path: Path::new(&at(PORT), &args, Some(NEAR_LINK))?,
        engine_path: Some(Path::new(&at(SPIN_PORT), &args, Some(NEAR_LINK))?),
        goal_ns: Some(goal_ns),
        present_ns: None,
        engine: "block".to_owned(),
        dry_run: false,
        allow_disruptive: true,
        // A namespace's settings are the lab's own; the host's CPUs are not.
        allow_host_wide: false,
        // Many short pairs: the host's speed changes between them, not within.
        pairs: 12,
        round_ns: 80_000_000,
        duration_ns: 2_000_000_000,
        load_streams: 2,
        engines: ["block", "spin", "io-uring", "af-xdp"].map(str::to_owned).to_vec(),
    })
}

/// Whether a planted fault was found, and whether a step that its rule asked for was kept.
fn judged(planted: &faults::Planted, document: &lowlat_model::document::RunDocument) -> Planted {
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
    let facts: Facts = lowlat_probes::gather(sys, None, None);
    facts.cpus.online.into_value().filter(|c| !c.is_empty()).unwrap_or_else(|| vec![0])
}

/// The far node's process: answers `serve PORT sleep|spin CPU`.
pub fn far() -> Outcome {
    static NEVER: AtomicBool = AtomicBool::new(false);
    let node = FarNode::start()?;
    let errors: &'static Mutex<Vec<String>> = Box::leak(Box::default());
    node.run(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["serve", port, how, cpu] = words.as_slice() else { return Err(format!("the far node knows no {line:?}")) };
        let (Ok(port), Ok(cpu)) = (port.parse::<u16>(), cpu.parse::<u32>()) else {
            return Err(format!("{line:?} has a number that is none"));
        };
        let config = ServeConfig { port: Some(port), cpu: Some(cpu), spin: *how == "spin", ..ServeConfig::default() };
        let (ready, bound) = mpsc::channel();
        std::thread::spawn(move || {
            if let Err(e) = serve::run(&config, &NEVER, |_| {
                let _ = ready.send(());
            }) && let Ok(mut errors) = errors.lock()
            {
                errors.push(e.to_string());
            }
        });
        bound.recv_timeout(Duration::from_secs(5)).map_err(|_| {
            let why =
                errors.lock().ok().and_then(|mut e| e.pop()).unwrap_or_else(|| "it did not come up in 5 s".to_owned());
            format!("serve on port {port}: {why}")
        })?;
        Ok(String::new())
    });
    NEVER.store(true, Ordering::Relaxed);
    Ok(0)
}
