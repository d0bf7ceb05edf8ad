//! Agents of clouds that set a NIC up for their own idea of throughput.

use lowlat_model::{Claim, Locus};

use crate::files::text;
use crate::ini::{last, parse, truth};
use crate::{Host, Owner};

#[derive(Debug)]
pub(crate) struct Cloud;

/// Google's guest agent runs it when it starts, where `[InstanceSetup] set_multiqueue` is not off (guest-agent, the list of
/// scripts in `main.go`). It writes `smp_affinity_list` of the NIC's interrupts and `xps_cpus`, calls `ethtool -L` with the
/// combined channels and, for idpf, `ethtool -G` (guest-configs, `src/usr/bin/google_set_multiqueue`).
const GOOGLE: &str = "/usr/bin/google_set_multiqueue";

impl Owner for Cloud {
    fn file(&self) -> &'static str {
        file!()
    }
    fn claims(&self, host: &Host<'_>, locus: &Locus) -> Vec<Claim> {
        let touched = match locus {
            Locus::IrqAffinity { .. } => true,
            Locus::Channels { param, .. } => param == "combined",
            Locus::Ring { iface, .. } => {
                let driver = host.sys.link_target(&format!("/sys/class/net/{iface}/device/driver")).into_value();
                driver.is_some_and(|to| to.ends_with("/idpf"))
            }
            Locus::File { path } => path.ends_with("/xps_cpus"),
            _ => false,
        };
        if !touched || host.sys.read(GOOGLE).value().is_none() {
            return Vec::new();
        }
        let config = parse(&text(host.sys, "/etc/default/instance_configs.cfg"));
        if last(&config, "InstanceSetup", "set_multiqueue").and_then(|e| truth(&e.value)) == Some(false) {
            return Vec::new();
        }
        vec![Claim {
            by: "google-guest-agent".to_owned(),
            file: Some(GOOGLE.to_owned()),
            sets: None,
            runs: host.runs("google_guest_ag"),
            wins: true,
            rule: "the agent runs this script when it starts, at no time that a unit can wait for (guest-agent, \
                   InstanceSetup set_multiqueue)"
                .to_owned(),
            remedy: "set `set_multiqueue = false` under [InstanceSetup] of /etc/default/instance_configs.cfg"
                .to_owned(),
        }]
    }
}

#[cfg(test)]
mod tests {
    use lowlat_model::State;
    use lowlat_testkit::FakeSys;

    use super::*;

    #[test]
    fn the_script_is_named_unless_it_is_off() {
        let found = |config: &str| {
            let sys = FakeSys::new()
                .file("/usr/bin/google_set_multiqueue", "#!/bin/bash\n")
                .file("/etc/default/instance_configs.cfg", config);
            let locus = Locus::IrqAffinity { iface: "eth0".into(), index: 0 };
            Host::new(&sys).others(&locus, &State::Text("3".into()))
        };
        assert_eq!(found("").len(), 1);
        assert!(found("[InstanceSetup]\nset_multiqueue = false\n").is_empty());
    }

    #[test]
    fn rings_are_those_of_one_driver() {
        let sys = FakeSys::new()
            .file(GOOGLE, "#!/bin/bash\n")
            .link("/sys/class/net/eth0/device/driver", "../../bus/pci/drivers/idpf")
            .link("/sys/class/net/eth1/device/driver", "../../bus/pci/drivers/gve");
        let others = |iface: &str| {
            let ring = Locus::Ring { iface: iface.into(), param: "rx".into() };
            Host::new(&sys).others(&ring, &State::Text("512".into())).len()
        };
        assert_eq!((others("eth0"), others("eth1")), (1, 0));
    }
}
