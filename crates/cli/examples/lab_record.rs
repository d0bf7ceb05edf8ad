//! Records the lab anew: `cargo build -p lowlat --bins --examples && target/debug/examples/lab_record [KERNEL]
//! [DRIVER]`, as root. Each driver on each kernel is booted; the capture goes to `fixtures/roots/lab-DRIVER-KERNEL`,
//! the outcome of every knob to `fixtures/knobs-on-kernels.json`. Then run `LOWLAT_BLESS=1 cargo test -p lowlat-collect
//! --test captured_hosts` and `cargo run -p xtask -- gen`, and read the differences.
#![allow(clippy::print_stdout, clippy::unwrap_used)] // a command for the lab's keepers

#[path = "../tests/common/record.rs"]
mod record;
#[path = "../tests/common/vm.rs"]
mod vm;

use std::fs;
use std::path::Path;
use std::process::Command;

use lowlat_lab::vm::KernelChoice;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let asked = |name: &str, all: &[&str]| {
        !wanted.iter().any(|w| all.contains(&w.as_str())) || wanted.iter().any(|w| w == name)
    };
    let kernels: Vec<&str> = KernelChoice::ALL.iter().map(|k| k.name()).collect();
    let drivers: Vec<&str> = vm::DRIVERS.iter().map(|d| d.0).collect();
    if let Some(wrong) = wanted.iter().find(|w| !kernels.contains(&w.as_str()) && !drivers.contains(&w.as_str())) {
        eprintln!("record the lab: {wrong:?} is none of its kernels {kernels:?} and drivers {drivers:?}");
        std::process::exit(2);
    }
    let exe = std::env::current_exe().unwrap();
    let programs = exe.parent().and_then(Path::parent).unwrap();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    for kernel in KernelChoice::ALL.into_iter().filter(|k| asked(k.name(), &kernels)) {
        for (driver, topology) in vm::DRIVERS.into_iter().filter(|d| asked(d.0, &drivers)) {
            let results = record::record(topology, kernel, programs, false);
            results.ran("capture").exits(0);
            let tree = fixtures.join(format!("roots/lab-{driver}-{}", kernel.name()));
            let _ = fs::remove_dir_all(&tree);
            fs::create_dir_all(&tree).unwrap();
            let unpacked =
                Command::new("tar").arg("-xf").arg(results.path().join("tree.tar")).arg("-C").arg(&tree).status();
            assert!(unpacked.unwrap().success(), "unpack the capture of {driver} on {}", kernel.name());
            let path = fixtures.join("knobs-on-kernels.json");
            let mut all: record::Record =
                fs::read(&path).ok().map(|b| serde_json::from_slice(&b).unwrap()).unwrap_or_default();
            let entry = all.entry(kernel.name().to_owned()).or_default();
            results.text("release").trim().clone_into(&mut entry.release);
            entry.drivers.insert(driver.to_owned(), record::knobs(&results));
            fs::write(&path, serde_json::to_string_pretty(&all).unwrap() + "\n").unwrap();
            println!("{driver} on {}: recorded", kernel.name());
        }
    }
}
