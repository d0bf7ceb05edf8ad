//! Where received flows go (`ETHTOOL_SRSSH`): table, key and function as the kernel gave them, lower-case hex. Put back
//! where a link reset lost it; no knob sets it.

use std::fmt::Write as _;

use lowlat_model::{Locus, Reading, State};
use lowlat_sys::{Sys, hex, query};

use crate::shell::quote;
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
    fn undo(&self, was: &State) -> String {
        let table = text::plain(was).ok().and_then(hex::bytes_of).and_then(|bytes| Table::of(&bytes));
        let shown = |t: &Table| t.shown();
        let (Some(shown), Some(set)) = (table.as_ref().map(shown), table.as_ref().and_then(Table::arguments)) else {
            return text::reported(
                "this RSS table is put back by lowlat rollback alone: no argument of ethtool -X gives it",
            );
        };
        // A driver that only shows its table refuses the same one too.
        format!(
            "[ \"$({SHOW})\" = '{shown}' ] ||\nethtool -X {iface} {set}",
            SHOW = show(self.iface),
            iface = quote(self.iface)
        )
    }
    /// A table that spreads over more queues than there are now is refused by the driver.
    fn goes_with(&self, other: &Locus) -> bool {
        matches!(other, Locus::Channels { iface, .. } if iface == self.iface)
    }
    fn at_boot(&self) -> AtBoot {
        AtBoot::Never { why: "it was only put back" }
    }
}

/// A shell's command that prints entries and key as [`Table::shown`] has them (ethtool's `print_indir_table` and
/// `print_rss_hkey`): rows of `   8:      0     1 …`, then the key as `6d:5a:…` on a line of its own.
fn show(iface: &str) -> String {
    format!(
        "ethtool -x {} 2>/dev/null | sed -n -e 's/^ *[0-9][0-9]*: *//p' -e '/^[0-9a-f][0-9a-f]:/p' | tr -s ' \\n' '  '",
        quote(iface)
    )
}

/// What `struct ethtool_rxfh` says from `indir_size` on, but for the hash function, which no reset of a link changes.
#[derive(Debug, PartialEq, Eq)]
struct Table {
    entries: Vec<u32>,
    key: Vec<u8>,
}

impl Table {
    /// linux/ethtool.h: `indir_size`, `key_size`, function and reserved bytes (8 together), then `rss_config`.
    fn of(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u32::from_ne_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?));
        let (count, key) = (usize::try_from(word(0)?).ok()?, usize::try_from(word(4)?).ok()?);
        let rest = bytes.get(16..)?;
        let split = count.checked_mul(4).filter(|split| split.checked_add(key) == Some(rest.len()))?;
        let (table, key) = rest.split_at_checked(split)?;
        let entries = table.as_chunks::<4>().0.iter().map(|e| u32::from_ne_bytes(*e)).collect();
        Some(Self { entries, key: key.to_vec() })
    }

    fn key_words(&self) -> String {
        self.key.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(":")
    }

    /// Each entry and the key, a blank behind each.
    fn shown(&self) -> String {
        let mut out = self.entries.iter().fold(String::new(), |mut out, e| {
            let _ = write!(out, "{e} ");
            out
        });
        if !self.key.is_empty() {
            let _ = write!(out, "{} ", self.key_words());
        }
        out
    }

    /// The arguments of `ethtool -X` that give it (ethtool's `fill_indir_table`): in turns, or so many entries for each queue
    /// one after the other. `None` for a table that is neither.
    fn arguments(&self) -> Option<String> {
        let mut out = Vec::new();
        if let Some(most) = self.entries.iter().max() {
            let queues = usize::try_from(*most).ok()?.checked_add(1).filter(|q| *q <= self.entries.len())?;
            let in_turns = |(n, e): (usize, &u32)| usize::try_from(*e) == Ok(n % queues);
            if self.entries.iter().enumerate().all(in_turns) {
                out.push(format!("equal {queues}"));
            } else if self.entries.is_sorted() {
                let count = |q| self.entries.iter().filter(|e| usize::try_from(**e) == Ok(q)).count().to_string();
                out.push(format!("weight {}", (0..queues).map(count).collect::<Vec<_>>().join(" ")));
            } else {
                return None;
            }
        }
        if !self.key.is_empty() {
            out.push(format!("hkey {}", self.key_words()));
        }
        Some(out.join(" ")).filter(|a| !a.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn undo(entries: &[u32], key: &[u8]) -> String {
        let size = |n: usize| u32::try_from(n).unwrap().to_ne_bytes();
        let mut bytes = [size(entries.len()), size(key.len()), [1, 0, 0, 0], [0; 4]].concat();
        bytes.extend(entries.iter().flat_map(|e| e.to_ne_bytes()));
        bytes.extend(key);
        let text = bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        At { iface: "eth0" }.undo(&State::Text(text))
    }

    #[test]
    fn a_table_goes_back_by_the_arguments_that_give_it() {
        let ends =
            |text: &str, arguments: &str| assert!(text.ends_with(&format!("ethtool -X eth0 {arguments}")), "{text}");
        ends(&undo(&[0, 1, 2, 0, 1, 2, 0, 1], &[]), "equal 3");
        ends(&undo(&[0; 8], &[]), "equal 1");
        ends(&undo(&[0, 0, 0, 0, 1, 1, 1, 1], &[]), "weight 4 4");
        ends(&undo(&[1, 1, 3, 3], &[0x6d, 0x5a]), "weight 0 2 0 2 hkey 6d:5a");
        ends(&undo(&[], &[0x6d, 0x5a]), "hkey 6d:5a");
        let text = undo(&[0, 0, 1, 1], &[0x6d, 0x5a]);
        assert!(text.contains("= '0 0 1 1 6d:5a ' ] ||\n"), "only where it differs: {text}");
    }

    #[test]
    fn any_other_table_is_said_to_be_lowlats_alone() {
        for (entries, key) in [(&[1, 0, 0, 1][..], &[][..]), (&[u32::MAX, 0], &[]), (&[], &[])] {
            assert!(undo(entries, key).contains("lowlat rollback alone"), "{entries:?}");
        }
        for text in ["", "00", "0400000000000000010000000000000001"] {
            assert!(At { iface: "eth0" }.undo(&State::Text(text.into())).contains("lowlat rollback alone"), "{text}");
        }
    }
}
