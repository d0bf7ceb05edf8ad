//! What holds for all owners.

use lowlat_model::{Locus, State};
use lowlat_testkit::FakeSys;

use super::*;

#[test]
fn every_claim_is_one_plain_sentence_with_its_source() {
    let sys = FakeSys::new()
        .file("/proc/41/comm", "irqbalance\n")
        .file("/proc/42/comm", "tuned\n")
        .file("/proc/43/comm", "NetworkManager\n")
        .file("/proc/44/comm", "systemd-network\n")
        .file("/etc/tuned/active_profile", "p\n")
        .file("/etc/tuned/p/tuned.conf", "[sysctl]\nnet.core.busy_read=1\n")
        .file("/etc/NetworkManager/system-connections/a.nmconnection", "[ethtool]\nring-rx=64\n")
        .file("/etc/systemd/network/1.network", "[Match]\nName=*\n[CAKE]\nBandwidth=1\n")
        .file("/etc/systemd/network/1.link", "[Match]\nOriginalName=*\n[Link]\nRxBufferSize=64\n")
        .file("/run/systemd/network/10-netplan-x.link", "[Match]\nOriginalName=wan*\n[Link]\nRxBufferSize=64\n")
        .file("/usr/bin/google_set_multiqueue", "x")
        .file("/etc/sysctl.d/99.conf", "net.core.busy_read=1\n")
        .file("/etc/sysctl.conf", "net.core.busy_read=2\n")
        .file("/etc/ufw/ufw.conf", "ENABLED=yes\n")
        .file("/etc/default/ufw", "IPT_SYSCTL=/etc/ufw/sysctl.conf\n")
        .file("/etc/ufw/sysctl.conf", "net.core.busy_read=3\n");
    let host = Host::new(&sys);
    let places = [
        Locus::IrqAffinity { iface: "eth0".into(), index: 0 },
        Locus::File { path: "/proc/sys/net/core/busy_read".into() },
        Locus::Ring { iface: "eth0".into(), param: "rx".into() },
        Locus::Ring { iface: "wan0".into(), param: "rx".into() },
        Locus::Qdisc { iface: "eth0".into(), parent: "root".into() },
    ];
    let mut silent: BTreeSet<&str> = OWNERS.iter().map(|o| o.file()).collect();
    for locus in &places {
        for owner in OWNERS {
            for claim in owner.claims(&host, locus) {
                silent.remove(owner.file());
                let text = claim.to_string();
                assert!(text.contains('(') && !text.contains('\n') && !text.contains("  "), "{text}");
                assert!(!claim.rule.ends_with('.') && !claim.remedy.ends_with('.'), "{text}");
            }
        }
    }
    // In this host another .link file comes first for wan0, so netplan has its own test.
    assert_eq!(silent.into_iter().collect::<Vec<_>>(), ["crates/owners/src/netplan.rs"]);
}

#[test]
fn who_changed_it_is_the_one_that_wants_its_value() {
    let sys =
        FakeSys::new().file("/proc/41/comm", "irqbalance\n").file("/etc/sysctl.d/99.conf", "net.core.busy_read=7\n");
    let host = Host::new(&sys);
    let busy = Locus::File { path: "/proc/sys/net/core/busy_read".into() };
    let text = |t: &str| State::Text(t.to_owned());
    assert_eq!(host.who(&busy, &text("7")).as_deref(), Some("systemd-sysctl (/etc/sysctl.d/99.conf:1)"));
    assert_eq!(host.who(&busy, &text("8")), None);
    assert_eq!(
        host.who(&Locus::IrqAffinity { iface: "eth0".into(), index: 0 }, &text("1")).as_deref(),
        Some("irqbalance")
    );
}
