//! The full sample log: every probe of a run, compact, streamed, and checked.
//!
//! ```text
//! file   = "lowlatlog" version:u8 head block* end
//! block  = kind:u8 count:u32 length:u32 crc:u32 payload     (crc of all but itself; CRC-32 as in zlib)
//! head   = a block of kind 1: what was measured, as JSON (count 1)
//! probes = a block of kind 2: probe*
//! probe  = zigzag(planned − planned before) zigzag(sent − planned) rtt residence duplicates flags:u8
//! after  = a block of kind 3: (index late:u8)*: one more answer to the probe of that number, which had been written
//! end    = a block of kind 4: total measured warmup cooldown marks:u8: a file without it was cut short
//! ```
//!
//! Numbers in probes and afters are LEB128 varints; `rtt` and `residence` are stored one up, 0 for none; the first
//! `planned` of a block counts from 0, so that blocks can be read on their own. Fixed numbers are little-endian. A
//! probe at a steady rate takes 8 to 11 bytes. What the steady-state test left out is stored in the end mark, because
//! it is known only after the probes were written.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))] // a test may end by panic

pub mod export;
pub mod exported;
mod read;
mod varint;
mod write;

pub use read::{Block, FileReader, Reader, is_log, samples};
pub use write::LogWriter;

use std::io;

const MAGIC: &[u8; 9] = b"lowlatlog";
/// Version 1, of builds before the first release, had neither head nor afters.
const VERSION: u8 = 2;
/// Probes a block: some 40 KiB, so a torn tail costs little and the reader's memory stays flat.
const BLOCK: u32 = 4_096;
/// Longest payload a reader takes: six varints of ten bytes a probe.
const LONGEST: u32 = BLOCK * 60;
/// Bytes before a block's payload.
const BLOCK_HEAD: usize = 13;
/// Bytes of the end mark's payload.
const END: usize = 33;

const HEAD: u8 = 1;
const PROBES: u8 = 2;
const AFTER: u8 = 3;
const LAST: u8 = 4;

/// What the end mark reports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct End {
    /// Probes, warm-up included.
    pub total: u64,
    /// Of them, those not flagged as warm-up.
    pub measured: u64,
    /// Measured probes at the start that the steady-state test left out of the figures.
    pub warmup: u64,
    /// The same at the end.
    pub cooldown: u64,
    /// The run was ended by a signal (mark 1).
    pub interrupted: bool,
    /// The steady-state test could look (mark 2)…
    pub looked: bool,
    /// …and found a steady state (mark 4).
    pub steady: bool,
}

/// Why a log cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Not a log at all.
    #[error("read the sample log: it does not begin like one; give a file that `measure --log` wrote")]
    Foreign,
    /// From a newer lowlat.
    #[error(
        "read the sample log: it has version {0}, this lowlat reads version {VERSION}; use the lowlat that wrote it or a newer one"
    )]
    Newer(u8),
    /// From a lowlat before the first release.
    #[error("read the sample log: it has version {0}, this lowlat reads version {VERSION}; measure again")]
    Older(u8),
    /// The file ends in the middle; all before it was given.
    #[error("read the sample log: it is cut short after {good} probes; they can be used, what came after is lost")]
    Truncated {
        /// Probes before the cut.
        good: u64,
    },
    /// A block is not what was written.
    #[error("read the sample log: the block after probe {good} is damaged ({why}); the probes before it can be used")]
    Corrupt {
        /// Probes before the damage.
        good: u64,
        /// What is wrong.
        why: &'static str,
    },
    /// The disk.
    #[error("read the sample log: {0}; look at the file and its disk")]
    Io(#[from] io::Error),
}

fn crc(head: &[u8], payload: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(head);
    crc.update(payload);
    crc.finalize()
}

#[cfg(test)]
mod tests;
