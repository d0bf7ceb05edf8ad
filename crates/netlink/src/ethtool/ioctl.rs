//! What only the old interface gives: driver identity, driver statistics, the hardware time stamping mode.

use std::collections::BTreeMap;

use lowlat_os::ioctl::{IoctlRequest, interface};

use crate::attr::{tail, u32_at};
use crate::{Error, Malformed};

const ETHTOOL_GDRVINFO: u32 = 0x03;
const ETHTOOL_GSTRINGS: u32 = 0x1b;
const ETHTOOL_GSTATS: u32 = 0x1d;
const ETHTOOL_GSSET_INFO: u32 = 0x37;
const ETHTOOL_GRXCLSRLCNT: u32 = 0x2e;
const ETHTOOL_GRSSH: u32 = 0x46;
const ETHTOOL_SRSSH: u32 = 0x47;
/// sizeof(struct ethtool_rxnfc) and the offset of its `rule_cnt`, of include/uapi/linux/ethtool.h.
const RXNFC: usize = 192;
const RXNFC_RULE_CNT: usize = 184;
/// sizeof(struct ethtool_rxfh) without its table and key.
const RXFH: usize = 24;
/// More table entries or key bytes than any driver has.
const MAX_RSS: u32 = 65_536;
const ETH_SS_STATS: u32 = 1;
const ETH_GSTRING_LEN: usize = 32;
/// sizeof(struct ethtool_drvinfo).
const DRVINFO: usize = 196;
/// More statistics than any driver has: a count above it is a broken driver, not a reason to allocate.
const MAX_STATS: u32 = 65_536;

/// Runs an ioctl that reads and writes `data` in place.
fn ioctl(what: &str, iface: &str, request: IoctlRequest, data: &mut [u8]) -> Result<(), Error> {
    // 15 bytes and a zero (IFNAMSIZ).
    if iface.len() > 15 {
        return Err(Error::request(what, "the interface name is longer than 15 bytes"));
    }
    interface(iface, request, data).map_err(|e| Error::Refused {
        what: what.to_owned(),
        errno: e.raw_os_error().unwrap_or(libc::EIO),
        extack: String::new(),
    })
}

/// Driver identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Driver {
    /// Name.
    pub driver: String,
    /// Version.
    pub version: String,
    /// Firmware; empty where the driver gives none.
    pub firmware: String,
    /// Bus address.
    pub bus: String,
}

/// `ETHTOOL_GDRVINFO`.
pub fn driver(iface: &str) -> Result<Driver, Error> {
    let what = format!("ask the driver of {iface}");
    let mut data = vec![0; DRVINFO];
    data[..4].copy_from_slice(&ETHTOOL_GDRVINFO.to_ne_bytes());
    ioctl(&what, iface, IoctlRequest::Ethtool, &mut data)?;
    parse_driver(&data).map_err(|e| Error::malformed(&what, e))
}

/// Reads a `struct ethtool_drvinfo`: command, then driver, version, firmware and bus of 32 bytes each.
pub fn parse_driver(data: &[u8]) -> Result<Driver, Malformed> {
    let field = |i: usize| {
        let at = 4 + i * 32;
        data.get(at..at + 32).map(text).ok_or_else(|| Malformed::new("a driver identity shorter than its fields"))
    };
    Ok(Driver { driver: field(0)?, version: field(1)?, firmware: field(2)?, bus: field(3)? })
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned()
}

/// `ETHTOOL_GSTATS` by the names of `ETHTOOL_GSTRINGS`.
pub fn statistics(iface: &str) -> Result<BTreeMap<String, u64>, Error> {
    let what = format!("ask the statistics of {iface}");
    let count = stats_count(&what, iface)?;
    let n = usize::try_from(count).unwrap_or(0);

    // struct ethtool_gstrings: command, string set, length, names
    let mut names = vec![0; 12 + n * ETH_GSTRING_LEN];
    names[..4].copy_from_slice(&ETHTOOL_GSTRINGS.to_ne_bytes());
    names[4..8].copy_from_slice(&ETH_SS_STATS.to_ne_bytes());
    names[8..12].copy_from_slice(&count.to_ne_bytes());
    ioctl(&what, iface, IoctlRequest::Ethtool, &mut names)?;

    // struct ethtool_stats: command, count, values
    let mut values = vec![0; 8 + n * 8];
    values[..4].copy_from_slice(&ETHTOOL_GSTATS.to_ne_bytes());
    values[4..8].copy_from_slice(&count.to_ne_bytes());
    ioctl(&what, iface, IoctlRequest::Ethtool, &mut values)?;
    parse_statistics(&names, &values).map_err(|e| Error::malformed(&what, e))
}

