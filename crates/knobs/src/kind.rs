//! Queue disciplines as `qdisc.kind` writes and reads them.

use std::fmt::Write as _;

use lowlat_model::State;
use lowlat_model::op::QdiscState;

/// Kinds that `qdisc.kind` may put in place: classless, acting with default options.
pub const SETTABLE: &[&str] = &["fq", "fq_codel", "codel", "pfifo_fast", "pfifo", "bfifo", "noqueue"];

/// Those of them whose options are one number, `struct tc_fifo_qopt` (include/uapi/linux/pkt_sched.h): the limit, in
/// packets for pfifo and in bytes for bfifo (net/sched/sch_fifo.c, `fifo_init` and `fifo_dump`).
const LIMITED: &[&str] = &["pfifo", "bfifo"];

/// The state that a value asks for.
pub(crate) fn encode_kind(want: &str) -> Result<State, String> {
    let state = |kind: &str, handle: &str, limit: Option<u32>| {
        Ok(State::Qdisc(QdiscState {
            kind: kind.into(),
            handle: handle.into(),
            options_hex: limit.map_or_else(String::new, |n| hex(&n.to_ne_bytes())),
            summary: limit.map_or_else(String::new, |n| format!("limit {n}")),
            carries: Vec::new(),
        }))
    };
    let words: Vec<&str> = want.split_whitespace().collect();
    match words.as_slice() {
        // What the kernel makes by itself has handle 0:, and deleting what is in its place brings it back.
        ["default"] => state("", "0:", None),
        [kind] if SETTABLE.contains(kind) => state(kind, "", None),
        [kind, "limit", n] if LIMITED.contains(kind) => match n.parse::<u32>() {
            // A limit of 0 would drop every packet.
            Ok(n) if n > 0 => state(kind, "", Some(n)),
            _ => Err("a limit is a whole number from 1".to_owned()),
        },
        _ => Err(format!("it takes default, {}, or {} with `limit N`", SETTABLE.join(", "), LIMITED.join(" or "))),
    }
}

/// A discipline as `qdisc.kind` writes it: with its limit, where that is all it has.
pub(crate) fn decode_kind(q: &QdiscState) -> String {
    match (LIMITED.contains(&q.kind.as_str()), limit_of(&q.options_hex)) {
        (true, Some(limit)) => format!("{} limit {limit}", q.kind),
        _ => q.kind.clone(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, b| {
        let _ = write!(out, "{b:02x}");
        out
    })
}

fn limit_of(options_hex: &str) -> Option<u32> {
    // Hexadecimal text is in memory order, as big-endian numbers are.
    let bytes = u32::from_str_radix(options_hex, 16).ok().filter(|_| options_hex.len() == 8)?;
    Some(u32::from_ne_bytes(bytes.to_be_bytes()))
}
