//! Fills the lab's cache: `cargo run -p lowlat-lab --example lab_prepare [-- 5.10|6.1|6.12|newest ...]`, all kernels by
//! default, each with the modules that are built for it; and for 6.12 the disk with systemd and a UEFI firmware. Later runs of the lab then need no
//! network.
#![allow(clippy::print_stdout)] // a command for people

use std::process::ExitCode;
use std::time::Instant;

use lowlat_lab::vm::{KernelChoice, Lab, VmError};

fn main() -> ExitCode {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    if let Some(wrong) = asked.iter().find(|a| !KernelChoice::ALL.iter().any(|k| k.name() == a.as_str())) {
        eprintln!("prepare the lab: no kernel {wrong:?}; it takes 5.10, 6.1, 6.12, newest");
        return ExitCode::from(2);
    }
    for choice in KernelChoice::ALL.into_iter().filter(|k| asked.is_empty() || asked.iter().any(|a| a == k.name())) {
        let start = Instant::now();
        match prepare(choice) {
            Ok(release) => println!("{}: {release}, {:.0} s", choice.name(), start.elapsed().as_secs_f64()),
            Err(e) => {
                eprintln!("{e}");
                return ExitCode::from(2);
            }
        }
    }
    ExitCode::SUCCESS
}

fn prepare(choice: KernelChoice) -> Result<String, VmError> {
    let lab = Lab::prepare(choice)?;
    lab.build_modules()?;
    // The suites boot a disk with this kernel alone, and each image is some 900 MB.
    if choice == KernelChoice::V6_12 {
        lab.disk(&lab.scratch()?.path().join("disk"))?;
        lab.prepare_efi()?;
    }
    Ok(lab.kernel().release.clone())
}
