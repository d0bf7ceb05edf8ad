//! Hardware stamps on the real drivers of the VM lab, switched on by a plan and put back: igb delivers transmit stamps;
//! e1000e takes the setting and delivers none, which only sending finds out.
#![allow(clippy::unwrap_used, missing_docs)] // a test may end by panic; a suite exports nothing

#[path = "common/vm.rs"]
mod vm;

use std::path::Path;

use lowlat_lab::vm::topology::{E1000E_PAIR, IGB_PAIR};
use lowlat_lab::vm::{KernelChoice, VmTopology};
use serde_json::Value;

use vm::{Results, boot};

/// Measures before, while and after the stamps are on.
const SCRIPT: &str = "
ip netns exec far $L serve >/tmp/serve.log 2>&1 & FAR=$!
i=0; while ! grep -q 'over Udp' /tmp/serve.log && [ $i -lt 100 ]; do sleep 0.1; i=$((i+1)); done
measure() { run $1 $L measure 10.77.0.2 --stamps --json --count 200 --duration 60s --timeout 2s; }
measure off
run plan $L plan --set nic.hw-timestamping eth0 VALUE --out /tmp/plan.json
run apply $L apply /tmp/plan.json
measure on
run rollback $L rollback
measure after
kill $FAR
";

fn stamped(topology: &'static VmTopology, value: &str) -> Results {
    let script = SCRIPT.replace("VALUE", value);
    let r = boot(topology, KernelChoice::V6_12, Path::new(env!("CARGO_BIN_EXE_lowlat")), &script);
    r.ran("apply").exits(0);
    r.ran("rollback").exits(0);
    for (run, mode) in [("off", "off"), ("on", "on: tx type 1"), ("after", "off")] {
        let m = r.ran(run).exits(0).json();
        let words = m["conditions"]["hardware_stamps"].as_str().unwrap();
        assert!(words.starts_with(mode), "{run}: {words}");
        assert_eq!(m["stamps"]["nic"], words);
        for name in ["sched-tx", "software-tx", "software-rx"] {
            let k = kind(&m, name);
            assert!(k["ratio"].as_f64() >= Some(0.99), "{run}: {k:#}");
        }
    }
    r
}

fn kind<'a>(m: &'a Value, name: &str) -> &'a Value {
    m["stamps"]["kinds"].as_array().unwrap().iter().find(|k| k["kind"] == name).unwrap()
}

#[test]
fn igb_delivers_transmit_stamps_once_they_are_on() {
    // 82576 refuses to stamp every received packet.
    let r = stamped(&IGB_PAIR, "tx");
    assert!(r.ran("off").json()["conditions"]["hardware_stamps"].as_str().unwrap().contains("eth0 tx"));
    for run in ["off", "after"] {
        let m = r.ran(run).json();
        assert_eq!(
            (kind(&m, "hardware-tx")["probed_arrived"].as_u64(), kind(&m, "hardware-tx")["asked"].as_u64()),
            (Some(0), Some(0))
        );
    }
    let m = r.ran("on").json();
    let k = kind(&m, "hardware-tx");
    eprintln!("{k:#}");
    assert!(k["probed_arrived"].as_u64() > Some(0) && k["ratio"].as_f64() > Some(0.5), "{k:#}");
}

#[test]
fn e1000e_takes_the_setting_and_delivers_none_which_is_said() {
    let m = stamped(&E1000E_PAIR, "on").ran("on").json();
    let k = kind(&m, "hardware-tx");
    assert_eq!((k["probed_arrived"].as_u64(), k["asked"].as_u64()), (Some(0), Some(0)), "{k:#}");
    assert!(k["probed"].as_u64() >= Some(31) && k["why_not"].as_str().unwrap().contains("none came"), "{k:#}");
}
