//! LEB128 numbers.

/// A difference modulo 2⁶⁴ as a number that is small when the difference is, either way.
pub(super) fn zigzag(difference: u64) -> u64 {
    (difference << 1) ^ (difference.cast_signed() >> 63).cast_unsigned()
}

pub(super) fn unzigzag(v: u64) -> u64 {
    (v >> 1) ^ (v & 1).wrapping_neg()
}

pub(super) fn put(out: &mut Vec<u8>, mut v: u64) {
    while v >= 0x80 {
        #[allow(clippy::cast_possible_truncation)] // the low seven bits are meant
        out.push(v as u8 | 0x80);
        v >>= 7;
    }
    #[allow(clippy::cast_possible_truncation)] // below 0x80
    out.push(v as u8);
}

/// Most numbers of a log take one to three bytes.
#[inline]
pub(super) fn take(from: &mut &[u8]) -> Option<u64> {
    let (&first, rest) = from.split_first()?;
    if first < 0x80 {
        *from = rest;
        return Some(u64::from(first));
    }
    let mut v = u64::from(first & 0x7f);
    let mut shift = 7;
    for (i, &byte) in rest.iter().enumerate().take(9) {
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return None;
        }
        v |= bits << shift;
        if byte < 0x80 {
            *from = &rest[i + 1..];
            return Some(v);
        }
        shift += 7;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_number_comes_back(v in any::<u64>(), small in 0u64..1_000) {
            for v in [v, small, u64::MAX - small, v >> (small % 64)] {
                let mut bytes = Vec::new();
                put(&mut bytes, v);
                put(&mut bytes, zigzag(v));
                let mut rest = bytes.as_slice();
                prop_assert_eq!(take(&mut rest), Some(v));
                prop_assert_eq!(take(&mut rest).map(unzigzag), Some(v));
                prop_assert!(rest.is_empty());
                let cut = &bytes[..bytes.len() - 1];
                let mut rest = cut;
                let _ = take(&mut rest);
                prop_assert_eq!(take(&mut rest), None);
            }
        }
    }

    #[test]
    fn what_is_not_an_u64_is_refused() {
        for bad in [&[0xffu8; 10][..], &[0x80; 9], &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02]] {
            assert_eq!(take(&mut &*bad), None, "{bad:?}");
        }
    }
}
