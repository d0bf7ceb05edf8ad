//! netplan, which writes files for systemd-networkd, udev and NetworkManager under `/run` at each boot and `netplan apply`.

use lowlat_model::{Claim, Locus};

use crate::{Host, Owner, link_files, network_manager, networkd};

#[derive(Debug)]
pub(crate) struct Netplan;

/// Whether netplan made a file: `10-netplan-ID.network` and `.link` (netplan, src/networkd.c), `netplan-ID.nmconnection`
/// (src/nm.c). Of what lowlat sets, its `.link` files hold offloads alone (`write_link_file`); a profile of NetworkManager may
/// hold anything by `passthrough`.
pub(crate) fn is_netplans(file: &str) -> bool {
    file.starts_with("/run/systemd/network/10-netplan-")
        || file.starts_with("/run/NetworkManager/system-connections/netplan-")
}

impl Owner for Netplan {
    fn file(&self) -> &'static str {
        file!()
    }
    fn claims(&self, host: &Host<'_>, locus: &Locus) -> Vec<Claim> {
        let all = link_files::of_file(host, locus)
            .into_iter()
            .chain(networkd::of_file(host, locus))
            .chain(network_manager::of_profile(host, locus));
        all.filter(|c| c.file.as_deref().is_some_and(is_netplans)).map(|c| named(host, c)).collect()
    }
}

/// cloud-init's own file is named too (cloudinit/distros/debian.py, `network_conf_fn`, whose header says that changes do not
/// persist): by default it is written anew when the host is a new instance, and at every boot where the data source or
/// `updates: network: when:` has the event BOOT (doc/rtd/explanation/events.rst).
fn named(host: &Host<'_>, claim: Claim) -> Claim {
    let yaml = host.sys.list("/etc/netplan").into_value().unwrap_or_default();
    let cloud = yaml.iter().any(|n| n == "50-cloud-init.yaml");
    let remedy = if cloud {
        "set it in a file of its own in /etc/netplan, not in 50-cloud-init.yaml, which cloud-init writes anew"
    } else {
        "set it in /etc/netplan and run `netplan apply`; files under /run are written anew at boot"
    };
    Claim {
        by: "netplan".to_owned(),
        rule: format!("netplan generates this file from /etc/netplan at boot and at `netplan apply`; {}", claim.rule),
        remedy: remedy.to_owned(),
        ..claim
    }
}

#[cfg(test)]
mod tests {
    use lowlat_model::State;
    use lowlat_testkit::FakeSys;

    use super::*;

    #[test]
    fn a_generated_file_is_netplans_and_not_udevs() {
        let sys = FakeSys::new().file("/etc/netplan/50-cloud-init.yaml", "network: {}\n").file(
            "/run/systemd/network/10-netplan-eth0.link",
            "[Match]\nOriginalName=eth0\n\n[Link]\nWakeOnLan=off\nGenericReceiveOffload=true\n",
        );
        let gro = Locus::Feature { iface: "eth0".into(), name: "rx-gro".into() };
        let found = Host::new(&sys).others(&gro, &State::Text("off".into()));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].by, "netplan");
        assert!(found[0].remedy.contains("cloud-init") && found[0].rule.contains("/etc/netplan"), "{found:?}");
    }
}
