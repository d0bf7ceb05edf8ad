//! Pause, Energy-Efficient Ethernet and private flags: switches.

use std::collections::BTreeMap;

use super::{bitset, get, set, unknown};
use crate::attr::Attrs;
use crate::{Error, Malformed};

const PRIVFLAGS_GET: u8 = 13;
const PRIVFLAGS_SET: u8 = 14;
const PAUSE_GET: u8 = 21;
const PAUSE_SET: u8 = 22;
const EEE_GET: u8 = 23;
const EEE_SET: u8 = 24;
const FEC_GET: u8 = 29;
/// `ETHTOOL_A_FEC_ACTIVE`: the number of a link mode.
const FEC_ACTIVE: u16 = 4;
/// `ETHTOOL_LINK_MODE_FEC_*_BIT` (include/uapi/linux/ethtool.h).
const FEC_MODES: &[(u32, &str)] = &[(49, "off"), (50, "rs"), (51, "baser"), (74, "llrs")];

/// `ETHTOOL_A_PAUSE_*`.
pub const PAUSE: &[(&str, u16)] = &[("autoneg", 2), ("rx", 3), ("tx", 4)];
/// `ETHTOOL_A_EEE_*`.
pub const EEE: &[(&str, u16)] = &[("active", 4), ("enabled", 5), ("tx-lpi-enabled", 6)];
const PRIVFLAGS_FLAGS: u16 = 2;

/// `autoneg`, `rx`, `tx`.
pub fn pause(iface: &str) -> Result<BTreeMap<String, bool>, Error> {
    get(iface, "pause", PAUSE_GET, |a| parse(a, PAUSE))
}

/// `active`, `enabled`, `tx-lpi-enabled`.
pub fn eee(iface: &str) -> Result<BTreeMap<String, bool>, Error> {
    get(iface, "EEE", EEE_GET, |a| parse(a, EEE))
}

/// The forward error correction in use: `off`, `rs`, `baser`, `llrs`; `None` where the driver does not report which one,
/// as most do without a link.
pub fn fec(iface: &str) -> Result<Option<String>, Error> {
    get(iface, "forward error correction", FEC_GET, |a| Ok(parse_fec(a)))
}

/// Reads a `FEC_GET` reply; a mode without a name here is its number.
pub fn parse_fec(reply: Attrs<'_>) -> Option<String> {
    let bit = reply.u32(FEC_ACTIVE)?;
    let known = FEC_MODES.iter().find(|(number, _)| *number == bit);
    Some(known.map_or_else(|| format!("mode {bit}"), |(_, name)| (*name).to_owned()))
}

/// The driver's own flags, by its names.
pub fn private_flags(iface: &str) -> Result<BTreeMap<String, bool>, Error> {
    get(iface, "private flags", PRIVFLAGS_GET, |a| a.nested(PRIVFLAGS_FLAGS).and_then(bitset::parse))
}

/// Reads the switches of a reply that it holds.
pub fn parse(reply: Attrs<'_>, table: &[(&str, u16)]) -> Result<BTreeMap<String, bool>, Malformed> {
    let mut out = BTreeMap::new();
    for (name, kind) in table {
        if let Some(attr) = reply.get(*kind) {
            let on = attr.u8().ok_or_else(|| Malformed::new(format!("{name} is empty")))?;
            out.insert((*name).to_owned(), on != 0);
        }
    }
    Ok(out)
}

/// Sets one of `autoneg`, `rx`, `tx`.
pub fn set_pause(iface: &str, param: &str, on: bool) -> Result<(), Error> {
    let Some((_, kind)) = PAUSE.iter().find(|(name, _)| *name == param) else {
        return Err(unknown(iface, "pause", param, PAUSE.iter().map(|p| p.0)));
    };
    set(iface, &format!("pause {param}"), PAUSE_SET, |m| m.u8(*kind, u8::from(on)))
}

/// Turns Energy-Efficient Ethernet on or off.
pub fn set_eee(iface: &str, on: bool) -> Result<(), Error> {
    const ENABLED: u16 = 5;
    set(iface, "EEE", EEE_SET, |m| m.u8(ENABLED, u8::from(on)))
}

/// Turns one of the driver's own flags on or off.
pub fn set_private_flag(iface: &str, name: &str, on: bool) -> Result<(), Error> {
    set(iface, &format!("private flag {name}"), PRIVFLAGS_SET, |m| bitset::change(m, PRIVFLAGS_FLAGS, name, on))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_correction_in_use_is_a_link_mode() {
        let active = |bit: u32| {
            let bytes = crate::message::attrs(|m| m.u8(3, 1).u32(FEC_ACTIVE, bit));
            parse_fec(Attrs::parse(&bytes).unwrap())
        };
        assert_eq!(active(49).as_deref(), Some("off"));
        assert_eq!(active(50).as_deref(), Some("rs"));
        assert_eq!(active(99).as_deref(), Some("mode 99"));
        let none = crate::message::attrs(|m| m.u8(3, 1));
        assert_eq!(parse_fec(Attrs::parse(&none).unwrap()), None, "without a link there is none");
    }
}
