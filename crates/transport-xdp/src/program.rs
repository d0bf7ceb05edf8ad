//! The XDP program: hands the packets of one UDP flow to the AF_XDP sockets and everything else to the kernel.
//!
//! It compares addresses and ports of both ends, so that nothing but the answers of the probe's own far end leaves the
//! kernel's path. Packets with IPv4 options, IPv6 extension headers and fragments are not ours by definition (the engine
//! never asks for them) and pass; so do packets with a VLAN tag, unless the flow is one of that VLAN. The answers of such a
//! flow may have lost their tag before the program sees them (see [`crate::frame`]).

use std::net::{IpAddr, SocketAddr};

use crate::asm::{Asm, AsmError, HELPER_REDIRECT_MAP, R0, R1, R2, R3, R4, R5, R6, Slot, Width, half, word};
use crate::frame::{DOT1Q, ETH_LEN, IPV4_LEN, IPV6_LEN, TAG_LEN, UDP_LEN, VLAN_ID};

/// What happens to a packet (`enum xdp_action`, include/uapi/linux/bpf.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Action {
    /// Dropped: lets a test tell a match from the rest.
    #[cfg(test)]
    Drop = 1,
    /// To the kernel, as if there were no program.
    Pass = 2,
    /// Back out of the interface it came from.
    Tx = 3,
}

/// Offsets into `struct xdp_md`.
pub(crate) mod md {
    pub(crate) const DATA: i16 = 0;
    pub(crate) const DATA_END: i16 = 4;
    pub(crate) const RX_QUEUE_INDEX: i16 = 16;
}

/// Offsets of what the program looks at, without a tag: the IP header starts right behind the Ethernet header.
pub(crate) mod at {
    pub(crate) const ETHERTYPE: i16 = 12;
    pub(crate) const TAG_CONTROL: i16 = 14;
    pub(crate) const V4_VERSION_IHL: i16 = 14;
    pub(crate) const V4_FRAGMENT: i16 = 20;
    pub(crate) const V4_PROTOCOL: i16 = 23;
    pub(crate) const V4_SOURCE: i16 = 26;
    pub(crate) const V4_DESTINATION: i16 = 30;
    pub(crate) const V4_PORTS: i16 = 34;
    pub(crate) const V6_NEXT_HEADER: i16 = 20;
    pub(crate) const V6_SOURCE: i16 = 22;
    pub(crate) const V6_DESTINATION: i16 = 38;
    pub(crate) const V6_PORTS: i16 = 54;
}

pub(crate) const IPPROTO_UDP: u32 = 17;

/// The program for the flow `remote` → `local`, in VLAN `vlan` if it is in one: matches go to the socket of their RX queue
/// in the XSKMAP `map_fd`; those of a queue without a socket, to `without_socket` (the flags argument of
/// `bpf_redirect_map`, Linux 5.3).
pub(crate) fn redirect_flow(
    remote: SocketAddr,
    local: SocketAddr,
    vlan: Option<u16>,
    map_fd: i32,
    without_socket: Action,
) -> Result<Vec<Slot>, AsmError> {
    let mut a = Asm::new();
    let (pass, ours) = (a.label(), a.label());
    a.mov(R6, R1); // keep the context over the checks
    a.load(Width::Word, R2, R1, md::DATA); // r2: first byte of the packet
    a.load(Width::Word, R3, R1, md::DATA_END); // r3: one past its last
    if let Some(id) = vlan {
        let untagged = a.label();
        longer_than(&mut a, ETH_LEN + TAG_LEN, pass); // the verifier wants every load below in bounds
        equal(&mut a, Width::Half, at::ETHERTYPE, half(DOT1Q), untagged); // a tag in the data
        a.load(Width::Half, R4, R2, at::TAG_CONTROL); // priority and identifier
        a.and32_imm(R4, half(VLAN_ID.to_be_bytes())); // the identifier
        a.jump_unless(R4, half(id.to_be_bytes()), pass); // of this VLAN
        is_flow(&mut a, remote, local, TAG_LEN, pass);
        a.jump(ours);
        a.place(untagged);
    }
    is_flow(&mut a, remote, local, 0, pass);
    a.place(ours);
    a.map_fd(R1, map_fd); // the XSKMAP
    a.load(Width::Word, R2, R6, md::RX_QUEUE_INDEX); // its key: the queue the packet came in on
    a.mov_imm(R3, without_socket as i32); // flags: what to return when the key has no socket
    a.call(HELPER_REDIRECT_MAP); // r0 = XDP_REDIRECT, or the flags
    a.exit();
    a.place(pass);
    a.mov_imm(R0, Action::Pass as i32); // not ours: to the kernel
    a.exit();
    a.finish()
}

