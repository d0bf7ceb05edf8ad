//! Receive packet steering hands every packet to a CPU on which nobody waits for it.

use super::{Bed, Fault, FaultSite, PlantedFault, write};
use crate::netns::LabError;

pub(super) struct RpsElsewhere;

impl Fault for RpsElsewhere {
    fn rule(&self) -> &'static str {
        "rps-remote-cpu"
    }

    fn beds(&self) -> &'static [Bed] {
        &[Bed::Veth, Bed::Nic]
    }

    fn plant(&self, site: &mut FaultSite<'_>) -> Result<PlantedFault, LabError> {
        let Some(cpu) = site.other_cpu.filter(|c| *c < 32) else {
            return Err(LabError::new(
                "set up steering to another CPU",
                "there is none",
                "run the demo on two CPUs or more",
            ));
        };
        let link = site.link;
        write(&format!("/sys/class/net/{link}/queues/rx-0/rps_cpus"), &format!("{:x}", 1u32 << cpu))?;
        Ok(PlantedFault {
            words: format!("RPS moves received packets to CPU {cpu}; the probe waits on CPU {}", site.probe_cpu),
            rule: self.rule(),
            traffic: Vec::new(),
        })
    }
}
