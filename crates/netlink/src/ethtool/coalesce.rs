//! Interrupt coalescing.

use std::collections::BTreeMap;

use super::{get, set, unknown};
use crate::attr::{Attr, Attrs};
use crate::{Error, Malformed};

const COALESCE_GET: u8 = 19;
const COALESCE_SET: u8 = 20;

/// How wide a parameter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// A number.
    U32,
    /// A switch, 0 or 1.
    Bool,
}

/// Name, attribute number (`ETHTOOL_A_COALESCE_*`, Linux 5.10 to 5.15), width.
pub const PARAMS: &[(&str, u16, Width)] = &[
    ("rx-usecs", 2, Width::U32),
    ("rx-frames", 3, Width::U32),
    ("rx-usecs-irq", 4, Width::U32),
    ("rx-frames-irq", 5, Width::U32),
    ("tx-usecs", 6, Width::U32),
    ("tx-frames", 7, Width::U32),
    ("tx-usecs-irq", 8, Width::U32),
    ("tx-frames-irq", 9, Width::U32),
    ("stats-block-usecs", 10, Width::U32),
    ("adaptive-rx", 11, Width::Bool),
    ("adaptive-tx", 12, Width::Bool),
    ("pkt-rate-low", 13, Width::U32),
    ("rx-usecs-low", 14, Width::U32),
    ("rx-frames-low", 15, Width::U32),
    ("tx-usecs-low", 16, Width::U32),
    ("tx-frames-low", 17, Width::U32),
    ("pkt-rate-high", 18, Width::U32),
    ("rx-usecs-high", 19, Width::U32),
    ("rx-frames-high", 20, Width::U32),
    ("tx-usecs-high", 21, Width::U32),
    ("tx-frames-high", 22, Width::U32),
    ("sample-interval", 23, Width::U32),
    ("cqe-mode-tx", 24, Width::Bool),
    ("cqe-mode-rx", 25, Width::Bool),
];

/// Parameter → value, only those the driver offers.
pub fn coalesce(iface: &str) -> Result<BTreeMap<String, u32>, Error> {
    get(iface, "coalescing", COALESCE_GET, parse)
}

/// Reads a reply. The kernel leaves out what the driver does not offer (net/ethtool/coalesce.c, `coalesce_put_u32`).
pub fn parse(reply: Attrs<'_>) -> Result<BTreeMap<String, u32>, Malformed> {
    let mut out = BTreeMap::new();
    for (name, kind, width) in PARAMS {
        let Some(attr) = reply.get(*kind) else { continue };
        let value = match width {
            Width::U32 => attr.u32(),
            Width::Bool => attr.u8().map(|b| u32::from(b != 0)),
        };
        out.insert((*name).to_owned(), value.ok_or_else(|| short(name, attr))?);
    }
    Ok(out)
}

fn short(name: &str, attr: Attr<'_>) -> Malformed {
    Malformed::new(format!("{name} has {} bytes", attr.data.len()))
}

/// Sets one parameter; the others stay.
pub fn set_coalesce(iface: &str, param: &str, value: u32) -> Result<(), Error> {
    set_coalesce_many(iface, &[(param, value)])
}

/// Sets several parameters in one message, for drivers that check them against each other; the others stay.
pub fn set_coalesce_many(iface: &str, values: &[(&str, u32)]) -> Result<(), Error> {
    let mut attrs = Vec::new();
    for (param, value) in values {
        let Some((_, kind, width)) = PARAMS.iter().find(|(name, ..)| name == param) else {
            return Err(unknown(iface, "coalescing", param, PARAMS.iter().map(|p| p.0)));
        };
        attrs.push((*kind, *width, *value));
    }
    let names = values.iter().map(|(param, _)| *param).collect::<Vec<_>>().join(" and ");
    set(iface, &names, COALESCE_SET, |m| {
        attrs.iter().fold(m, |m, (kind, width, value)| match width {
            Width::U32 => m.u32(*kind, *value),
            Width::Bool => m.u8(*kind, u8::from(*value != 0)),
        })
    })
}
