//! Configuration files that lowlat owns whole (`/etc/sysctl.d/…`, a unit, a drop-in of the boot loader), and its block in one that
//! others write too ([`block`]): there the block is the state.

use lowlat_model::tune::Scope;
use lowlat_model::{Reading, State};
use lowlat_sys::Sys;

use crate::shell::quote;
use crate::{AtBoot, Kind, Write, block, text};

#[derive(Debug)]
pub(crate) struct At<'a> {
    pub(crate) path: &'a str,
}

impl Kind for At<'_> {
    fn words(&self) -> String {
        self.path.to_owned()
    }
    fn read(&self, sys: &dyn Sys) -> Reading<State> {
        match sys.read(self.path) {
            // No file is a state like any other here, and putting it back removes what is.
            Reading::Absent(_) => Reading::Value(State::Nothing),
            Reading::Value(text) if block::is_shared(self.path) => {
                Reading::Value(block::text_of(&text).map_or(State::Nothing, |t| State::Text(t.to_owned())))
            }
            other => other.map(State::Text),
        }
    }
    fn write(&self, set: &State) -> Result<Write, String> {
        let path = self.path.to_owned();
        match set {
            State::Text(text) => Ok(Write::Own { path, text: text.clone() }),
            State::Nothing => Ok(Write::RemoveOwn { path }),
            State::Qdisc(_) => Err("the place does not take it".to_owned()),
        }
    }
    fn undo(&self, was: &State) -> String {
        match was {
            State::Text(_) if block::is_shared(self.path) => {
                text::reported("this block is put back by lowlat rollback alone")
            }
            _ if block::is_shared(self.path) => block::removed_by_shell(self.path),
            State::Text(t) => format!("printf '%s' {} > {}", quote(t), quote(self.path)),
            _ => format!("rm -f {}", quote(self.path)),
        }
    }
    /// A file of ours is equal byte for byte or not at all.
    fn same(&self, _: &State, _: &State) -> bool {
        false
    }
    fn scope(&self) -> Scope {
        Scope::Host
    }
    fn of_namespace(&self) -> bool {
        false
    }
    fn outlives_boot(&self) -> bool {
        true
    }
    fn at_boot(&self) -> AtBoot {
        AtBoot::Itself
    }
}
