//! Ring sizes and channel counts: numbers with a highest value.

use std::collections::BTreeMap;

use super::{CountLimit, get, set, unknown};
use crate::attr::Attrs;
use crate::{Error, Malformed};

const RINGS_GET: u8 = 15;
const RINGS_SET: u8 = 16;
const CHANNELS_GET: u8 = 17;
const CHANNELS_SET: u8 = 18;

/// Name, attribute of the current size, attribute of the highest (`ETHTOOL_A_RINGS_*`).
pub const RINGS: &[(&str, u16, u16)] = &[("rx", 6, 2), ("rx-mini", 7, 3), ("rx-jumbo", 8, 4), ("tx", 9, 5)];

/// Name, attribute of the current count, attribute of the highest (`ETHTOOL_A_CHANNELS_*`).
pub const CHANNELS: &[(&str, u16, u16)] = &[("rx", 6, 2), ("tx", 7, 3), ("other", 8, 4), ("combined", 9, 5)];

/// `rx`, `tx`, … → entries.
pub fn rings(iface: &str) -> Result<BTreeMap<String, CountLimit>, Error> {
    get(iface, "rings", RINGS_GET, |a| parse(a, RINGS))
}

/// `rx`, `tx`, `other`, `combined` → queues.
pub fn channels(iface: &str) -> Result<BTreeMap<String, CountLimit>, Error> {
    get(iface, "channels", CHANNELS_GET, |a| parse(a, CHANNELS))
}

/// Reads a reply. The kernel leaves out a kind whose highest value is 0 (net/ethtool/rings.c, channels.c).
pub fn parse(reply: Attrs<'_>, table: &[(&str, u16, u16)]) -> Result<BTreeMap<String, CountLimit>, Malformed> {
    let mut out = BTreeMap::new();
    for (name, current, max) in table {
        match (reply.get(*current), reply.get(*max)) {
            (None, None) => {}
            (Some(c), Some(m)) => {
                let (Some(current), Some(max)) = (c.u32(), m.u32()) else {
                    return Err(Malformed::new(format!("{name} is not a number of four bytes")));
                };
                out.insert((*name).to_owned(), CountLimit { current, max });
            }
            _ => return Err(Malformed::new(format!("{name} without its current or highest value"))),
        }
    }
    Ok(out)
}

/// Sets one ring's size. Most drivers reset the link for it.
pub fn set_ring(iface: &str, param: &str, entries: u32) -> Result<(), Error> {
    let Some((_, kind, _)) = RINGS.iter().find(|(name, ..)| *name == param) else {
        return Err(unknown(iface, "rings", param, RINGS.iter().map(|p| p.0)));
    };
    set(iface, &format!("ring {param}"), RINGS_SET, |m| m.u32(*kind, entries))
}

/// Sets one channel count. Most drivers reset the link for it.
pub fn set_channels(iface: &str, param: &str, count: u32) -> Result<(), Error> {
    let Some((_, kind, _)) = CHANNELS.iter().find(|(name, ..)| *name == param) else {
        return Err(unknown(iface, "channels", param, CHANNELS.iter().map(|p| p.0)));
    };
    set(iface, &format!("channels {param}"), CHANNELS_SET, |m| m.u32(*kind, count))
}
