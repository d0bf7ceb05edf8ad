//! Statistics that the kernel defines and each driver fills in: of the MAC, the PHY, pause, FEC and RMON.
//!
//! The driver's own statistics, by names of its own, are at [`super::ioctl::statistics`].

use std::collections::BTreeMap;

use super::HEADER_DEV_NAME;
use crate::attr::{Attr, Attrs};
use crate::genl::GenericFamily;
use crate::message::Message;
use crate::{Error, Malformed};

const PAUSE_GET: u8 = 21;
const FEC_GET: u8 = 29;
const STATS_GET: u8 = 32;
const HEADER_FLAGS: u16 = 3;
/// `ETHTOOL_FLAG_STATS`: without it pause and FEC come without their statistics.
const WITH_STATS: u32 = 1 << 2;

/// Of `STATS_GET` the header has another number than of all other requests (include/uapi/linux/ethtool_netlink.h).
const STATS_HEADER: u16 = 2;
const STATS_GROUPS: u16 = 3;
const STATS_GRP: u16 = 4;
const GRP_ID: u16 = 2;
const GRP_STAT: u16 = 4;
const BITSET_NOMASK: u16 = 1;
const BITSET_SIZE: u16 = 2;
const BITSET_VALUE: u16 = 4;
/// `eth-phy`, `eth-mac`, `rmon` of the four groups (`ETHTOOL_STATS_*`); what `eth-ctrl` counts are pause frames and their
/// kin, and pause has statistics of its own.
const GROUPS: u32 = 0b1011;

/// Group, number, name, for those that count a fault (`ETHTOOL_A_STATS_ETH_PHY_*`, `_ETH_MAC_*`, `_RMON_*`; the names are
/// those of net/ethtool/stats.c). What counts traffic is left out: the kernel's own statistics have it.
pub const FAULTS: &[(u32, u16, &str)] = &[
    (0, 0, "eth-phy.SymbolErrorDuringCarrier"),
    (1, 4, "eth-mac.FrameCheckSequenceErrors"),
    (1, 5, "eth-mac.AlignmentErrors"),
    (1, 8, "eth-mac.LateCollisions"),
    (1, 9, "eth-mac.FramesAbortedDueToXSColls"),
    (1, 10, "eth-mac.FramesLostDueToIntMACXmitError"),
    (1, 11, "eth-mac.CarrierSenseErrors"),
    (1, 13, "eth-mac.FramesLostDueToIntMACRcvError"),
    (1, 16, "eth-mac.FramesWithExcessiveDeferral"),
    (1, 19, "eth-mac.InRangeLengthErrors"),
    (1, 21, "eth-mac.FrameTooLongErrors"),
    (3, 2, "rmon.etherStatsFragments"),
    (3, 3, "rmon.etherStatsJabbers"),
];
/// `ETHTOOL_A_PAUSE_STATS` and what is in it.
const PAUSE: (u16, &[(u16, &str)]) = (5, &[(2, "pause.tx_frames"), (3, "pause.rx_frames")]);
/// `ETHTOOL_A_FEC_STATS` and what is in it. What was corrected is no loss, and common at 25 Gbit/s and more.
const FEC: (u16, &[(u16, &str)]) = (5, &[(3, "fec.uncorrectable_blocks")]);

/// All of them that the driver counts; `EOPNOTSUPP` where it counts none.
pub fn standard(iface: &str) -> Result<BTreeMap<String, u64>, Error> {
    let what = format!("ask the standard statistics of {iface}");
    let mut family = GenericFamily::open("ethtool", 1)?;
    let mut out = BTreeMap::new();
    let asked = |m: Message| {
        m.nest(STATS_HEADER, |m| m.text(HEADER_DEV_NAME, iface)).nest(STATS_GROUPS, |m| {
            m.attr(BITSET_NOMASK, &[]).u32(BITSET_SIZE, 4).attr(BITSET_VALUE, &GROUPS.to_ne_bytes())
        })
    };
    let replies = [
        (family.ask(&what, STATS_GET, asked), None),
        (family.ask(&what, PAUSE_GET, |m| with_stats(m, iface)), Some(PAUSE)),
        (family.ask(&what, FEC_GET, |m| with_stats(m, iface)), Some(FEC)),
    ];
    for (replies, nest) in replies {
        let replies = match replies {
            Ok(replies) => replies,
            // A driver without pause or FEC, and a kernel that does not know the request (before 5.13).
            Err(e) if e.errno() == Some(libc::EOPNOTSUPP) => continue,
            Err(e) => return Err(e),
        };
        for reply in &replies {
            let reply = Attrs::parse(reply).map_err(|e| Error::malformed(&what, e))?;
            let read = match nest {
                None => parse_groups(reply),
                Some((kind, names)) => reply.nested(kind).map(|n| parse_nest(n, names)),
            };
            out.extend(read.map_err(|e| Error::malformed(&what, e))?);
        }
    }
    if out.is_empty() {
        return Err(Error::Refused { what, errno: libc::EOPNOTSUPP, extack: "the driver counts none of them".into() });
    }
    Ok(out)
}