fn stats_count(what: &str, iface: &str) -> Result<u32, Error> {
    // struct ethtool_sset_info: command, reserved, u64 mask, one u32 per set bit
    let mut info = vec![0; 20];
    info[..4].copy_from_slice(&ETHTOOL_GSSET_INFO.to_ne_bytes());
    info[8..16].copy_from_slice(&(1u64 << ETH_SS_STATS).to_ne_bytes());
    ioctl(what, iface, IoctlRequest::Ethtool, &mut info)?;
    let there = u32_at(&info, 8).unwrap_or(0) >> ETH_SS_STATS & 1 == 1;
    match u32_at(&info, 16) {
        Some(count) if there && count <= MAX_STATS => Ok(count),
        Some(count) if there => Err(Error::malformed(what, Malformed::new(format!("{count} statistics")))),
        _ => {
            Err(Error::Refused { what: what.to_owned(), errno: libc::EOPNOTSUPP, extack: "the driver has none".into() })
        }
    }
}

/// Reads `struct ethtool_gstrings` and `struct ethtool_stats`. A name that comes twice gets `#2`, `#3`, …: some drivers
/// repeat names, and a sum or the last one would be a figure nobody counted.
pub fn parse_statistics(names: &[u8], values: &[u8]) -> Result<BTreeMap<String, u64>, Malformed> {
    let (Some(n), Some(m)) = (u32_at(names, 8), u32_at(values, 4)) else {
        return Err(Malformed::new("statistics shorter than their header"));
    };
    if n != m {
        return Err(Malformed::new(format!("{n} names for {m} statistics")));
    }
    let mut out = BTreeMap::new();
    let n = usize::try_from(n).unwrap_or(0);
    let names = tail(names, 12).chunks_exact(ETH_GSTRING_LEN);
    let values = tail(values, 8).chunks_exact(8);
    if names.len() < n || values.len() < n {
        return Err(Malformed::new(format!("{} names and {} values for {n} statistics", names.len(), values.len())));
    }
    for (name, value) in names.zip(values).take(n) {
        // Some drivers indent or pad their names.
        let name = text(name).trim().to_owned();
        let value = value.try_into().map(u64::from_ne_bytes).unwrap_or_default();
        let mut key = name.clone();
        let mut twice = 2;
        while out.contains_key(&key) {
            key = format!("{name}#{twice}");
            twice += 1;
        }
        out.insert(key, value);
    }
    Ok(out)
}

/// The number of receive flow rules (`ETHTOOL_GRXCLSRLCNT`, `ethtool -n`).
pub fn flow_rules(iface: &str) -> Result<u32, Error> {
    let what = format!("count the receive flow rules of {iface}");
    // struct ethtool_rxnfc: command, flow type, u64 data, one rule's specification, then the count (`rule_cnt`)
    let mut data = vec![0; RXNFC];
    data[..4].copy_from_slice(&ETHTOOL_GRXCLSRLCNT.to_ne_bytes());
    ioctl(&what, iface, IoctlRequest::Ethtool, &mut data)?;
    u32_at(&data, RXNFC_RULE_CNT).ok_or_else(|| Error::malformed(&what, Malformed::new("no count")))
}

