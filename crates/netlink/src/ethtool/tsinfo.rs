//! Time stamping abilities, as a driver advertises them.

use super::{bitset, get};
use crate::attr::Attrs;
use crate::{Error, Malformed};

const TSINFO_GET: u8 = 25;
const TIMESTAMPING: u16 = 2;
const TX_TYPES: u16 = 3;
const RX_FILTERS: u16 = 4;
const PHC_INDEX: u16 = 5;

/// What `ethtool -T` shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TimestampingMessage {
    /// `hardware-transmit`, `software-receive`, …
    pub capabilities: Vec<String>,
    /// `off`, `on`, …
    pub tx_types: Vec<String>,
    /// `none`, `all`, …
    pub rx_filters: Vec<String>,
    /// PTP hardware clock.
    pub phc: Option<u32>,
}

/// The abilities of an interface.
pub fn timestamping(iface: &str) -> Result<TimestampingMessage, Error> {
    get(iface, "time stamping", TSINFO_GET, parse)
}

/// Reads a reply. All three sets are lists, without `VALUE` flags: see [`bitset`].
pub fn parse(reply: Attrs<'_>) -> Result<TimestampingMessage, Malformed> {
    let names = |kind| reply.nested(kind).and_then(bitset::set_names);
    Ok(TimestampingMessage {
        capabilities: names(TIMESTAMPING)?,
        tx_types: names(TX_TYPES)?,
        rx_filters: names(RX_FILTERS)?,
        phc: reply.u32(PHC_INDEX),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::attrs;

    #[test]
    fn a_list_bitset_is_not_empty() {
        // As a veth of Linux 6.18 answers: lists (NOMASK), bits with index and name and no VALUE.
        let reply = attrs(|m| {
            m.nest(TIMESTAMPING, |m| {
                m.attr(1, &[]).u32(2, 17).nest(3, |m| {
                    m.nest(1, |m| m.u32(1, 1).text(2, "software-transmit"))
                        .nest(1, |m| m.u32(1, 3).text(2, "software-receive"))
                })
            })
        });
        let got = parse(Attrs::parse(&reply).unwrap()).unwrap();
        assert_eq!(got.capabilities, ["software-receive", "software-transmit"]);
        assert_eq!(got.phc, None);
    }
}