/// Goes on only when the packet is of the flow, behind an Ethernet header that is `tag` bytes longer than without one.
fn is_flow(a: &mut Asm, remote: SocketAddr, local: SocketAddr, tag: usize, pass: crate::asm::Label) {
    #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)] // 0 or 4
    let by = tag as i16;
    let ports = [remote.port().to_be_bytes(), local.port().to_be_bytes()].concat();
    let ports = word([ports[0], ports[1], ports[2], ports[3]]);
    match (remote.ip(), local.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            longer_than(a, ETH_LEN + tag + IPV4_LEN + UDP_LEN, pass); // the verifier wants every load below in bounds
            equal(a, Width::Half, at::ETHERTYPE + by, half([0x08, 0x00]), pass); // IPv4
            equal(a, Width::Byte, at::V4_VERSION_IHL + by, 0x45, pass); // no options
            a.load(Width::Half, R4, R2, at::V4_FRAGMENT + by); // flags and fragment offset
            a.and32_imm(R4, half([0x3f, 0xff])); // more-fragments, offset
            a.jump_unless(R4, 0, pass); // a fragment is not ours
            equal(a, Width::Byte, at::V4_PROTOCOL + by, IPPROTO_UDP, pass); // UDP
            equal(a, Width::Word, at::V4_SOURCE + by, word(from.octets()), pass); // from the far end
            equal(a, Width::Word, at::V4_DESTINATION + by, word(to.octets()), pass); // to us
            equal(a, Width::Word, at::V4_PORTS + by, ports, pass); // both ports at once
        }
        (from, to) => {
            let (from, to) = (v6(from), v6(to));
            longer_than(a, ETH_LEN + tag + IPV6_LEN + UDP_LEN, pass); // the verifier wants every load below in bounds
            equal(a, Width::Half, at::ETHERTYPE + by, half([0x86, 0xdd]), pass); // IPv6
            equal(a, Width::Byte, at::V6_NEXT_HEADER + by, IPPROTO_UDP, pass); // UDP, no extension header
            equal_16(a, at::V6_SOURCE + by, from, pass); // from the far end
            equal_16(a, at::V6_DESTINATION + by, to, pass); // to us
            equal(a, Width::Word, at::V6_PORTS + by, ports, pass); // both ports at once
        }
    }
}

/// The program of the far end: sends every UDP packet for `local` straight back out, addresses and ports swapped.
/// Swapping leaves the IPv4 and the UDP checksum right unchanged, because both are sums.
pub(crate) fn reflect(local: SocketAddr) -> Result<Vec<Slot>, AsmError> {
    let mut a = Asm::new();
    let pass = a.label();
    a.load(Width::Word, R2, R1, md::DATA); // r2: first byte of the packet
    a.load(Width::Word, R3, R1, md::DATA_END); // r3: one past its last
    let port = half(local.port().to_be_bytes());
    match local.ip() {
        IpAddr::V4(ip) => {
            longer_than(&mut a, ETH_LEN + IPV4_LEN + UDP_LEN, pass); // the verifier wants every load below in bounds
            equal(&mut a, Width::Half, at::ETHERTYPE, half([0x08, 0x00]), pass); // IPv4
            equal(&mut a, Width::Byte, at::V4_VERSION_IHL, 0x45, pass); // no options
            a.load(Width::Half, R4, R2, at::V4_FRAGMENT); // flags and fragment offset
            a.and32_imm(R4, half([0x3f, 0xff])); // more-fragments, offset
            a.jump_unless(R4, 0, pass); // a fragment is not ours
            equal(&mut a, Width::Byte, at::V4_PROTOCOL, IPPROTO_UDP, pass); // UDP
            equal(&mut a, Width::Word, at::V4_DESTINATION, word(ip.octets()), pass); // to us
            equal(&mut a, Width::Half, at::V4_PORTS + 2, port, pass); // to our port
            swap(&mut a, Width::Word, at::V4_SOURCE, at::V4_DESTINATION); // IP addresses
            swap(&mut a, Width::Half, at::V4_PORTS, at::V4_PORTS + 2); // ports
        }
        IpAddr::V6(ip) => {
            longer_than(&mut a, ETH_LEN + IPV6_LEN + UDP_LEN, pass); // the verifier wants every load below in bounds
            equal(&mut a, Width::Half, at::ETHERTYPE, half([0x86, 0xdd]), pass); // IPv6
            equal(&mut a, Width::Byte, at::V6_NEXT_HEADER, IPPROTO_UDP, pass); // UDP, no extension header
            equal_16(&mut a, at::V6_DESTINATION, ip.octets(), pass); // to us
            equal(&mut a, Width::Half, at::V6_PORTS + 2, port, pass); // to our port
            for i in 0..4 {
                swap(&mut a, Width::Word, at::V6_SOURCE + 4 * i, at::V6_DESTINATION + 4 * i); // IP addresses
            }
            swap(&mut a, Width::Half, at::V6_PORTS, at::V6_PORTS + 2); // ports
        }
    }
    for i in 0..3 {
        swap(&mut a, Width::Half, 2 * i, 6 + 2 * i); // MAC addresses
    }
    a.mov_imm(R0, Action::Tx as i32); // back out
    a.exit();
    a.place(pass);
    a.mov_imm(R0, Action::Pass as i32); // not ours: to the kernel
    a.exit();
    a.finish()
}