/// Where received flows go: the table, the key and the function (`ETHTOOL_GRSSH`, `ethtool -x`), as its bytes from
/// `indir_size` on, which are sent back unread.
pub fn rss(iface: &str) -> Result<Vec<u8>, Error> {
    let what = format!("ask the RSS table of {iface}");
    // struct ethtool_rxfh: command, context, table entries, key bytes, function and others; then the table and the key.
    // With sizes of 0 only the sizes are reported (net/ethtool/ioctl.c, `ethtool_get_rxfh`).
    let mut sizes = vec![0; RXFH];
    sizes[..4].copy_from_slice(&ETHTOOL_GRSSH.to_ne_bytes());
    ioctl(&what, iface, IoctlRequest::Ethtool, &mut sizes)?;
    let (entries, key) = (u32_at(&sizes, 8).unwrap_or(0), u32_at(&sizes, 12).unwrap_or(0));
    if entries > MAX_RSS || key > MAX_RSS {
        return Err(Error::malformed(&what, Malformed::new(format!("{entries} entries and a key of {key} bytes"))));
    }
    if entries == 0 && key == 0 {
        return Err(Error::Refused { what, errno: libc::EOPNOTSUPP, extack: "the driver has none".into() });
    }
    let room = usize::try_from(entries).unwrap_or(0) * 4 + usize::try_from(key).unwrap_or(0);
    let mut data = vec![0; RXFH + room];
    data[..16].copy_from_slice(&sizes[..16]);
    ioctl(&what, iface, IoctlRequest::Ethtool, &mut data)?;
    Ok(data.split_off(8))
}

/// Puts back what [`rss`] gave (`ETHTOOL_SRSSH`).
pub fn set_rss(iface: &str, saved: &[u8]) -> Result<(), Error> {
    let what = format!("set the RSS table of {iface}");
    let (Some(entries), Some(key)) = (u32_at(saved, 0), u32_at(saved, 4)) else {
        return Err(Error::request(&what, "it is shorter than its header"));
    };
    let room = u64::from(entries) * 4 + u64::from(key);
    if u64::try_from(saved.len()).ok() != Some(room + (RXFH as u64 - 8)) {
        return Err(Error::request(&what, "its length is not that of its table and key"));
    }
    let mut data = vec![0; 8];
    data[..4].copy_from_slice(&ETHTOOL_SRSSH.to_ne_bytes());
    data.extend_from_slice(saved);
    ioctl(&what, iface, IoctlRequest::Ethtool, &mut data)
}

/// The hardware time stamping mode: `struct hwtstamp_config` without its flags, which are zero on all drivers but
/// bonds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HwTimestamp {
    /// `HWTSTAMP_TX_*`: 0 off, 1 on.
    pub tx: u32,
    /// `HWTSTAMP_FILTER_*`: 0 none, 1 all.
    pub rx: u32,
}

/// `SIOCGHWTSTAMP`.
pub fn hw_timestamp(iface: &str) -> Result<HwTimestamp, Error> {
    let mut data = [0; 12];
    ioctl(&format!("ask the hardware time stamping of {iface}"), iface, IoctlRequest::Timestamping, &mut data)?;
    Ok(HwTimestamp { tx: u32_at(&data, 4).unwrap_or(0), rx: u32_at(&data, 8).unwrap_or(0) })
}

/// `SIOCSHWTSTAMP`. The driver may take a wider filter than asked for: read back.
pub fn set_hw_timestamp(iface: &str, mode: HwTimestamp) -> Result<(), Error> {
    let mut data = [0; 12];
    data[4..8].copy_from_slice(&mode.tx.to_ne_bytes());
    data[8..12].copy_from_slice(&mode.rx.to_ne_bytes());
    ioctl(&format!("set the hardware time stamping of {iface}"), iface, IoctlRequest::SetTimestamping, &mut data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_read(a in proptest::collection::vec(any::<u8>(), 0..300), b in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = (parse_driver(&a), parse_statistics(&a, &b));
        }
    }

    #[test]
    fn a_repeated_name_keeps_both_values() {
        let mut names = vec![0; 12];
        names[8] = 2;
        for _ in 0..2 {
            let mut name = [0; 32];
            name[..4].copy_from_slice(b"  rx");
            names.extend_from_slice(&name);
        }
        let mut values = vec![0; 8];
        values[4] = 2;
        values.extend_from_slice(&7u64.to_ne_bytes());
        values.extend_from_slice(&9u64.to_ne_bytes());
        let got = parse_statistics(&names, &values).unwrap();
        assert_eq!(got, BTreeMap::from([("rx".into(), 7), ("rx#2".into(), 9)]));
    }
}
