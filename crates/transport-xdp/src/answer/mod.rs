//! The far end's program: answers the probes of one protocol where they arrive, and leaves everything else to the
//! kernel and so to the far end's sockets.
//!
//! It answers only what the socket path would answer beyond doubt: an unfragmented UDP packet without options or VLAN
//! tag, to this interface's MAC address and one of the given addresses and the port, from a unicast source that is
//! allowed and is not the same port, whose lengths all agree and whose message is a plain probe. Anything else passes,
//! and the sockets decide about it and count it. An answer is the packet that came: as long, swapped, with flag and
//! stamps set, its checksum carried on (RFC 1624), so that what was damaged before stays visibly so.
//!
//! Limits and keys it cannot do: whoever wants those uses the sockets alone.

use std::net::{IpAddr, SocketAddr};

use crate::asm::{
    Asm, AsmError, HELPER_KTIME_GET_NS, Label, R0, R1, R2, R4, R5, R6, R7, R8, R9, Slot, Width, half, word,
};
use crate::frame::{ETH_LEN, IPV4_LEN, IPV6_LEN, Mac, UDP_LEN};
use crate::program::{Action, IPPROTO_UDP, at, md};

/// Most addresses, and most allowed ranges: the program has a few instructions for each.
pub(crate) const MOST: usize = 64;

/// A range of source addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Its first address.
    pub ip: IpAddr,
    /// Bits that count.
    pub prefix: u8,
}

/// What a probe looks like in the message, and how it becomes an answer. All numbers in it are little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wire {
    /// The first four bytes of every message.
    pub magic: [u8; 4],
    /// The next four bytes of a probe.
    pub probe: [u8; 4],
    /// The same of its answer.
    pub answer: [u8; 4],
    /// Where the message's own length stands, 4 bytes.
    pub length_at: usize,
    /// Where the answer has the time of its arrival, 8 bytes, and behind it the time of its leaving.
    pub stamps_at: usize,
    /// Shortest message.
    pub shortest: usize,
}

/// What is answered.
#[derive(Debug, Clone)]
pub struct Answers {
    /// Addresses and ports.
    pub to: Vec<SocketAddr>,
    /// Sources; empty for all.
    pub from: Vec<Range>,
    /// The protocol.
    pub wire: Wire,
}

