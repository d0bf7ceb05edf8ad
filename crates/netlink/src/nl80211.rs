//! Wi-Fi: whether an interface saves power.

use crate::attr::Attrs;
use crate::genl::GenericFamily;
use crate::route::link;
use crate::{Error, Malformed};

// include/uapi/linux/nl80211.h
const GET_POWER_SAVE: u8 = 62;
const IFINDEX: u16 = 3;
const PS_STATE: u16 = 93;
const PS_ENABLED: u32 = 1;

/// Whether an interface saves power. `EOPNOTSUPP` where the kernel has no Wi-Fi or the driver cannot save power.
pub fn power_save(iface: &str) -> Result<bool, Error> {
    let what = format!("ask the power saving of {iface}");
    let index = link::index(iface)?;
    let replies = GenericFamily::open("nl80211", 1)?.ask(&what, GET_POWER_SAVE, |m| m.u32(IFINDEX, index))?;
    let first = replies.first().ok_or_else(|| Error::malformed(&what, Malformed::new("no reply")))?;
    parse_power_save(first).map_err(|e| Error::malformed(&what, e))
}

/// Reads the attributes of a reply.
pub fn parse_power_save(attrs: &[u8]) -> Result<bool, Malformed> {
    let state = Attrs::parse(attrs)?.u32(PS_STATE).ok_or_else(|| Malformed::new("a reply without the state"))?;
    match state {
        0 => Ok(false),
        PS_ENABLED => Ok(true),
        other => Err(Malformed::new(format!("a power saving state {other}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn on_off_and_neither() {
        let state = |n: u32| parse_power_save(&crate::message::attrs(|m| m.u32(IFINDEX, 3).u32(PS_STATE, n)));
        assert_eq!((state(0).unwrap(), state(1).unwrap()), (false, true));
        assert!(state(2).is_err());
        assert!(parse_power_save(&crate::message::attrs(|m| m.u32(IFINDEX, 3))).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_state_or_malformed(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = parse_power_save(&bytes);
        }
    }
}
