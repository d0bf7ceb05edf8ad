//! Offload features.

use std::collections::BTreeMap;

use super::{bitset, get, set};
use crate::attr::Attrs;
use crate::{Error, Malformed};

const FEATURES_GET: u8 = 11;
const FEATURES_SET: u8 = 12;
const HW: u16 = 2;
const WANTED: u16 = 3;
const ACTIVE: u16 = 4;
const NOCHANGE: u16 = 5;

/// One feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeatureBits {
    /// On now.
    pub active: bool,
    /// Asked for; differs from `active` where another setting stands in the way.
    pub wanted: bool,
    /// The driver lets it be changed and the kernel does not forbid it.
    pub changeable: bool,
}

/// Kernel name (`rx-gro`, `tx-tcp-segmentation`, …) → state.
pub fn features(iface: &str) -> Result<BTreeMap<String, FeatureBits>, Error> {
    get(iface, "features", FEATURES_GET, parse)
}

/// Reads a reply.
pub fn parse(reply: Attrs<'_>) -> Result<BTreeMap<String, FeatureBits>, Malformed> {
    let [hw, wanted, active, nochange] =
        [HW, WANTED, ACTIVE, NOCHANGE].map(|kind| reply.nested(kind).and_then(bitset::parse));
    let (hw, wanted, active, nochange) = (hw?, wanted?, active?, nochange?);
    let on = |set: &BTreeMap<String, bool>, name: &str| set.get(name).copied().unwrap_or(false);
    // HW comes with a mask over all features, so it names them all; the others name what they hold.
    let mut out = BTreeMap::new();
    for name in hw.keys().chain(active.keys()).chain(nochange.keys()) {
        let feature = FeatureBits {
            active: on(&active, name),
            wanted: on(&wanted, name),
            changeable: on(&hw, name) && !on(&nochange, name),
        };
        out.insert(name.clone(), feature);
    }
    Ok(out)
}

/// Turns one feature on or off. The kernel takes the wish also where it cannot follow it: read back.
pub fn set_feature(iface: &str, name: &str, on: bool) -> Result<(), Error> {
    set(iface, &format!("feature {name}"), FEATURES_SET, |m| bitset::change(m, WANTED, name, on))
}
