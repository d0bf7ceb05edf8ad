//! Every knob of the catalogue tried again in guests, one for each driver on each kernel of the lab: its outcome is
//! what `fixtures/knobs-on-kernels.json` says, from which `docs/reference/knobs-on-kernels.md` is made. The same boots
//! capture the guest and read the capture again.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "common/record.rs"]
mod record;
#[path = "common/vm.rs"]
mod vm;

use std::fs;
use std::path::Path;

use lowlat_lab::vm::KernelChoice;
use record::{Knobs, Record, knobs};

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
        let results = record::record(topology, kernel, programs);
        // That the capture leads to the findings of the host itself is checked by the command.
        results.ran("capture").exits(0);
        results.ran("again").exits(0);
        let check = results.ran("check");
        assert!(matches!(check.code, 0 | 1) && check.json()["findings"].is_array(), "{check:#?}");
        let stored = record.get(kernel.name()).and_then(|k| k.drivers.get(driver)).unwrap();
        let (want, got) = (outcomes(stored), outcomes(&knobs(&results)));
        let differing: Vec<&String> = got.iter().filter(|g| !want.contains(g)).collect();
        assert!(
            want == got,
            "{driver} on {}: the record says otherwise of {differing:?}; if that is meant, run the example lab_record",
            kernel.name()
        );
    }
}

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
