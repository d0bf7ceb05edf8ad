//! The journal: bytes unchanged, and as lines whose checksums are right.

use lowlat_apply::journal::{decode, encode};

use crate::byte;

/// `kind u8 | bytes`.
pub fn run(mut data: &[u8]) {
    let kind = byte(&mut data);
    if kind & 1 == 0 {
        read(data);
        return;
    }
    let mut journal = Vec::new();
    for line in data.split(|b| *b == b'\n') {
        journal.extend(format!("{:08x} ", crc32fast::hash(line)).into_bytes());
        journal.extend(line);
        journal.push(b'\n');
    }
    // Cut off anywhere: what is torn never began.
    let cut = usize::from(kind >> 1).min(journal.len());
    read(&journal);
    read(&journal[..journal.len() - cut]);
}

fn read(journal: &[u8]) {
    let Ok(decoded) = decode(journal) else { return };
    assert_eq!(decoded.whole + decoded.torn, journal.len());
    let again: Vec<u8> = decoded.entries.iter().filter_map(|e| encode(e).ok()).flatten().collect();
    match decode(&again) {
        Ok(once_more) => assert_eq!(once_more.entries, decoded.entries),
        Err(e) => assert!(decoded.entries.is_empty(), "what was read cannot be read again: {e}"),
    }
}
