//! Echo requests and replies around a message (RFC 792, RFC 4443 §4).
//!
//! Ping sockets (`SOCK_DGRAM`, `IPPROTO_ICMP`) take a header whose identifier and checksum the kernel fills in, and
//! deliver only the replies to their own identifier; raw sockets do neither (net/ipv4/ping.c, net/ipv4/raw.c).

use std::ops::Range;

/// Type, code, checksum, identifier, sequence number.
pub const HEADER: usize = 8;
/// Longest IPv4 header, which raw IPv4 sockets deliver in front.
const IP_HEADER_MAX: usize = 60;

/// One echo flow: its header's fields and the rooms it is made and taken apart in.
#[derive(Debug)]
pub(crate) struct Echo {
    v6: bool,
    raw: bool,
    id: u16,
    seq: u16,
    out: Vec<u8>,
    room: Vec<u8>,
}

impl Echo {
    pub(crate) fn new(v6: bool, raw: bool, id: u16, max_message: usize) -> Self {
        Self {
            v6,
            raw,
            id,
            seq: 0,
            out: vec![0; HEADER + max_message],
            room: vec![0; IP_HEADER_MAX + HEADER + max_message + 1],
        }
    }

    pub(crate) fn is_raw(&self) -> bool {
        self.raw
    }

    /// The packet for `message`, or `None` if it is longer than the flow was made for.
    pub(crate) fn wrap(&mut self, message: &[u8]) -> Option<&[u8]> {
        let packet = self.out.get_mut(..HEADER + message.len())?;
        packet[0] = if self.v6 { 128 } else { 8 };
        packet[1] = 0;
        packet[2..4].fill(0);
        packet[4..6].copy_from_slice(&self.id.to_be_bytes());
        packet[6..8].copy_from_slice(&self.seq.to_be_bytes());
        packet[HEADER..].copy_from_slice(message);
        self.seq = self.seq.wrapping_add(1);
        if self.raw && !self.v6 {
            let sum = checksum(packet);
            packet[2..4].copy_from_slice(&sum.to_be_bytes());
        }
        Some(packet)
    }

    /// Where the kernel puts the next packet.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        &mut self.room
    }

    /// The message in the first `len` bytes of the room, if they are a reply of this flow.
    pub(crate) fn unwrap(&self, len: usize) -> Option<&[u8]> {
        let packet = self.room.get(..len)?;
        let id = self.raw.then_some(self.id);
        packet.get(reply_payload(packet, self.v6, self.raw && !self.v6, id)?)
    }
}

/// Where the payload of an echo reply lies. `with_ip` says that an IPv4 header stands in front; `id` is checked where
/// the kernel did not.
pub fn reply_payload(packet: &[u8], v6: bool, with_ip: bool, id: Option<u16>) -> Option<Range<usize>> {
    let start = if with_ip { usize::from(packet.first()? & 0x0f) * 4 } else { 0 };
    let header = packet.get(start..start + HEADER)?;
    let reply = if v6 { 129 } else { 0 };
    if header[0] != reply || header[1] != 0 {
        return None;
    }
    if id.is_some_and(|id| header[4..6] != id.to_be_bytes()) {
        return None;
    }
    Some(start + HEADER..packet.len())
}

/// The Internet checksum (RFC 1071).
pub fn checksum(bytes: &[u8]) -> u16 {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let mut sum: u64 = pairs.iter().map(|p| u64::from(u16::from_be_bytes(*p))).sum();
    if let [last] = rest {
        sum += u64::from(*last) << 8;
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    #[allow(clippy::cast_possible_truncation)] // folded to 16 bits above
    let folded = sum as u16;
    !folded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_checksum_is_that_of_rfc_1071() {
        // RFC 1071 §3: the sum of this is ddf2, before the complement.
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
        assert_eq!(checksum(&[0xff]), !0xff00);
    }

    #[test]
    fn only_the_reply_with_our_identifier_is_ours() {
        let mut echo = Echo::new(false, true, 0x1234, 16);
        let request = echo.wrap(b"payload").unwrap().to_vec();
        assert_eq!(checksum(&request), 0);
        let mut packet = vec![0x45; 20];
        packet.extend(&request);
        assert_eq!(reply_payload(&packet, false, true, Some(0x1234)), None, "our own request, as loopback shows it");
        packet[20] = 0;
        assert_eq!(reply_payload(&packet, false, true, Some(0x1234)), Some(28..35));
        assert_eq!(reply_payload(&packet, false, true, Some(0x1235)), None);
        assert!(echo.wrap(&[0; 17]).is_none());
    }

    proptest! {
        #[test]
        fn any_packet_is_survived(packet in proptest::collection::vec(any::<u8>(), 0..128), v6: bool, ip: bool, id: Option<u16>) {
            if let Some(range) = reply_payload(&packet, v6, ip, id) {
                prop_assert!(packet.get(range).is_some());
            }
        }
    }
}