/// Why there is no such program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoProgram {
    #[error("{0} are more than the {MOST} that the program has room for")]
    TooMany(&'static str),
    #[error("the protocol's numbers are little-endian, and this processor is not")]
    BigEndian,
    #[error("{0}")]
    Asm(#[from] AsmError),
}

/// Offsets of one IP family.
#[derive(Debug, Clone, Copy)]
struct Family {
    ethertype: [u8; 2],
    /// 16-bit length in the IP header, and what it does not count.
    length: i16,
    uncounted: usize,
    source: i16,
    destination: i16,
    /// Bytes of an address.
    address: i16,
    /// The UDP header.
    ports: i16,
}

const V4: Family = Family {
    ethertype: [0x08, 0x00],
    length: 16,
    uncounted: ETH_LEN,
    source: at::V4_SOURCE,
    destination: at::V4_DESTINATION,
    address: 4,
    ports: at::V4_PORTS,
};
const V6: Family = Family {
    ethertype: [0x86, 0xdd],
    length: 18,
    uncounted: ETH_LEN + IPV6_LEN,
    source: at::V6_SOURCE,
    destination: at::V6_DESTINATION,
    address: 16,
    ports: at::V6_PORTS,
};

/// The program for an interface with address `mac`; answers are counted in the map behind `counter_fd`.
///
/// Registers: r6 the packet, r7 one past its end, r8 when it came, r9 the difference that the checksum needs.
pub(crate) fn program(answers: &Answers, mac: Mac, counter_fd: i32) -> Result<Vec<Slot>, NoProgram> {
    if cfg!(target_endian = "big") {
        return Err(NoProgram::BigEndian);
    }
    if answers.to.len() > MOST {
        return Err(NoProgram::TooMany("addresses"));
    }
    if answers.from.len() > MOST {
        return Err(NoProgram::TooMany("allowed ranges"));
    }
    let mut a = Asm::new();
    let pass = a.label();
    a.load(Width::Word, R6, R1, md::DATA);
    a.load(Width::Word, R7, R1, md::DATA_END);
    at_least(&mut a, ETH_LEN + IPV4_LEN + UDP_LEN + answers.wire.shortest, pass);
    // To us, from one: an answer to a multicast address would be many.
    expect(&mut a, Width::Word, 0, word([mac[0], mac[1], mac[2], mac[3]]), pass);
    expect(&mut a, Width::Half, 4, half([mac[4], mac[5]]), pass);
    a.load(Width::Byte, R4, R6, 6).jump_if_any(R4, 1, pass);
    for (family, is_v4) in [(V4, true), (V6, false)] {
        let to: Vec<_> = answers.to.iter().filter(|to| to.is_ipv4() == is_v4).collect();
        let from: Vec<_> = answers.from.iter().filter(|from| from.ip.is_ipv4() == is_v4).collect();
        // The verifier takes no code that is never reached.
        if to.is_empty() || (from.is_empty() && !answers.from.is_empty()) {
            continue;
        }
        let other = a.label();
        expect(&mut a, Width::Half, at::ETHERTYPE, half(family.ethertype), other);
        if is_v4 {
            header_v4(&mut a, pass);
        } else {
            at_least(&mut a, ETH_LEN + IPV6_LEN + UDP_LEN + answers.wire.shortest, pass);
            header_v6(&mut a, pass);
        }
        lengths(&mut a, &family, &answers.wire, pass);
        destination(&mut a, &family, &to, pass);
        allowed(&mut a, &family, &from, pass);
        answer(&mut a, &family, &answers.wire, counter_fd, pass);
        a.place(other);
    }
    a.place(pass);
    a.mov_imm(R0, Action::Pass as i32); // not ours: to the kernel
    a.exit();
    a.finish().map_err(NoProgram::Asm)
}

fn header_v4(a: &mut Asm, pass: Label) {
    expect(a, Width::Byte, at::V4_VERSION_IHL, 0x45, pass); // no options
    a.load(Width::Half, R4, R6, at::V4_FRAGMENT).and32_imm(R4, half([0x3f, 0xff])).jump_unless(R4, 0, pass);
    expect(a, Width::Byte, at::V4_PROTOCOL, IPPROTO_UDP, pass);
    // Nobody to answer to is at 0/8, 127/8, a multicast address or above (RFC 1122, 3.2.1.3).
    a.load(Width::Byte, R4, R6, at::V4_SOURCE);
    a.jump_if(R4, 0, pass).jump_if(R4, 127, pass).jump_if_at_least(R4, 224, pass);
}

fn header_v6(a: &mut Asm, pass: Label) {
    a.load(Width::Byte, R4, R6, 14).and32_imm(R4, 0xf0).jump_unless(R4, 0x60, pass);
    expect(a, Width::Byte, at::V6_NEXT_HEADER, IPPROTO_UDP, pass); // no extension header
    // Nor at a multicast address or in ::/64: the unspecified, the loopback and the mapped ones.
    let unicast = a.label();
    a.load(Width::Byte, R4, R6, at::V6_SOURCE).jump_if(R4, 0xff, pass);
    a.load(Width::Word, R4, R6, at::V6_SOURCE).jump_unless(R4, 0, unicast);
    a.load(Width::Word, R4, R6, at::V6_SOURCE + 4).jump_if(R4, 0, pass);
    a.place(unicast);
    // Without a checksum it is not UDP over IPv6 (RFC 8200, 8.1).
    a.load(Width::Half, R4, R6, at::V6_PORTS + 6).jump_if(R4, 0, pass);
}

/// IP, UDP and the message agree about the packet's length, to the byte.
fn lengths(a: &mut Asm, family: &Family, wire: &Wire, pass: Label) {
    let payload = offset(family.ports, UDP_LEN);
    a.mov(R5, R7).sub(R5, R6);
    a.load(Width::Half, R4, R6, family.length).be16(R4).add_imm(R4, number(family.uncounted));
    a.jump_if_not_equal(R4, R5, pass);
    a.load(Width::Half, R5, R6, family.ports + 4).be16(R5).add_imm(R5, i32::from(family.ports));
    a.jump_if_not_equal(R4, R5, pass);
    a.load(Width::Word, R5, R6, offset(payload, wire.length_at)).add_imm(R5, i32::from(payload));
    a.jump_if_not_equal(R4, R5, pass);
}

/// To one of our addresses and its port, from another port that is one.
fn destination(a: &mut Asm, family: &Family, to: &[&SocketAddr], pass: Label) {
    let ours = a.label();
    for to in to {
        let next = a.label();
        for (i, part) in (0i16..).zip(words(to.ip())) {
            expect(a, Width::Word, family.destination + 4 * i, word(part), next);
        }
        a.load(Width::Half, R4, R6, family.ports + 2).jump_if(R4, half(to.port().to_be_bytes()), ours);
        a.place(next);
    }
    a.jump(pass);
    a.place(ours);
    a.load(Width::Half, R4, R6, family.ports).jump_if(R4, 0, pass);
    a.load(Width::Half, R5, R6, family.ports + 2).sub(R4, R5).jump_if(R4, 0, pass);
}

fn allowed(a: &mut Asm, family: &Family, from: &[&Range], pass: Label) {
    if from.is_empty() {
        return;
    }
    let allowed = a.label();
    for range in from {
        let next = a.label();
        for (i, part) in (0i16..).zip(words(range.ip)) {
            let bits = u32::from(range.prefix).saturating_sub(u32::from(i.unsigned_abs()) * 32).min(32);
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            a.load(Width::Word, R4, R6, family.source + 4 * i).and32_imm(R4, word(mask.to_be_bytes()));
            a.jump_unless(R4, word((u32::from_be_bytes(part) & mask).to_be_bytes()), next);
        }
        a.jump(allowed);
        a.place(next);
    }
    a.jump(pass);
    a.place(allowed);
}

/// Makes the probe its answer and sends it back.
fn answer(a: &mut Asm, family: &Family, wire: &Wire, counter_fd: i32, pass: Label) {
    let payload = offset(family.ports, UDP_LEN);
    let kind = payload + 4;
    expect(a, Width::Word, payload, word(wire.magic), pass);
    expect(a, Width::Word, kind, word(wire.probe), pass);
    a.call(HELPER_KTIME_GET_NS).mov(R8, R0);
    // One's complement: what comes in is added, what goes is added inverted. The sum does not mind the byte order.
    let changed = u64::from(word(wire.answer)) + u64::from(!word(wire.probe));
    a.mov_imm(R9, i32::from(fold(changed)));
    let stamps = offset(payload, wire.stamps_at);
    for i in 0..4 {
        a.load(Width::Word, R4, R6, stamps + 4 * i).xor32_imm(R4, u32::MAX).add(R9, R4);
    }
    a.call(HELPER_KTIME_GET_NS);
    for (to, stamp) in [(stamps, R8), (stamps + 8, R0)] {
        a.mov32(R4, stamp).store(Width::Word, R6, to, R4).add(R9, R4);
        a.mov(R5, stamp).shift_right(R5, 32).store(Width::Word, R6, to + 4, R5).add(R9, R5);
    }
    a.mov_imm(R4, word(wire.answer).cast_signed()).store(Width::Word, R6, kind, R4);
    let without = a.label();
    let check = family.ports + 6;
    a.load(Width::Half, R4, R6, check).jump_if(R4, 0, without);
    a.xor32_imm(R4, 0xffff).add(R9, R4);
    // Twelve numbers of 32 bits at most: below 2³⁶, so below 2²¹, then below 2¹⁷, then 16 bits.
    for _ in 0..3 {
        a.mov(R4, R9).shift_right(R4, 16).and32_imm(R9, 0xffff).add(R9, R4);
    }
    let nonzero = a.label();
    a.xor32_imm(R9, 0xffff).jump_unless(R9, 0, nonzero);
    a.mov_imm(R9, 0xffff); // RFC 768: 0 says "no checksum"
    a.place(nonzero);
    a.store(Width::Half, R6, check, R9);
    a.place(without);
    for i in (0..family.address).step_by(4) {
        swap(a, Width::Word, family.source + i, family.destination + i);
    }
    swap(a, Width::Half, family.ports, family.ports + 2);
    for i in 0..3 {
        swap(a, Width::Half, 2 * i, 6 + 2 * i); // MAC addresses
    }
    a.map_value(R1, counter_fd).mov_imm(R2, 1).atomic_add(R1, 0, R2);
    a.mov_imm(R0, Action::Tx as i32).exit();
}

/// Goes on only when the packet has at least `len` bytes: the verifier wants every load in bounds.
fn at_least(a: &mut Asm, len: usize, otherwise: Label) {
    a.mov(R5, R6).add_imm(R5, number(len)).jump_if_greater(R5, R7, otherwise);
}

/// Goes on only when the field at `off` is `want`.
fn expect(a: &mut Asm, width: Width, off: i16, want: u32, otherwise: Label) {
    a.load(width, R4, R6, off).jump_unless(R4, want, otherwise);
}

/// Exchanges two fields.
fn swap(a: &mut Asm, width: Width, x: i16, y: i16) {
    a.load(width, R4, R6, x).load(width, R5, R6, y).store(width, R6, x, R5).store(width, R6, y, R4);
}

/// An address as text of four bytes.
fn words(ip: IpAddr) -> Vec<[u8; 4]> {
    match ip {
        IpAddr::V4(ip) => vec![ip.octets()],
        IpAddr::V6(ip) => ip.octets().as_chunks::<4>().0.to_vec(),
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)] // header lengths, below 200
fn number(len: usize) -> i32 {
    len as i32
}

#[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)] // as above
fn offset(base: i16, by: usize) -> i16 {
    base + by as i16
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    #[allow(clippy::cast_possible_truncation)] // by the loop
    let sum = sum as u16;
    sum
}

#[cfg(test)]
mod tests;
