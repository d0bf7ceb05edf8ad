//! A key shared by both ends, and the tags made with it.

use hmac::{Hmac, Mac};
use md5::Md5;
use sha2::Sha256;

/// Length of a tag: HMAC-SHA256 cut to 128 bits (as RFC 8762 §4.4 does), and of the whole of HMAC-MD5.
pub const TAG: usize = 16;

/// A shared key. Never printed.
#[derive(Clone)]
pub struct Key {
    // The keyed state is made once: a tag then costs two hash blocks less, and nothing is allocated.
    sha: Hmac<Sha256>,
    md5: Hmac<Md5>,
}

impl Key {
    /// A key from its bytes; `None` if there are none, since an empty key keeps nobody out.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() {
            return None;
        }
        Some(Self { sha: Hmac::new_from_slice(bytes).ok()?, md5: Hmac::new_from_slice(bytes).ok()? })
    }

    /// HMAC-SHA256 over `parts` in order, cut to [`TAG`] bytes.
    pub(crate) fn tag(&self, parts: &[&[u8]]) -> [u8; TAG] {
        let mut mac = self.sha.clone();
        for part in parts {
            mac.update(part);
        }
        let whole = mac.finalize().into_bytes();
        let mut tag = [0; TAG];
        tag.copy_from_slice(&whole[..TAG]);
        tag
    }

    /// Whether `tag` is that of `parts`, in a time that does not depend on where it differs.
    pub(crate) fn verify(&self, parts: &[&[u8]], tag: &[u8; TAG]) -> bool {
        let mut mac = self.sha.clone();
        for part in parts {
            mac.update(part);
        }
        mac.verify_truncated_left(tag).is_ok()
    }

    /// HMAC-MD5 over `parts` in order (IRTT's).
    pub(crate) fn md5_tag(&self, parts: &[&[u8]]) -> [u8; TAG] {
        let mut mac = self.md5.clone();
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    /// As [`Key::verify`], for HMAC-MD5.
    pub(crate) fn md5_verify(&self, parts: &[&[u8]], tag: &[u8; TAG]) -> bool {
        let mut mac = self.md5.clone();
        for part in parts {
            mac.update(part);
        }
        mac.verify_slice(tag).is_ok()
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231 §4.3 and RFC 2202 §2, test case 2 of both.
    #[test]
    fn tags_are_those_of_the_rfcs() {
        let key = Key::new(b"Jefe").unwrap();
        let parts: [&[u8]; 2] = [b"what do ya want ", b"for nothing?"];
        let sha = [0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e, 0x6a, 0x04, 0x24, 0x26, 0x08, 0x95, 0x75, 0xc7];
        let md5 = [0x75, 0x0c, 0x78, 0x3e, 0x6a, 0xb0, 0xb5, 0x03, 0xea, 0xa8, 0x6e, 0x31, 0x0a, 0x5d, 0xb7, 0x38];
        assert_eq!(key.tag(&parts), sha);
        assert_eq!(key.md5_tag(&parts), md5);
        assert!(key.verify(&parts, &sha) && key.md5_verify(&parts, &md5));
        assert!(!key.verify(&parts[..1], &sha) && !key.md5_verify(&parts[..1], &md5));
        assert!(Key::new(b"").is_none());
    }
}
