//! Ethernet, IP and UDP headers of the one flow: written once, patched per packet, and read back without trust.
//!
//! A flow of a VLAN sends its frames with the tag. Its answers may come with it or without it: where the device strips
//! tags (`rx-vlan-offload`) or the tag travels next to the packet, as over veth, the program sees none.
//!
//! Checksums are always written: a kernel far end verifies them. Received ones may be *partial*: over veth (and any
//! path that ends in the same kernel) a kernel sender leaves only the pseudo-header's sum in the field
//! (`CHECKSUM_PARTIAL`, include/linux/skbuff.h), so [`Flow::payload`] takes a full or a partial sum, or IPv4's "none",
//! and calls only the rest damaged.

use std::net::{IpAddr, SocketAddr};

/// Ethernet header, bytes.
pub(crate) const ETH_LEN: usize = 14;
/// IPv4 header without options, bytes.
pub(crate) const IPV4_LEN: usize = 20;
/// IPv6 header, bytes.
pub(crate) const IPV6_LEN: usize = 40;
/// UDP header, bytes.
pub(crate) const UDP_LEN: usize = 8;
/// An 802.1Q tag, bytes.
pub(crate) const TAG_LEN: usize = 4;
/// The longest header of a flow, bytes.
pub(crate) const MAX_HEADER: usize = ETH_LEN + TAG_LEN + IPV6_LEN + UDP_LEN;

const ETHERTYPE_IPV4: [u8; 2] = [0x08, 0x00];
const ETHERTYPE_IPV6: [u8; 2] = [0x86, 0xdd];
/// EtherType of an 802.1Q tag.
pub(crate) const DOT1Q: [u8; 2] = [0x81, 0x00];
/// The identifier in a tag's second half.
pub(crate) const VLAN_ID: u16 = 0x0fff;
const IPPROTO_UDP: u8 = 17;
/// Don't fragment.
const DF: u16 = 0x4000;
/// Hop limit: the kernel's default (`IPDEFTTL`, include/uapi/linux/ip.h).
const TTL: u8 = 64;

/// A MAC address.
pub(crate) type Mac = [u8; 6];

/// Why a frame is not an answer to our probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Foreign {
    /// Shorter than its headers say.
    Truncated,
    /// Another protocol, address, port, or a fragment.
    OtherFlow,
    /// Its checksum is neither right nor partial.
    Damaged,
}

/// The 802.1Q tag of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tag {
    /// VLAN identifier.
    pub(crate) id: u16,
    /// Priority code point, 0–7.
    pub(crate) code_point: u8,
}

/// The headers of one flow.
#[derive(Debug, Clone)]
pub(crate) struct Flow {
    local: SocketAddr,
    remote: SocketAddr,
    header: [u8; MAX_HEADER],
    header_len: usize,
    /// Length of the Ethernet header that is written, its tag included.
    eth_len: usize,
    tag: Option<Tag>,
    /// Sum of the constant part of the IPv4 header.
    ip_sum: u64,
    /// Sum of the pseudo-header (without length) and the ports, outgoing.
    udp_sum: u64,
    /// Sum of the pseudo-header (without length), which is the same both ways.
    pseudo_sum: u64,
}

