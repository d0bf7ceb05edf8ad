//! Attributes: `u16` length, `u16` type, payload, padding to four bytes (`struct nlattr`).

use crate::Malformed;

/// Type bits that are flags: `NLA_F_NESTED` and `NLA_F_NET_BYTEORDER` (include/uapi/linux/netlink.h).
const TYPE_MASK: u16 = 0x3fff;
const HEADER: usize = 4;

/// One attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attr<'a> {
    /// Type, flag bits cut.
    pub kind: u16,
    /// Payload.
    pub data: &'a [u8],
}

/// A row of attributes whose bounds have all been checked.
#[derive(Debug, Clone, Copy)]
pub struct Attrs<'a>(&'a [u8]);

/// Rounds up to four.
pub(crate) const fn align(len: usize) -> usize {
    (len + 3) & !3
}

/// The bytes from `at`; empty past the end.
pub(crate) fn tail(bytes: &[u8], at: usize) -> &[u8] {
    bytes.get(at..).unwrap_or_default()
}

/// A native-endian `u16` at `at`.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// A big-endian `u16` at `at`.
pub(crate) fn be16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// A native-endian `u32` at `at`.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn split(bytes: &[u8]) -> Result<Option<(Attr<'_>, &[u8])>, Malformed> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let (Some(len), Some(kind)) = (u16_at(bytes, 0), u16_at(bytes, 2)) else {
        return Err(Malformed::new(format!("{} stray bytes where an attribute should begin", bytes.len())));
    };
    let len = usize::from(len);
    let Some(data) = bytes.get(HEADER..len) else {
        return Err(Malformed::new(format!("attribute {} claims {len} of {} bytes", kind & TYPE_MASK, bytes.len())));
    };
    // The last attribute may come without its padding.
    Ok(Some((Attr { kind: kind & TYPE_MASK, data }, tail(bytes, align(len)))))
}

impl<'a> Attrs<'a> {
    /// Checks a row of attributes from end to end. Zero padding of less than one header at the end is let pass, as the
    /// kernel's own `nla_parse` does.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut rest = bytes;
        loop {
            if rest.len() < HEADER && rest.iter().all(|b| *b == 0) {
                return Ok(Self(bytes));
            }
            match split(rest)? {
                Some((_, next)) => rest = next,
                None => return Ok(Self(bytes)),
            }
        }
    }

    /// The attributes in order.
    pub fn iter(self) -> impl Iterator<Item = Attr<'a>> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (attr, next) = split(rest).ok().flatten()?;
            rest = next;
            Some(attr)
        })
    }

    /// The first attribute of a type.
    pub fn get(self, kind: u16) -> Option<Attr<'a>> {
        self.iter().find(|a| a.kind == kind)
    }

    /// The attributes inside the first attribute of a type; empty where there is none.
    pub fn nested(self, kind: u16) -> Result<Self, Malformed> {
        self.get(kind).map_or(Ok(Self(&[])), Attr::nested)
    }

    /// The first attribute of a type as a `u32`.
    pub fn u32(self, kind: u16) -> Option<u32> {
        self.get(kind)?.u32()
    }

    /// The first attribute of a type as a `u8`.
    pub fn u8(self, kind: u16) -> Option<u8> {
        self.get(kind)?.u8()
    }

    /// The first attribute of a type as text.
    pub fn text(self, kind: u16) -> Option<String> {
        self.get(kind)?.text()
    }

    /// Whether there is an attribute of a type.
    pub fn has(self, kind: u16) -> bool {
        self.get(kind).is_some()
    }
}

impl<'a> Attr<'a> {
    /// The attributes inside.
    pub fn nested(self) -> Result<Attrs<'a>, Malformed> {
        Attrs::parse(self.data)
    }

    /// A `u8`.
    pub fn u8(self) -> Option<u8> {
        self.data.first().copied()
    }

    /// A native-endian `u16`.
    pub fn u16(self) -> Option<u16> {
        u16_at(self.data, 0)
    }

    /// A native-endian `u32`.
    pub fn u32(self) -> Option<u32> {
        u32_at(self.data, 0)
    }

    /// A native-endian `u64`.
    pub fn u64(self) -> Option<u64> {
        Some(u64::from_ne_bytes(self.data.get(..8)?.try_into().ok()?))
    }

    /// A number of four or eight bytes: some attributes grew (`nla_put_uint`, Linux 6.7).
    pub fn uint(self) -> Option<u64> {
        if self.data.len() >= 8 { self.u64() } else { self.u32().map(u64::from) }
    }

    /// Text up to the first zero byte; bytes that are not UTF-8 are replaced, since a device may carry any name.
    pub fn text(self) -> Option<String> {
        let end = self.data.iter().position(|b| *b == 0).unwrap_or(self.data.len());
        Some(String::from_utf8_lossy(self.data.get(..end)?).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_either_refused_or_read_to_the_end(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(attrs) = Attrs::parse(&bytes) {
                let used: usize = attrs.iter().map(|a| align(a.data.len() + HEADER)).sum();
                prop_assert!(used + HEADER > bytes.len(), "only {used} of {} bytes were read", bytes.len());
                for a in attrs.iter() {
                    let _ = (a.u8(), a.u16(), a.u32(), a.u64(), a.uint(), a.text(), a.nested());
                }
            }
        }
    }

    #[test]
    fn a_length_that_runs_over_is_refused() {
        assert!(Attrs::parse(&[9, 0, 1, 0, 1, 2, 3, 4]).is_err());
        assert!(Attrs::parse(&[3, 0, 1, 0]).is_err());
        assert!(Attrs::parse(&[5, 0, 1, 0, 7]).is_ok(), "a last attribute without padding");
        assert!(Attrs::parse(&[5, 0, 1, 0, 7, 0, 0, 0, 9]).is_err(), "a stray byte");
    }
}
