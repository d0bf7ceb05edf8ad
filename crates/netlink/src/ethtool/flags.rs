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