impl Flow {
    /// Headers for `local` → `remote`, or `None` when the two are not of one family.
    pub(crate) fn new(local: SocketAddr, remote: SocketAddr, source: Mac, next_hop: Mac, dscp: u8) -> Option<Self> {
        let mut h = [0u8; MAX_HEADER];
        h[0..6].copy_from_slice(&next_hop);
        h[6..12].copy_from_slice(&source);
        let ip = ETH_LEN;
        let (ip_len, pseudo_sum) = match (local.ip(), remote.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                h[12..14].copy_from_slice(&ETHERTYPE_IPV4);
                h[ip] = 0x45;
                h[ip + 1] = dscp << 2;
                h[ip + 6..ip + 8].copy_from_slice(&DF.to_be_bytes());
                h[ip + 8] = TTL;
                h[ip + 9] = IPPROTO_UDP;
                h[ip + 12..ip + 16].copy_from_slice(&from.octets());
                h[ip + 16..ip + 20].copy_from_slice(&to.octets());
                (IPV4_LEN, sum(0, &h[ip + 12..ip + 20]) + u64::from(IPPROTO_UDP))
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                h[12..14].copy_from_slice(&ETHERTYPE_IPV6);
                h[ip] = 0x60 | dscp >> 2;
                h[ip + 1] = dscp << 6;
                h[ip + 6] = IPPROTO_UDP;
                h[ip + 7] = TTL;
                h[ip + 8..ip + 24].copy_from_slice(&from.octets());
                h[ip + 24..ip + 40].copy_from_slice(&to.octets());
                (IPV6_LEN, sum(0, &h[ip + 8..ip + 40]) + u64::from(IPPROTO_UDP))
            }
            _ => return None,
        };
        let udp = ip + ip_len;
        h[udp..udp + 2].copy_from_slice(&local.port().to_be_bytes());
        h[udp + 2..udp + 4].copy_from_slice(&remote.port().to_be_bytes());
        Some(Self {
            local,
            remote,
            ip_sum: sum(0, &h[ip..ip + ip_len]),
            udp_sum: sum(pseudo_sum, &h[udp..udp + 4]),
            pseudo_sum,
            header: h,
            header_len: udp + UDP_LEN,
            eth_len: ETH_LEN,
            tag: None,
        })
    }

    /// The same flow in a VLAN.
    pub(crate) fn in_vlan(mut self, tag: Tag) -> Self {
        let at = ETH_LEN - 2;
        self.header.copy_within(at..self.header_len, at + TAG_LEN);
        self.header[at..at + 2].copy_from_slice(&DOT1Q);
        let control = u16::from(tag.code_point & 7) << 13 | tag.id & VLAN_ID;
        self.header[at + 2..at + TAG_LEN].copy_from_slice(&control.to_be_bytes());
        self.header_len += TAG_LEN;
        self.eth_len += TAG_LEN;
        self.tag = Some(tag);
        self
    }

    /// Length of the headers in front of a message, bytes.
    pub(crate) fn header_len(&self) -> usize {
        self.header_len
    }

    /// Writes the frame that carries `message` into `frame` and returns its length; `None` when it does not fit, or
    /// the message is longer than UDP's length field can say.
    #[inline]
    pub(crate) fn write(&self, message: &[u8], frame: &mut [u8]) -> Option<usize> {
        let total = self.header_len + message.len();
        let udp_len = u16::try_from(UDP_LEN + message.len()).ok()?;
        let frame = frame.get_mut(..total)?;
        frame[..self.header_len].copy_from_slice(&self.header[..self.header_len]);
        frame[self.header_len..].copy_from_slice(message);
        let udp = self.header_len - UDP_LEN;
        let ip = self.eth_len;
        if udp == ip + IPV4_LEN {
            let ip_total = u16::try_from(total - ip).ok()?;
            frame[ip + 2..ip + 4].copy_from_slice(&ip_total.to_be_bytes());
            frame[ip + 10..ip + 12].copy_from_slice(&(!fold(self.ip_sum + u64::from(ip_total))).to_be_bytes());
        } else {
            frame[ip + 4..ip + 6].copy_from_slice(&udp_len.to_be_bytes());
        }
        frame[udp + 4..udp + 6].copy_from_slice(&udp_len.to_be_bytes());
        // The length counts twice: in the pseudo-header and in the header itself.
        let check = !fold(sum(self.udp_sum + 2 * u64::from(udp_len), message));
        // RFC 768: a computed 0 is sent as all ones, because 0 says "no checksum".
        let check = if check == 0 { 0xffff } else { check };
        frame[udp + 6..udp + 8].copy_from_slice(&check.to_be_bytes());
        Some(total)
    }

    /// EtherType and what follows it, behind a tag of this flow's VLAN where there is one.
    #[inline]
    fn network<'a>(&self, frame: &'a [u8]) -> Result<([u8; 2], &'a [u8]), Foreign> {
        let (head, behind) = frame.split_first_chunk::<ETH_LEN>().ok_or(Foreign::Truncated)?;
        let kind = [head[12], head[13]];
        let Some(tag) = self.tag.filter(|_| kind == DOT1Q) else { return Ok((kind, behind)) };
        let ([a, b, kind @ ..], behind) = behind.split_first_chunk::<TAG_LEN>().ok_or(Foreign::Truncated)?;
        if u16::from_be_bytes([*a, *b]) & VLAN_ID != tag.id {
            return Err(Foreign::OtherFlow);
        }
        Ok((*kind, behind))
    }

    /// The message inside a received frame of this flow. Looks at nothing outside `frame`, whatever its bytes.
    #[inline]
    pub(crate) fn payload<'a>(&self, frame: &'a [u8]) -> Result<&'a [u8], Foreign> {
        let (kind, ip) = self.network(frame)?;
        let udp = match (self.remote.ip(), self.local.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                let header: &[u8; IPV4_LEN] = ip.first_chunk().ok_or(Foreign::Truncated)?;
                let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
                if kind != ETHERTYPE_IPV4
                    || header[0] != 0x45
                    || header[9] != IPPROTO_UDP
                    || u16::from_be_bytes([header[6], header[7]]) & 0x3fff != 0
                    || header[12..16] != from.octets()
                    || header[16..20] != to.octets()
                {
                    return Err(Foreign::OtherFlow);
                }
                // Short frames are padded to 60 bytes on the wire: the IP length, not the frame's, is the truth.
                ip.get(IPV4_LEN..total).ok_or(Foreign::Truncated)?
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                let header: &[u8; IPV6_LEN] = ip.first_chunk().ok_or(Foreign::Truncated)?;
                let len = usize::from(u16::from_be_bytes([header[4], header[5]]));
                if kind != ETHERTYPE_IPV6
                    || header[0] >> 4 != 6
                    || header[6] != IPPROTO_UDP
                    || header[8..24] != from.octets()
                    || header[24..40] != to.octets()
                {
                    return Err(Foreign::OtherFlow);
                }
                ip.get(IPV6_LEN..IPV6_LEN + len).ok_or(Foreign::Truncated)?
            }
            _ => return Err(Foreign::OtherFlow),
        };
        let header: &[u8; UDP_LEN] = udp.first_chunk().ok_or(Foreign::Truncated)?;
        if u16::from_be_bytes([header[0], header[1]]) != self.remote.port()
            || u16::from_be_bytes([header[2], header[3]]) != self.local.port()
        {
            return Err(Foreign::OtherFlow);
        }
        let len = u16::from_be_bytes([header[4], header[5]]);
        let udp = udp.get(..usize::from(len)).ok_or(Foreign::Truncated)?;
        let message = udp.get(UDP_LEN..).ok_or(Foreign::Truncated)?;
        let check = u16::from_be_bytes([header[6], header[7]]);
        let pseudo = self.pseudo_sum + u64::from(len);
        let none = check == 0 && self.local.is_ipv4();
        if none || fold(sum(pseudo, udp)) == 0xffff || check == fold(pseudo) {
            Ok(message)
        } else {
            Err(Foreign::Damaged)
        }
    }
}