fn with_stats(m: Message, iface: &str) -> Message {
    m.nest(1, |m| m.text(HEADER_DEV_NAME, iface).u32(HEADER_FLAGS, WITH_STATS))
}

/// Reads the groups of a `STATS_GET` reply. A statistic that the driver does not count is not in it (`stat_put`,
/// net/ethtool/stats.c).
pub fn parse_groups(reply: Attrs<'_>) -> Result<BTreeMap<String, u64>, Malformed> {
    let mut out = BTreeMap::new();
    for group in reply.iter().filter(|a| a.kind == STATS_GRP) {
        let group = group.nested()?;
        let id = group.u32(GRP_ID).ok_or_else(|| Malformed::new("a group of statistics without a number"))?;
        for stat in group.iter().filter(|a| a.kind == GRP_STAT) {
            // One attribute inside, whose type is the number of the statistic, from 0.
            let Some(stat) = stat.nested()?.iter().next() else { continue };
            let known = FAULTS.iter().find(|(group, number, _)| (*group, *number) == (id, stat.kind));
            if let Some((.., name)) = known {
                let value = stat.u64().ok_or_else(|| Malformed::new(format!("{name} is not a number")))?;
                out.insert((*name).to_owned(), value);
            }
        }
    }
    Ok(out)
}

/// Reads the statistics of a nest: of an array the first number, which is the port's sum.
fn parse_nest(nest: Attrs<'_>, names: &[(u16, &str)]) -> BTreeMap<String, u64> {
    let value = |kind: u16| nest.get(kind).and_then(Attr::u64);
    names.iter().filter_map(|(kind, name)| Some(((*name).to_owned(), value(*kind)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::attrs;
    use proptest::prelude::*;

    fn stat(m: Message, number: u16, value: u64) -> Message {
        m.nest(GRP_STAT, |m| m.attr(number, &value.to_ne_bytes()))
    }

    #[test]
    fn faults_are_read_and_traffic_is_not() {
        let bytes = attrs(|m| {
            m.nest(STATS_GRP, |m| {
                let m = m.u32(GRP_ID, 1).u32(3, 18);
                stat(stat(stat(m, 0, 1_000_000), 4, 7), 13, 2)
            })
            .nest(STATS_GRP, |m| stat(m.u32(GRP_ID, 0), 0, 9))
        });
        let got = parse_groups(Attrs::parse(&bytes).unwrap()).unwrap();
        let want = [
            ("eth-mac.FrameCheckSequenceErrors", 7),
            ("eth-mac.FramesLostDueToIntMACRcvError", 2),
            ("eth-phy.SymbolErrorDuringCarrier", 9),
        ];
        assert_eq!(got, want.map(|(k, v)| (k.to_owned(), v)).into_iter().collect());
    }

    #[test]
    fn the_first_of_an_array_is_the_ports_sum() {
        let lanes: Vec<u8> = [12u64, 5, 7].iter().flat_map(|n| n.to_ne_bytes()).collect();
        let bytes = attrs(|m| m.attr(2, &99u64.to_ne_bytes()).attr(3, &lanes));
        let got = parse_nest(Attrs::parse(&bytes).unwrap(), FEC.1);
        assert_eq!(got, BTreeMap::from([("fec.uncorrectable_blocks".to_owned(), 12)]));
    }

    proptest! {
        #[test]
        fn any_bytes_are_groups_or_malformed(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(attrs) = Attrs::parse(&bytes) {
                let _ = parse_groups(attrs);
                let _ = parse_nest(attrs, PAUSE.1);
            }
        }
    }
}
