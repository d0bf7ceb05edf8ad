//! What one boot records of a driver on a kernel: a capture of the host, and the outcome of every knob.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)] // each suite is a crate of its own and uses a part

use std::collections::BTreeMap;
use std::path::Path;

use lowlat_lab::vm::{KernelChoice, VmTopology};
use serde::{Deserialize, Serialize};

use super::vm::{Results, boot};

/// What resulted from one knob; the fields of `examples/knob_trial.rs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    pub outcome: String,
    pub target: String,
    pub was: String,
    pub asked: String,
    pub now: String,
    pub why: String,
}

/// Knob by name.
pub type Knobs = BTreeMap<String, Tried>;

/// One kernel of the lab.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Kernel {
    pub release: String,
    /// By driver.
    pub drivers: BTreeMap<String, Knobs>,
}

/// By the kernel's name in the lab.
pub type Record = BTreeMap<String, Kernel>;

/// A default route makes `eth0` the interface in focus; some traffic, so that counters have counted.
const SCRIPT: &str = "
ip route add default via 10.77.0.2 dev eth0
if ip netns list | grep -q far; then ping -n -q -c 20 -i 0.002 10.77.0.2 > /dev/null; fi
run capture $L facts --iface eth0 --window 200ms --capture /tmp/tree
tar -C /tmp/tree -cf $RESULTS/tree.tar . || exit 5
uname -r > $RESULTS/release
";

/// Boots a driver on a kernel; `programs` is the folder with `lowlat`, `examples/knob_trial` and `examples/script_trial`.
/// `scripted`: all that acts is then applied once more, and put back by the script next to the journal.
pub fn record(topology: &'static VmTopology, kernel: KernelChoice, programs: &Path, scripted: bool) -> Results {
    let example = |name: &str| super::vm::to_copy(&super::vm::stripped(&programs.join("examples").join(name)));
    let mut trial = format!("cp {} /tmp/knob_trial || exit 5; run knobs /tmp/knob_trial eth0\n", example("knob_trial"));
    if scripted {
        trial += "cp ";
        trial += &example("script_trial");
        trial += " /tmp/script_trial || exit 5; run script /tmp/script_trial eth0 $RESULTS/knobs.out\n";
    }
    boot(topology, kernel, &programs.join("lowlat"), &format!("{SCRIPT}{trial}"))
}

/// The knobs of a boot.
pub fn knobs(results: &Results) -> Knobs {
    serde_json::from_value(results.ran("knobs").exits(0).json()).unwrap()
}