/// Adds `bytes` as big-endian 16-bit words (an odd last byte is padded with 0) to a running one's-complement sum.
#[inline]
fn sum(start: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<4>();
    // 32 bits at a time: 2^16 ≡ 1 modulo 2^16 − 1, so the upper half folds onto the lower (RFC 1071, section 2 (C)).
    // No overflow: 64 KiB hold 2^14 words below 2^32.
    let mut total = start;
    for w in words {
        total += u64::from(u32::from_be_bytes(*w));
    }
    let mut last = [0u8; 4];
    last[..rest.len()].copy_from_slice(rest);
    total + u64::from(u32::from_be_bytes(last))
}

/// Folds a running sum to 16 bits.
#[inline]
fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    #[allow(clippy::cast_possible_truncation)] // ≤ 0xffff by the loop
    let folded = sum as u16;
    folded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn v4() -> (SocketAddr, SocketAddr) {
        ("10.1.2.3:40000".parse().unwrap(), "10.1.2.4:7".parse().unwrap())
    }

    fn v6() -> (SocketAddr, SocketAddr) {
        ("[fd00::1]:40000".parse().unwrap(), "[fd00::2]:7".parse().unwrap())
    }

    fn flow((local, remote): (SocketAddr, SocketAddr)) -> Flow {
        Flow::new(local, remote, [2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2], 46).unwrap()
    }

    /// Word by word, as RFC 1071 writes it down.
    fn slow_sum(bytes: &[u8]) -> u16 {
        let mut total = 0u32;
        for pair in bytes.chunks(2) {
            total += u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
            total = (total & 0xffff) + (total >> 16);
        }
        u16::try_from(total).unwrap()
    }

    /// The frame as the other end sees it must verify by the plain algorithm, pseudo-header included.
    fn verify(frame: &[u8], ip_len: usize) {
        let (ip, udp) = frame[ETH_LEN..].split_at(ip_len);
        let mut pseudo = if ip_len == IPV4_LEN {
            assert_eq!(slow_sum(ip), 0xffff, "IPv4 header");
            ip[12..20].to_vec()
        } else {
            ip[8..40].to_vec()
        };
        pseudo.extend([0, 17]);
        pseudo.extend(u16::try_from(udp.len()).unwrap().to_be_bytes());
        pseudo.extend(udp);
        assert_eq!(slow_sum(&pseudo), 0xffff, "UDP");
    }

    #[test]
    fn dscp_lands_in_the_traffic_class() {
        let mut frame = [0; 128];
        flow(v4()).write(b"x", &mut frame).unwrap();
        assert_eq!(frame[15] >> 2, 46);
        flow(v6()).write(b"x", &mut frame).unwrap();
        assert_eq!(u16::from_be_bytes([frame[14], frame[15]]) >> 6 & 0x3f, 46);
    }

    #[test]
    fn a_tag_is_written_and_an_answer_counts_with_it_or_without_it() {
        let tag = Tag { id: 0x123, code_point: 5 };
        for (ends, ip_len) in [(v4(), IPV4_LEN), (v6(), IPV6_LEN)] {
            let (mut plain, mut tagged) = ([0; 128], [0; 128]);
            let len = flow((ends.1, ends.0)).write(b"message", &mut plain).unwrap();
            let long = flow((ends.1, ends.0)).in_vlan(tag).write(b"message", &mut tagged).unwrap();
            assert_eq!(long, len + TAG_LEN);
            assert_eq!(tagged[12..16], [0x81, 0x00, 0xa1, 0x23]);
            // All else is the frame without it.
            let rest = [&tagged[..12], &tagged[16..long]].concat();
            assert_eq!(rest, plain[..len]);
            verify(&rest, ip_len);
            let near = flow(ends).in_vlan(tag);
            assert_eq!(near.payload(&tagged[..long]), Ok(&b"message"[..]));
            assert_eq!(near.payload(&plain[..len]), Ok(&b"message"[..]), "the device took the tag off");
            assert_eq!(flow(ends).payload(&tagged[..long]), Err(Foreign::OtherFlow), "not a flow of a VLAN");
            for cut in 0..long {
                assert_eq!(near.payload(&tagged[..cut]), Err(Foreign::Truncated), "cut at {cut}");
            }
            tagged[14] ^= 0xe0;
            assert_eq!(near.payload(&tagged[..long]), Ok(&b"message"[..]), "the code point is the sender's choice");
            tagged[15] ^= 1;
            assert_eq!(near.payload(&tagged[..long]), Err(Foreign::OtherFlow), "another VLAN");
        }
    }

    #[test]
    fn a_flow_of_two_families_does_not_exist() {
        assert!(Flow::new(v4().0, v6().1, [0; 6], [0; 6], 0).is_none());
    }

    #[test]
    fn a_kernel_senders_partial_checksum_is_not_damage() {
        let mut frame = [0; 128];
        let back = flow((v4().1, v4().0));
        let len = back.write(b"hello", &mut frame).unwrap();
        let partial = fold(back.pseudo_sum + 13);
        frame[40..42].copy_from_slice(&partial.to_be_bytes());
        assert_eq!(flow(v4()).payload(&frame[..len]), Ok(&b"hello"[..]));
        frame[41] ^= 1;
        assert_eq!(flow(v4()).payload(&frame[..len]), Err(Foreign::Damaged));
        frame[40..42].fill(0);
        assert_eq!(flow(v4()).payload(&frame[..len]), Ok(&b"hello"[..]), "IPv4 may have no checksum");
    }

    #[test]
    fn ethernet_padding_is_not_message() {
        let mut frame = [0xaa; 60];
        let len = flow((v4().1, v4().0)).write(b"hi", &mut frame).unwrap();
        assert!(len < 60);
        assert_eq!(flow(v4()).payload(&frame), Ok(&b"hi"[..]));
    }

    #[test]
    fn a_frame_cut_anywhere_is_truncated() {
        for (ends, ip_len) in [(v4(), IPV4_LEN), (v6(), IPV6_LEN)] {
            let mut frame = [0; 128];
            let len = flow((ends.1, ends.0)).write(b"message", &mut frame).unwrap();
            assert_eq!(len, ETH_LEN + ip_len + UDP_LEN + 7);
            for cut in 0..len {
                assert_eq!(flow(ends).payload(&frame[..cut]), Err(Foreign::Truncated), "cut at {cut}");
            }
        }
    }

    proptest! {
        #[test]
        fn what_one_end_writes_verifies_and_the_other_reads(message in prop::collection::vec(any::<u8>(), 0..1600), six: bool) {
            let (ends, ip_len) = if six { (v6(), IPV6_LEN) } else { (v4(), IPV4_LEN) };
            let mut frame = [0; 2048];
            let len = flow((ends.1, ends.0)).write(&message, &mut frame).unwrap();
            verify(&frame[..len], ip_len);
            prop_assert_eq!(flow(ends).payload(&frame[..len]), Ok(&message[..]));
            prop_assert_eq!(flow((ends.1, ends.0)).payload(&frame[..len]), Err(Foreign::OtherFlow));
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), six: bool) {
            let _ = flow(if six { v6() } else { v4() }).payload(&bytes);
        }

        /// Our own frame with a few bytes changed: deep into the parser, still no panic and no wrong message.
        #[test]
        fn damage_is_found_or_harmless(at in 0usize..60, bit in 0u8..8, six: bool) {
            let ends = if six { v6() } else { v4() };
            let mut frame = [0; 128];
            let len = flow((ends.1, ends.0)).write(b"sixteen bytes ok", &mut frame).unwrap();
            let at = at % len;
            frame[at] ^= 1 << bit;
            if let Ok(message) = flow(ends).payload(&frame[..len]) {
                prop_assert_eq!(message, b"sixteen bytes ok");
            }
        }

        #[test]
        fn fast_sum_is_the_plain_sum(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(fold(sum(0, &bytes)), slow_sum(&bytes));
        }
    }
}
