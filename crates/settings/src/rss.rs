//! Where received flows go (`ETHTOOL_SRSSH`): table, key and function as the kernel gave them, lower-case hex. Put back
//! where a link reset lost it; no knob sets it.

use lowlat_model::{Locus, Reading, State};
use lowlat_sys::{Sys, hex, query};

use crate::{AtBoot, Kind, Write, text};

/// The table of an interface.
pub fn of(iface: &str) -> Locus {
    Locus::Rss { iface: iface.to_owned() }
}

#[derive(Debug)]
pub(crate) struct At<'a> {
    pub(crate) iface: &'a str,
}

impl Kind for At<'_> {
    fn words(&self) -> String {
        format!("RSS table of {}", self.iface)
    }
    fn read(&self, sys: &dyn Sys) -> Reading<State> {
        query::rss(sys, self.iface).map(State::Text)
    }
    fn write(&self, set: &State) -> Result<Write, String> {
        let table = hex::bytes_of(text::plain(set)?).ok_or("it is not a hexadecimal text")?;
        Ok(Write::Rss { iface: self.iface.to_owned(), table })
    }
    fn undo(&self, _: &State) -> String {
        text::reported(&format!("the RSS table of {} is put back by lowlat rollback alone", self.iface))
    }
    fn undone_by_shell(&self) -> bool {
        false
    }
    /// A table that spreads over more queues than there are now is refused by the driver.
    fn goes_with(&self, other: &Locus) -> bool {
        matches!(other, Locus::Channels { iface, .. } if iface == self.iface)
    }
    fn at_boot(&self) -> AtBoot {
        AtBoot::Never { why: "it was only put back" }
    }
}
