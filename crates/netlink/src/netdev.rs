//! The `netdev` family (Linux 6.3): what XDP can do on a device.

use crate::attr::{Attr, Attrs};
use crate::genl::Family;
use crate::route::link;
use crate::{Error, Malformed};

const CMD_DEV_GET: u8 = 1;
const CMD_NAPI_GET: u8 = 11;
const A_DEV_IFINDEX: u16 = 1;
const A_DEV_XDP_FEATURES: u16 = 3;
const A_NAPI_IFINDEX: u16 = 1;
const A_NAPI_ID: u16 = 2;
const A_NAPI_IRQ: u16 = 3;

/// Bits of `enum netdev_xdp_act` (include/uapi/linux/netdev.h, Linux 6.12), in order.
const XDP_FEATURES: &[&str] = &["basic", "redirect", "ndo-xmit", "xsk-zerocopy", "hw-offload", "rx-sg", "ndo-xmit-sg"];

/// The XDP features of an interface.
pub fn xdp_features(iface: &str) -> Result<Vec<String>, Error> {
    let what = format!("ask the XDP features of {iface}");
    let index = link::index(iface)?;
    let replies = Family::open("netdev", 1)?.ask(&what, CMD_DEV_GET, |m| m.u32(A_DEV_IFINDEX, index))?;
    let first = replies.first().ok_or_else(|| Error::malformed(&what, Malformed::new("no reply")))?;
    parse_xdp_features(first).map_err(|e| Error::malformed(&what, e))
}

/// Reads the attributes of a `dev-get` reply. Bits this build has no name for are given as `bit-N`.
pub fn parse_xdp_features(attrs: &[u8]) -> Result<Vec<String>, Malformed> {
    let bits = Attrs::parse(attrs)?
        .get(A_DEV_XDP_FEATURES)
        .and_then(Attr::u64)
        .ok_or_else(|| Malformed::new("a device without its XDP features"))?;
    Ok((0..64)
        .filter(|i| bits >> i & 1 == 1)
        .map(|i| XDP_FEATURES.get(i).map_or_else(|| format!("bit-{i}"), ToString::to_string))
        .collect())
}

/// One NAPI instance (Linux 6.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Napi {
    /// Interface index.
    pub ifindex: u32,
    /// NAPI id, as `SO_INCOMING_NAPI_ID` gives it.
    pub id: u32,
    /// Its interrupt, where the driver tells.
    pub irq: Option<u32>,
}

/// The NAPI instances of an interface.
pub fn napis(iface: &str) -> Result<Vec<Napi>, Error> {
    let what = format!("ask the NAPI instances of {iface}");
    let index = link::index(iface)?;
    let replies = Family::open("netdev", 1)?.dump(&what, CMD_NAPI_GET, |m| m.u32(A_NAPI_IFINDEX, index))?;
    replies.iter().map(|r| parse_napi(r).map_err(|e| Error::malformed(&what, e))).collect()
}

/// Reads the attributes of a `napi-get` reply.
pub fn parse_napi(attrs: &[u8]) -> Result<Napi, Malformed> {
    let attrs = Attrs::parse(attrs)?;
    match (attrs.u32(A_NAPI_IFINDEX), attrs.u32(A_NAPI_ID)) {
        (Some(ifindex), Some(id)) => Ok(Napi { ifindex, id, irq: attrs.u32(A_NAPI_IRQ) }),
        _ => Err(Malformed::new("a NAPI instance without its id")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_read(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = (parse_xdp_features(&bytes), parse_napi(&bytes));
        }
    }

    #[test]
    fn a_bit_without_a_name_is_not_dropped() {
        let reply = crate::message::attrs(|m| m.attr(A_DEV_XDP_FEATURES, &(1u64 | 8 | 1 << 40).to_ne_bytes()));
        assert_eq!(parse_xdp_features(&reply).unwrap(), ["basic", "xsk-zerocopy", "bit-40"]);
    }
}
