//! Runs a shell script in a guest of the VM lab, with this host's files read-only at their own paths (those below `/tmp` and
//! `/run`, which are the guest's own, behind `/run/lowlat/host`):
//!
//! ```sh
//! cargo run -p lowlat-lab --example guest -- [--topology e1000e-pair] [--kernel 6.1|6.12|newest] [--results DIR]
//!     [--limit SECONDS] [--cmdline TEXT] [--no-icount] SCRIPT|-
//! ```
//!
//! The script runs as root: `eth0` (10.77.0.1) is the near end, `eth1` (10.77.0.2) the far end in the network namespace
//! `far`. Modules such as `sch_netem` and `ifb` are loaded when they are first asked for. What it writes to `$RESULTS`
//! stays; everything else is lost. The console goes to stdout, and the script's exit code is the program's.
#![allow(clippy::print_stdout, clippy::print_stderr)] // a program for people

use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use lowlat_lab::vm::{Guest, KernelChoice, Lab, topology};

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(why) => {
            eprintln!("guest: {why}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<ExitCode, String> {
    let mut topology = &topology::E1000E_PAIR;
    let mut kernel = KernelChoice::V6_12;
    let mut results = None;
    let mut limit = 120;
    let mut cmdline = String::new();
    let mut icount = true;
    let mut script = None;
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} needs a value"));
        match arg.as_str() {
            "--topology" => {
                let name = value()?;
                topology = topology::by_name(&name).ok_or(format!("there is no topology {name}"))?;
            }
            "--kernel" => {
                let name = value()?;
                kernel = KernelChoice::by_name(&name).ok_or(format!("there is no kernel {name}"))?;
            }
            "--results" => results = Some(PathBuf::from(value()?)),
            "--limit" => limit = value()?.parse().map_err(|e| format!("--limit: {e}"))?,
            "--cmdline" => cmdline = value()?,
            "--no-icount" => icount = false,
            _ => script = Some(arg),
        }
    }
    let script = match script.as_deref() {
        None => return Err("name a script, or - for standard input".into()),
        Some("-") => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map_err(|e| e.to_string())?;
            text
        }
        Some(file) => std::fs::read_to_string(file).map_err(|e| format!("read {file}: {e}"))?,
    };
    let kept = results.is_some();
    let results = results.unwrap_or_else(|| std::env::temp_dir().join(format!("lowlat-guest-{}", std::process::id())));
    let lab = Lab::prepare(kernel).map_err(|e| e.to_string())?;
    let mut guest = Guest::new(topology, script, &results);
    guest.time_limit = Duration::from_secs(limit);
    guest.cmdline_extra = cmdline;
    guest.icount = icount;
    let outcome = lab.run(&guest);
    if !kept {
        // Nobody asked for it; a script that wrote there has its console as well.
        let _ = std::fs::remove_dir_all(&results);
    }
    let outcome = outcome.map_err(|e| e.to_string())?;
    print!("{}", outcome.console);
    eprintln!("guest: {} on {}, {:.1} s", topology.name, lab.kernel().release, outcome.wall.as_secs_f64());
    Ok(ExitCode::from(u8::try_from(outcome.exit_code).unwrap_or(1)))
}
