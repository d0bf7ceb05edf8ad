//! FILL IN: the kind, the kernel's request for it in back-ticks, and what its state is.

use lowlat_model::op::Target;
use lowlat_model::plan::Order;
use lowlat_model::{Locus, Reading, State};
use lowlat_sys::Sys;

use crate::{Kind, Place, Write};

/// FILL IN: what of an interface it is.
#[derive(Debug)]
pub struct NewUnit;

impl Place for NewUnit {
    fn loci(&self, _: &dyn Sys, target: &Target) -> Result<Vec<Locus>, String> {
        let Target::Iface(iface) = target else { return Ok(Vec::new()) };
        Ok(vec![Locus::NewUnit { iface: iface.clone() }])
    }
    // FILL IN: when it is tried, and the part of the driver if one has a say.
    fn order(&self) -> Order {
        Order::Last
    }
}

/// That of an interface.
#[derive(Debug)]
pub(crate) struct At<'a> {
    pub(crate) iface: &'a str,
}

// FILL IN: the defaults of `Kind` that do not fit it.
impl Kind for At<'_> {
    fn words(&self) -> String {
        format!("FILL IN of {}", self.iface)
    }
    fn read(&self, _: &dyn Sys) -> Reading<State> {
        Reading::Absent(format!("FILL IN: how it is read of {}", self.iface))
    }
    fn write(&self, set: &State) -> Result<Write, String> {
        Err(format!("FILL IN: the write that brings {set} to {}", self.iface))
    }
    fn undo(&self, _: &State) -> String {
        // FILL IN: the command that puts the state back; its words by `crate::shell::quote`.
        "false".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_has_its_write_and_its_undo() {
        // FILL IN: a state of it, the write that brings it, and the command that puts it back.
        let (at, state) = (At { iface: "eth0" }, State::Text("on".into()));
        assert!(at.write(&state).is_ok(), "FILL IN: it has no write yet");
        assert!(at.undo(&state).contains("eth0"), "FILL IN: it has no undo yet");
    }
}
