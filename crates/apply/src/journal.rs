//! The journal's bytes: one line per entry, `crc32-in-hex SPACE json NEWLINE`, append-only.
//!
//! The newline is the last byte of an entry, so an entry without one is a write that was cut off, and because an
//! intent is flushed before its write begins, the write it announced never began. Anything else that does not check
//! (a flipped bit, a line from elsewhere, a hole) is damage: the reader refuses the file and names the line, for a
//! rollback that guesses is worse than none.

use lowlat_model::journal::JournalEntry;

/// Why a journal cannot be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// A line's checksum, framing or order is wrong.
    #[error("line {line} is corrupt: {why}; nothing was changed; its .rollback.sh puts the settings back by hand")]
    Corrupt {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// It records a write that lowlat cannot have made.
    #[error("{0}; nothing was changed; find out who wrote it before you trust its script")]
    Foreign(String),
    /// Written by a newer lowlat, or not a journal.
    #[error("line 1: {0}; nothing was changed")]
    Schema(String),
}

/// The entries of a journal and what was cut off.
#[derive(Debug, Clone, PartialEq)]
pub struct DecodedJournal {
    /// Whole entries, in order. Empty if even the first was cut off: the transaction never began.
    pub entries: Vec<JournalEntry>,
    /// Bytes that hold whole entries; what comes after them is a cut-off one.
    pub whole: usize,
    /// Length of the cut-off last entry, 0 if there is none.
    pub torn: usize,
}

/// One entry as its line.
pub fn encode(entry: &JournalEntry) -> std::io::Result<Vec<u8>> {
    let json = serde_json::to_vec(entry)?;
    let mut line = format!("{:08x} ", crc32fast::hash(&json)).into_bytes();
    line.extend_from_slice(&json);
    line.push(b'\n');
    Ok(line)
}

/// Reads a journal's bytes.
pub fn decode(bytes: &[u8]) -> Result<DecodedJournal, JournalError> {
    let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    let mut entries = Vec::new();
    for (n, line) in bytes[..whole].split_inclusive(|b| *b == b'\n').enumerate() {
        let corrupt = |why: String| JournalError::Corrupt { line: n + 1, why };
        let json = checked(&line[..line.len() - 1]).map_err(corrupt)?;
        if n == 0 {
            expect_schema(json)?;
        }
        entries.push(
            serde_json::from_slice(json)
                .map_err(|e| corrupt(format!("its checksum is right and its content is not: {e}")))?,
        );
    }
    // A cut-off entry is the beginning of one, and JSON has no control character: zeros are what a file system leaves of
    // blocks that it lost, and may have been whole entries.
    if bytes[whole..].iter().any(u8::is_ascii_control) {
        let why = "its end holds bytes that no entry has".to_owned();
        return Err(JournalError::Corrupt { line: entries.len() + 1, why });
    }
    Ok(DecodedJournal { entries, whole, torn: bytes.len() - whole })
}

fn checked(line: &[u8]) -> Result<&[u8], String> {
    let framing = || "it is not `checksum json`".to_owned();
    let (sum, json) = line.split_at_checked(9).ok_or_else(framing)?;
    let sum = std::str::from_utf8(sum).ok().and_then(|s| s.strip_suffix(' ')).ok_or_else(framing)?;
    let written = u32::from_str_radix(sum, 16).map_err(|_| framing())?;
    let found = crc32fast::hash(json);
    if written != found || sum.bytes().any(|b| b.is_ascii_uppercase() || b == b'+') {
        return Err(format!("its checksum says {sum}, its content {found:08x}"));
    }
    Ok(json)
}

/// The version is looked at before the entry is parsed: a newer one may have entries this lowlat does not know.
fn expect_schema(json: &[u8]) -> Result<(), JournalError> {
    #[derive(serde::Deserialize)]
    struct First {
        entry: String,
        schema: Option<lowlat_model::Schema>,
    }
    let first: First = serde_json::from_slice(json)
        .map_err(|e| JournalError::Corrupt { line: 1, why: format!("it is not an entry: {e}") })?;
    match first.schema {
        Some(schema) if first.entry == "begin" => schema.expect("journal").map_err(JournalError::Schema),
        _ => Err(JournalError::Corrupt { line: 1, why: "it does not begin a transaction".to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use lowlat_model::Schema;

    use super::*;

    fn sample() -> Vec<u8> {
        let begin = JournalEntry::Begin {
            schema: Schema::current("journal"),
            transaction: "t".into(),
            boot_id: "b".into(),
            netns: 1,
            netns_cookie: None,
            pid: 2,
            at_unix_ns: 3,
        };
        let mut bytes = encode(&begin).unwrap();
        bytes.extend(encode(&JournalEntry::Confirmed { at_unix_ns: 4 }).unwrap());
        bytes.extend(encode(&JournalEntry::Closed { at_unix_ns: 5 }).unwrap());
        bytes
    }

    #[test]
    fn every_cut_is_torn_and_never_corrupt() {
        let bytes = sample();
        for cut in 0..=bytes.len() {
            let d = decode(&bytes[..cut]).unwrap();
            assert_eq!(d.whole + d.torn, cut);
            assert_eq!(d.entries.len(), bytes[..cut].split(|b| *b == b'\n').count() - 1);
        }
    }

    #[test]
    fn a_zeroed_end_is_not_a_cut() {
        let bytes = sample();
        let second = bytes.iter().position(|b| *b == b'\n').unwrap() + 1;
        for from in [0, 5, second, second + 3, bytes.len() - 1] {
            let mut bad = bytes.clone();
            bad[from..].fill(0);
            assert!(matches!(decode(&bad), Err(JournalError::Corrupt { .. })), "zeros from byte {from}");
        }
    }

    #[test]
    fn every_flipped_bit_of_a_whole_line_is_found() {
        let bytes = sample();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut bad = bytes.clone();
                bad[at] ^= 1 << bit;
                // Only the very last newline can go missing unnoticed: then the last entry counts as cut off.
                match decode(&bad) {
                    Err(_) => {}
                    Ok(d) => assert!(at == bytes.len() - 1 && d.torn > 0, "byte {at} bit {bit} went unnoticed"),
                }
            }
        }
    }

    #[test]
    fn a_newer_version_is_named_before_anything_else_is_read() {
        let json = br#"{"entry":"begin","schema":{"name":"lowlat.journal","version":99},"unheard":1}"#;
        let mut line = format!("{:08x} ", crc32fast::hash(json)).into_bytes();
        line.extend_from_slice(json);
        line.push(b'\n');
        let error = decode(&line).unwrap_err();
        assert!(matches!(&error, JournalError::Schema(why) if why.contains("version 99")), "{error}");
    }

    #[test]
    fn the_line_is_named() {
        let mut bytes = sample();
        let second = bytes.iter().position(|b| *b == b'\n').unwrap() + 12;
        bytes[second] ^= 1;
        assert!(matches!(decode(&bytes), Err(JournalError::Corrupt { line: 2, .. })));
    }
}