/// Goes on only when the packet has at least `len` bytes.
pub(crate) fn longer_than(a: &mut Asm, len: usize, otherwise: crate::asm::Label) {
    #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)] // a header length, below 100
    let len = len as i32;
    a.mov(R5, R2); // r5 = data
    a.add_imm(R5, len); // r5 = data + len
    a.jump_if_greater(R5, R3, otherwise); // shorter: not ours
}

/// Goes on only when the field at `off` is `want`.
pub(crate) fn equal(a: &mut Asm, width: Width, off: i16, want: u32, otherwise: crate::asm::Label) {
    a.load(width, R4, R2, off);
    a.jump_unless(R4, want, otherwise);
}

/// Goes on only when the 16 bytes at `off` are `want`.
pub(crate) fn equal_16(a: &mut Asm, off: i16, want: [u8; 16], otherwise: crate::asm::Label) {
    for (i, chunk) in (0i16..).zip(want.as_chunks::<4>().0) {
        equal(a, Width::Word, off + 4 * i, word(*chunk), otherwise);
    }
}

/// Exchanges two fields.
pub(crate) fn swap(a: &mut Asm, width: Width, x: i16, y: i16) {
    a.load(width, R4, R2, x);
    a.load(width, R5, R2, y);
    a.store(width, R2, x, R5);
    a.store(width, R2, y, R4);
}

