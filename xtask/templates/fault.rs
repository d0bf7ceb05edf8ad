//! FILL IN: the fault as a host has it, in a few words.

use super::{Bed, Fault, FaultSite, PlantedFault};
use crate::netns::LabError;

pub(super) struct NewUnit;

impl Fault for NewUnit {
    fn rule(&self) -> &'static str {
        "FILL IN: the rule that should find it"
    }

    // FILL IN: where it can be planted.
    fn beds(&self) -> &'static [Bed] {
        &[]
    }

    fn plant(&self, _: &mut FaultSite<'_>) -> Result<PlantedFault, LabError> {
        // FILL IN: the writes, in the lab's namespaces alone; traffic that makes it hurt.
        Ok(PlantedFault {
            words: "FILL IN: what is planted, with its figures".to_owned(),
            rule: self.rule(),
            traffic: Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_a_bed_and_a_rule() {
        // That the rule finds it there, `kernel_demo` and `kernel_vm_demo` of the command line show.
        assert!(!NewUnit.beds().is_empty(), "FILL IN: it is planted nowhere yet");
        assert!(!NewUnit.rule().contains(' '), "FILL IN: no rule finds it yet");
    }
}
