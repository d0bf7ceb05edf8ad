//! ethtool's bitsets in their verbose form (Documentation/networking/ethtool-netlink.rst, "Bit sets").
//!
//! A bitset with a mask lists every bit under the mask and marks the set ones with a `VALUE` flag. A bitset without a
//! mask (`NOMASK`, a plain list) names only the set bits and carries *no* `VALUE` flag: reading it as the other kind
//! makes every list empty, which is how time stamping abilities get lost.

use std::collections::BTreeMap;

use crate::Malformed;
use crate::attr::Attrs;
use crate::message::Message;

const NOMASK: u16 = 1;
const BITS: u16 = 3;
const BITS_BIT: u16 = 1;
const BIT_INDEX: u16 = 1;
const BIT_NAME: u16 = 2;
const BIT_VALUE: u16 = 3;

/// Bit name → set. A bit the kernel gives no name is called `bit-N`.
pub fn parse(bitset: Attrs<'_>) -> Result<BTreeMap<String, bool>, Malformed> {
    let list = bitset.has(NOMASK);
    let mut out = BTreeMap::new();
    for bit in bitset.nested(BITS)?.iter().filter(|a| a.kind == BITS_BIT) {
        let bit = bit.nested()?;
        let name = match (bit.text(BIT_NAME), bit.u32(BIT_INDEX)) {
            (Some(name), _) if !name.is_empty() => name,
            (_, Some(index)) => format!("bit-{index}"),
            _ => return Err(Malformed::new("a bit with neither name nor index")),
        };
        out.insert(name, list || bit.has(BIT_VALUE));
    }
    Ok(out)
}

/// The names of the set bits.
pub fn set_names(bitset: Attrs<'_>) -> Result<Vec<String>, Malformed> {
    Ok(parse(bitset)?.into_iter().filter(|(_, on)| *on).map(|(name, _)| name).collect())
}

/// Writes a bitset with a mask that changes one bit.
pub fn change(m: Message, kind: u16, name: &str, on: bool) -> Message {
    m.nest(kind, |m| {
        m.nest(BITS, |m| {
            m.nest(BITS_BIT, |m| {
                let m = m.text(BIT_NAME, name);
                if on { m.attr(BIT_VALUE, &[]) } else { m }
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::attrs;
    use proptest::prelude::*;

    fn bits(m: Message) -> Message {
        m.nest(BITS, |m| {
            m.nest(BITS_BIT, |m| m.u32(BIT_INDEX, 0).text(BIT_NAME, "a").attr(BIT_VALUE, &[]))
                .nest(BITS_BIT, |m| m.u32(BIT_INDEX, 1).text(BIT_NAME, "b"))
                .nest(BITS_BIT, |m| m.u32(BIT_INDEX, 7))
        })
    }

    #[test]
    fn a_masked_set_goes_by_value_and_a_list_by_presence() {
        let masked = attrs(bits);
        let got = parse(Attrs::parse(&masked).unwrap()).unwrap();
        assert_eq!(got, BTreeMap::from([("a".into(), true), ("b".into(), false), ("bit-7".into(), false)]));
        let list = attrs(|m| bits(m.attr(NOMASK, &[])));
        assert_eq!(set_names(Attrs::parse(&list).unwrap()).unwrap(), ["a", "b", "bit-7"]);
    }

    #[test]
    fn a_change_names_its_bit() {
        let bytes = attrs(|m| change(m, 3, "rx-gro", true));
        let got = parse(Attrs::parse(&bytes).unwrap().nested(3).unwrap()).unwrap();
        assert_eq!(got, BTreeMap::from([("rx-gro".into(), true)]));
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_read(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(a) = Attrs::parse(&bytes) {
                let _ = parse(a);
            }
        }
    }
}
