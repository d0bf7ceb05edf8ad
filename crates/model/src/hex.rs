//! Bytes as lower-case hexadecimal text, the form of `QdiscState::options_hex`.

use std::fmt::Write as _;

/// Bytes as text.
pub fn text_of(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for b in bytes {
        // Writing to a String cannot fail.
        let _ = write!(out, "{b:02x}");
    }
    out
}

/// The bytes of a text; `None` if it is not a hexadecimal text of whole bytes.
pub fn bytes_of(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(text.get(i..i + 2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_reads_back(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            prop_assert_eq!(bytes_of(&text_of(&bytes)), Some(bytes));
        }

        #[test]
        fn any_text_is_refused_or_read(s in "\\PC{0,8}") {
            let _ = bytes_of(&s);
        }
    }

    #[test]
    fn signs_and_half_bytes_are_refused() {
        assert_eq!(bytes_of("+1"), None);
        assert_eq!(bytes_of("abc"), None);
        assert_eq!(bytes_of(""), Some(vec![]));
    }
}
