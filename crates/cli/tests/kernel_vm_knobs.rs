//! Every knob of the catalogue tried again in guests, one for each driver on each kernel of the lab: its outcome is
//! what `fixtures/knobs-on-kernels.json` says, from which `docs/reference/knobs-on-kernels.md` is made. The same boots
//! capture the guest and read the capture again.
#![allow(clippy::unwrap_used, missing_docs)] // a test may end by panic; a suite exports nothing

#[path = "common/record.rs"]
mod record;
#[path = "common/vm.rs"]
mod vm;

use std::fs;
use std::path::Path;
use std::process::Command;

use lowlat_lab::vm::KernelChoice;
use record::{Knobs, Record, knobs};
use serde_json::json;

/// Counts and sizes that hang on the machine's memory or on the moment are left out: the outcome is compared.
fn outcomes(knobs: &Knobs) -> Vec<String> {
    knobs.iter().map(|(name, tried)| format!("{name}: {}", tried.outcome)).collect()
}

fn compare(driver: &str) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let record: Record = serde_json::from_slice(&fs::read(fixtures.join("knobs-on-kernels.json")).unwrap()).unwrap();
    let topology = vm::DRIVERS.iter().find(|(name, _)| *name == driver).unwrap().1;
    for kernel in KernelChoice::ALL {
        let programs = Path::new(env!("CARGO_BIN_EXE_lowlat")).parent().unwrap();
        let scripted = kernel == SCRIPTED;
        let results = record::record(topology, kernel, programs, scripted);
        // That the capture leads to the findings of the host itself is checked by the command.
        results.ran("capture").exits(0);
        reads_elsewhere(&results);
        let stored = record.get(kernel.name()).and_then(|k| k.drivers.get(driver)).unwrap();
        let (want, got) = (outcomes(stored), outcomes(&knobs(&results)));
        let differing: Vec<&String> = got.iter().filter(|g| !want.contains(g)).collect();
        assert!(
            want == got,
            "{driver} on {}: the record says otherwise of {differing:?}; if that is meant, run the example lab_record",
            kernel.name()
        );
        if scripted {
            script_puts_all_back(driver, &results);
        }
    }
}

/// The capture says what it is on another host too: this one, whose CPU is not emulated.
fn reads_elsewhere(results: &vm::Results) {
    let tree = results.path().join("tree");
    fs::create_dir(&tree).unwrap();
    let unpacked = Command::new("tar").arg("-xf").arg(results.path().join("tree.tar")).arg("-C").arg(&tree).status();
    assert!(unpacked.unwrap().success());
    let read = |command: &str, more: &[&str], codes: &[i32]| -> serde_json::Value {
        let mut run = Command::new(env!("CARGO_BIN_EXE_lowlat"));
        run.args([command, "--iface", "eth0", "--window", "200ms", "--root"]).arg(&tree).args(more);
        let ran = run.env("LOWLAT_STATE", results.path().join("state")).output().unwrap();
        let code = ran.status.code();
        assert!(code.is_some_and(|c| codes.contains(&c)), "{command}: {}", String::from_utf8_lossy(&ran.stderr));
        serde_json::from_slice(&ran.stdout).unwrap()
    };
    let facts = read("facts", &[], &[0]);
    assert_eq!(facts["host"]["release"]["value"], results.text("release").trim(), "{}", facts["host"]);
    assert!(read("check", &["--json"], &[0, 1])["findings"].is_array());
}

/// The kernel on which all that acts is also put back without the program; one is enough, since the script is the same.
const SCRIPTED: KernelChoice = KernelChoice::V6_12;

/// One transaction with every setting that acts on a driver, put back by lowlat, and by the script next to the journal: all is
/// as it was before, and neither dash nor shellcheck has anything to say.
fn script_puts_all_back(driver: &str, results: &vm::Results) {
    let said = results.ran("script").exits(0).json();
    let file = results.path().join("rollback.sh");
    fs::write(&file, said["text"].as_str().unwrap()).unwrap();
    let lint = Command::new("shellcheck").args(["--shell=sh", "--severity=style"]).arg(&file).output().unwrap();
    assert!(lint.status.success(), "{driver}: {}", String::from_utf8_lossy(&lint.stdout));
    let lines = |key: &str| said[key].as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect::<Vec<_>>();
    for own in ["by_lowlat", "left_by_lowlat"] {
        assert_eq!(lines(own), [""; 0], "{driver}: {said:#}");
    }
    assert_eq!(lines("differing"), [""; 0], "{driver}: {said:#}");
    assert_eq!((&said["code"], &said["said"]), (&json!(0), &json!("")), "{driver}: {said:#}");
    assert_eq!(lines("left"), [""; 0], "{driver}: {said:#}");
    // What acts is among those applied, but for what has a reason that is known.
    for line in lines("left_out") {
        assert!(KNOWN_REASONS.iter().any(|why| line.contains(why)), "{driver}: {line}");
    }
    assert!(lines("applied").len() > 40, "{driver}: {said:#}");
}

/// Why a setting that acts alone is not applied with the others: no shell has a tool for it, one before it has set its place or
/// made the queue discipline of new queues, or the catalogue itself never writes it.
const KNOWN_REASONS: [&str; 6] = [
    "no shell puts it back",
    "another knob has set this place",
    "already",
    "and would now make",
    "setting it changes nothing",
    "lets one spinning real-time task hang the host",
];

#[test]
fn e1000e_is_as_recorded() {
    compare("e1000e");
}

#[test]
fn igb_is_as_recorded() {
    compare("igb");
}

#[test]
fn virtio_is_as_recorded() {
    compare("virtio");
}

#[test]
fn netdevsim_is_as_recorded() {
    compare("netdevsim");
}
