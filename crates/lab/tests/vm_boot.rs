//! Boots guests. Ignored by default, for they need the lab's packages and some seconds each:
//! `cargo test -p lowlat-lab --test vm_boot -- --ignored --test-threads=1 --nocapture`
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::time::Duration;

use lowlat_lab::vm::{Guest, KernelChoice, Lab, LabError, topology};

/// Mean round trip of 400 pings back to back, in milliseconds, with `usecs` on both ends. With pauses between them
/// nothing would show: the driver's setting is a least interval between interrupts, and after a pause the first is
/// immediate (measured: 0.053 and 0.052 ms at 10 ms intervals).
const PING: &str = r"
set -e
rtt() { ping -n -q -f -c 20 10.77.0.2 >/dev/null
	ping -n -q -f -c 400 10.77.0.2 | sed -n 's|^rtt [^=]*= [0-9.]*/\([0-9.]*\)/.*|\1|p'; }
set_usecs() { ethtool -C eth0 rx-usecs $1; ip netns exec far ethtool -C eth1 rx-usecs $1; }
for u in 0 1000; do
	set_usecs $u
	ethtool -c eth0 | grep ^rx-usecs: >> $RESULTS/read
	echo $u $(rtt) >> $RESULTS/rtt
done
uname -r > $RESULTS/release
";

fn results(name: &str) -> std::path::PathBuf {
    let dir = std::env::temp_dir().join(format!("lowlat-vm-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    dir
}

#[test]
#[ignore = "boots a guest"]
fn coalescing_on_e1000e_shows_in_the_round_trip() {
    let lab = Lab::prepare(KernelChoice::V6_12).unwrap();
    let dir = results("e1000e");
    let outcome = lab.run(&Guest::new(&topology::E1000E_PAIR, PING, &dir)).unwrap();
    println!("wall {:?} ready {:?}", outcome.wall, outcome.ready);
    assert_eq!(outcome.exit_code, 0, "{}", outcome.console);
    let text = |file: &str| std::fs::read_to_string(dir.join(file)).unwrap();
    println!("{}{}{}", text("release"), text("read"), text("rtt"));
    assert!(text("release").starts_with("6.12."));
    let read: Vec<_> = text("read").split_whitespace().map(str::to_owned).collect();
    assert_eq!(read, ["rx-usecs:", "0", "rx-usecs:", "1000"]);
    let rtt: Vec<f64> = text("rtt").lines().map(|l| l.split_once(' ').unwrap().1.parse().unwrap()).collect();
    assert!(rtt[1] >= 4.0 * rtt[0], "{rtt:?}");
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
#[ignore = "boots a guest"]
fn panic_hang_and_exit_code_are_told() {
    let lab = Lab::prepare(KernelChoice::V6_12).unwrap();
    let dir = results("bad");
    let outcome = lab.run(&Guest::new(&topology::E1000E_PAIR, "exit 7", &dir)).unwrap();
    assert_eq!(outcome.exit_code, 7);
    println!("plain boot: wall {:?} ready {:?}", outcome.wall, outcome.ready);
    let error = lab.run(&Guest::new(&topology::E1000E_PAIR, "echo c > /proc/sysrq-trigger", &dir)).unwrap_err();
    println!("{error}");
    assert!(matches!(error, LabError::Panic { .. }), "{error}");
    let mut guest = Guest::new(&topology::E1000E_PAIR, "while :; do :; done", &dir);
    guest.time_limit = Duration::from_secs(25);
    let error = lab.run(&guest).unwrap_err();
    println!("{error}");
    assert!(matches!(error, LabError::Hang { .. }), "{error}");
    assert_eq!(error.to_string().lines().count(), 1);
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
#[ignore = "boots one guest per topology"]
fn every_topology_boots() {
    let lab = Lab::prepare(KernelChoice::V6_12).unwrap();
    let only = std::env::var("LOWLAT_TOPOLOGY").unwrap_or_default();
    for topology in topology::ALL.into_iter().filter(|t| only.is_empty() || t.name == only) {
        let dir = results(topology.name);
        let script = "ping -n -q -c 2 -i 0.01 10.77.0.2 && ethtool -i eth0 | head -1; ethtool -l eth0 | tail -5; cat /sys/class/net/eth0/device/numa_node /sys/devices/system/cpu/isolated; ls /sys/kernel/iommu_groups | wc -l";
        let outcome = lab.run(&Guest::new(topology, script, &dir)).unwrap();
        println!("== {} wall {:?} ready {:?}\n{}", topology.name, outcome.wall, outcome.ready, outcome.console);
        assert!(outcome.console.contains(" 0% packet loss"), "{}", outcome.console);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
