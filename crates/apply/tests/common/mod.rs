//! What the suites of cases share: a case is a process of its own, in network and mount namespaces of its own.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::print_stdout)] // each suite is a crate of its own

use std::path::Path;
use std::process::{Command, ExitCode};

use lowlat_knobs::resolve;
use lowlat_lab::netns::enter_private;
use lowlat_model::PlannedStep;
use lowlat_model::finding::Setting;
use lowlat_model::plan::LeftOut;
use lowlat_netlink::route::link;
use lowlat_netlink::tc::{self, Parent, TcHandle};
use lowlat_sys::Live;
use lowlat_sys::store::Store;

/// One case; the state directory is its own.
pub type Case = fn(&Store);

/// The cases of a suite.
pub struct Cases {
    /// The suite's name.
    pub name: &'static str,
    /// Name and body.
    pub all: &'static [(&'static str, Case)],
    /// What is made in each case's namespaces before it.
    pub prepare: fn(),
}

impl Cases {
    /// Does what the suite's command line asks: everything, or one case in this process. Where namespaces cannot be made it
    /// says so and passes, unless `LOWLAT_REQUIRE_ROOT=1`: then it fails.
    pub fn main(&self, args: &[&str]) -> ExitCode {
        match args {
            ["--case", name, dir] => {
                let case = self.all.iter().find(|c| c.0 == *name).unwrap().1;
                enter_private().unwrap();
                (self.prepare)();
                case(&Store::at(*dir));
                ExitCode::SUCCESS
            }
            // What the binary under test is started with by the session itself.
            ["hold-dma-latency", us, pipe] => {
                lowlat_apply::hold_dma_latency(us.parse().unwrap(), Some(Path::new(pipe))).unwrap();
                ExitCode::SUCCESS
            }
            ["--probe"] => match enter_private() {
                Ok(()) => ExitCode::SUCCESS,
                Err(e) => {
                    println!("{e}");
                    ExitCode::from(2)
                }
            },
            _ => self.each(),
        }
    }

    fn each(&self) -> ExitCode {
        let me = std::env::current_exe().unwrap();
        let probe = Command::new(&me).arg("--probe").output().unwrap();
        if !probe.status.success() {
            println!("{}: not run: {}", self.name, String::from_utf8_lossy(&probe.stdout).trim());
            let required = std::env::var("LOWLAT_REQUIRE_ROOT").is_ok_and(|v| v == "1");
            return if required { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
        let mut failed = 0;
        for (name, _) in self.all {
            let dir = tempfile::tempdir().unwrap();
            let status = Command::new(&me).args(["--case", name]).arg(dir.path()).status().unwrap();
            println!("case {name} ... {}", if status.success() { "ok" } else { "FAILED" });
            failed += usize::from(!status.success());
        }
        println!("{}: {} cases ran, {failed} failed", self.name, self.all.len());
        if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// The arguments of this process.
pub fn with_args(main: impl FnOnce(&[&str]) -> ExitCode) -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    main(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Two ends of a veth, up.
pub fn veth(a: &str, b: &str) {
    link::veth(a, b).unwrap();
    link::up(a).unwrap();
    link::up(b).unwrap();
}

/// A FIFO of ours at the root, so that there is something exact to put back.
pub fn fifo_at(iface: &str) {
    tc::put(iface, Parent::Root, TcHandle(0x0010_0000), "pfifo", Some(&tc::options::fifo(500))).unwrap();
}

/// A setting as a step, or why it is none.
pub fn planned(knob: &str, target: &str, value: &str) -> Result<PlannedStep, LeftOut> {
    let setting = Setting { knob: knob.into(), target: target.parse().unwrap(), value: value.into(), joint: None };
    resolve(&Live::new(), &setting, "a test")
}
