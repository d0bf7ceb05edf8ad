//! Speed and duplex, now and at most.

use super::{bitset, get};
use crate::attr::Attrs;
use crate::{Error, Malformed};

const LINKMODES_GET: u8 = 4;
const OURS: u16 = 3;
const PEER: u16 = 4;
const SPEED: u16 = 5;
const DUPLEX: u16 = 6;
/// `SPEED_UNKNOWN`, -1 as unsigned.
const UNKNOWN: u32 = u32::MAX;

/// Link modes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkModesMessage {
    /// Mbit/s; `None` where unknown.
    pub speed_mbps: Option<u32>,
    /// Highest supported mode, Mbit/s; `None` where the driver lists none with a speed.
    pub max_speed_mbps: Option<u32>,
    /// Highest mode that the link partner advertises, Mbit/s; `None` where the driver does not report it.
    pub peer_max_speed_mbps: Option<u32>,
    /// `full`, `half`, `unknown`.
    pub duplex: &'static str,
}

/// Speed and duplex of an interface.
pub fn link_modes(iface: &str) -> Result<LinkModesMessage, Error> {
    get(iface, "link modes", LINKMODES_GET, parse)
}

/// Reads a reply.
pub fn parse(reply: Attrs<'_>) -> Result<LinkModesMessage, Malformed> {
    // OURS is masked: the mask is what is supported, the values what is advertised. Every name in it is supported.
    let supported = reply.nested(OURS).and_then(bitset::parse)?;
    // PEER has no mask: only what the partner advertises is in it (net/ethtool/linkmodes.c, linkmodes_fill_reply).
    let advertised = reply.get(PEER).is_some().then(|| reply.nested(PEER).and_then(bitset::parse)).transpose()?;
    Ok(LinkModesMessage {
        speed_mbps: reply.u32(SPEED).filter(|s| *s != UNKNOWN && *s != 0),
        max_speed_mbps: supported.keys().filter_map(|mode| speed_of(mode)).max(),
        peer_max_speed_mbps: advertised.unwrap_or_default().keys().filter_map(|mode| speed_of(mode)).max(),
        duplex: match reply.u8(DUPLEX) {
            Some(0) => "half",
            Some(1) => "full",
            _ => "unknown",
        },
    })
}

/// The speed in a mode's name: `10000baseT/Full`, `25000baseCR/Full`. Names without a number (`Autoneg`, `TP`, `FIBRE`)
/// have none.
fn speed_of(mode: &str) -> Option<u32> {
    let (number, _) = mode.split_once("base")?;
    number.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_are_read_from_names() {
        assert_eq!(speed_of("10000baseT/Full"), Some(10_000));
        assert_eq!(speed_of("2500baseX/Full"), Some(2_500));
        assert_eq!(speed_of("Autoneg"), None);
        assert_eq!(speed_of("Backplane"), None);
    }
}