/// An address as IPv6 (a mixed pair cannot occur: the engine checks the families).
fn v6(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// On the kernel's own verifier and runner (`BPF_PROG_TEST_RUN`), without an interface. These need root.
#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;
    use crate::bpf;
    use crate::frame::{Flow, Tag};

    const LOCAL: [&str; 2] = ["10.1.2.3:40000", "[fd00:1:2:3:4:5:6:7]:40000"];
    const REMOTE: [&str; 2] = ["10.1.2.4:7", "[fd00:1:2:3:4:5:6:8]:7"];

    fn root() -> bool {
        match bpf::xskmap(1) {
            Ok(_) => true,
            Err(e) if std::env::var_os("LOWLAT_REQUIRE_ROOT").is_some() => panic!("needs root: {e}"),
            Err(e) => {
                eprintln!("NOT RUN: {e}");
                false
            }
        }
    }

    fn ends(i: usize) -> (SocketAddr, SocketAddr) {
        (LOCAL[i].parse().unwrap(), REMOTE[i].parse().unwrap())
    }

    fn frame_from(remote: SocketAddr, local: SocketAddr) -> Vec<u8> {
        let mut frame = [0; 256];
        let len = Flow::new(remote, local, [2; 6], [4; 6], 0).unwrap().write(b"an answer", &mut frame).unwrap();
        frame[..len].to_vec()
    }

    #[test]
    fn only_the_flow_is_taken_and_every_other_packet_passes() {
        if !root() {
            return;
        }
        for i in 0..2 {
            let (local, remote) = ends(i);
            let map = bpf::xskmap(1).unwrap();
            // The map is empty, so a match gives the "without a socket" verdict.
            let program = redirect_flow(remote, local, None, map.as_raw_fd(), Action::Drop).unwrap();
            let program = bpf::load(&program, "test").unwrap();
            let verdict = |packet: &[u8]| bpf::test_run(&program, packet).unwrap().0;
            let ours = frame_from(remote, local);
            assert_eq!(verdict(&ours), Action::Drop as u32, "our own flow");

            let mut other = remote;
            other.set_port(8);
            assert_eq!(verdict(&frame_from(other, local)), Action::Pass as u32, "another port of the far end");
            other = local;
            other.set_port(40001);
            assert_eq!(verdict(&frame_from(remote, other)), Action::Pass as u32, "another port of ours");
            assert_eq!(verdict(&frame_from(local, remote)), Action::Pass as u32, "our own direction");
            assert_eq!(verdict(&frame_from(ends(1 - i).1, ends(1 - i).0)), Action::Pass as u32, "the other family");
            // Each bit of each compared byte matters: Ethernet type to ports, without what a sender may choose.
            let free: &[std::ops::Range<usize>] = if i == 0 { &[15..20, 22..23, 24..26] } else { &[14..20, 21..22] };
            for at in 12..(if i == 0 { 38 } else { 58 }) {
                if free.iter().any(|f| f.contains(&at)) {
                    continue;
                }
                for bit in 0..8 {
                    let mut changed = ours.clone();
                    changed[at] ^= 1 << bit;
                    let unfragmented = i == 0 && at == 20 && bit >= 6; // don't-fragment and the reserved flag
                    let want = if unfragmented { Action::Drop } else { Action::Pass };
                    assert_eq!(verdict(&changed), want as u32, "family {i}, byte {at}, bit {bit}");
                }
            }
            for len in [14, 20, 30, 41] {
                assert_eq!(verdict(&ours[..len]), Action::Pass as u32, "cut to {len}");
            }
        }
    }

    #[test]
    fn a_flow_of_a_vlan_is_taken_with_its_tag_and_where_the_device_took_it_off() {
        if !root() {
            return;
        }
        for i in 0..2 {
            let (local, remote) = ends(i);
            let map = bpf::xskmap(1).unwrap();
            let program = redirect_flow(remote, local, Some(7), map.as_raw_fd(), Action::Drop).unwrap();
            let program = bpf::load(&program, "test").unwrap();
            let verdict = |packet: &[u8]| bpf::test_run(&program, packet).unwrap().0;
            let tagged = |id| {
                let flow = Flow::new(remote, local, [2; 6], [4; 6], 0).unwrap().in_vlan(Tag { id, code_point: 3 });
                let mut frame = [0; 256];
                let len = flow.write(b"an answer", &mut frame).unwrap();
                frame[..len].to_vec()
            };
            let ours = tagged(7);
            assert_eq!(verdict(&ours), Action::Drop as u32, "in its VLAN");
            assert_eq!(verdict(&frame_from(remote, local)), Action::Drop as u32, "without the tag");
            assert_eq!(verdict(&tagged(8)), Action::Pass as u32, "in another VLAN");
            let mut twice = ours.clone();
            twice.splice(12..12, [0x81, 0x00, 0x00, 0x07]);
            assert_eq!(verdict(&twice), Action::Pass as u32, "two tags");
            let mut other = local;
            other.set_port(40001);
            assert_eq!(verdict(&frame_from(remote, other)), Action::Pass as u32, "another port, without the tag");
            for at in 16..(if i == 0 { 42 } else { 62 }) {
                let mut changed = ours.clone();
                changed[at] ^= 0x10;
                let free: &[std::ops::Range<usize>] =
                    if i == 0 { &[19..24, 26..27, 28..30] } else { &[18..24, 25..26] };
                let want = if free.iter().any(|f| f.contains(&at)) { Action::Drop } else { Action::Pass };
                assert_eq!(verdict(&changed), want as u32, "family {i}, byte {at}");
            }
            for len in [14, 17, 18, 22, 45] {
                assert_eq!(verdict(&ours[..len]), Action::Pass as u32, "cut to {len}");
            }
        }
    }

    #[test]
    fn the_reflector_swaps_both_ends_and_leaves_the_checksums_right() {
        if !root() {
            return;
        }
        for i in 0..2 {
            let (local, remote) = ends(i);
            let program = bpf::load(&reflect(local).unwrap(), "test").unwrap();
            let (verdict, back) = bpf::test_run(&program, &frame_from(remote, local)).unwrap();
            assert_eq!(verdict, Action::Tx as u32);
            // The answer as the far end's own headers would carry it, checksums included.
            let want = {
                let mut frame = [0; 256];
                let flow = Flow::new(local, remote, [4; 6], [2; 6], 0).unwrap();
                let len = flow.write(b"an answer", &mut frame).unwrap();
                frame[..len].to_vec()
            };
            assert_eq!(back, want);
            let mut elsewhere = local;
            elsewhere.set_port(9);
            assert_eq!(bpf::test_run(&program, &frame_from(remote, elsewhere)).unwrap().0, Action::Pass as u32);
        }
    }
}
