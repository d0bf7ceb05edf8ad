//! The headers of one packet: Ethernet (with VLAN tags), Linux "cooked" or bare IP; IPv4 and IPv6; UDP and TCP.

/// An end of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FlowEnd {
    /// The address: of IPv4 the first four bytes.
    pub address: [u8; 16],
    /// IPv6, else IPv4.
    pub v6: bool,
    /// The port.
    pub port: u16,
}

/// What the headers say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// TCP, else UDP.
    pub tcp: bool,
    /// Who sent it.
    pub from: FlowEnd,
    /// Its receiver.
    pub to: FlowEnd,
    /// Bytes that its receiver's program gets.
    pub payload: u32,
}

/// LINKTYPE values (the list of the Tcpdump Group).
const ETHERNET: u32 = 1;
const RAW: [u32; 4] = [12, 101, 228, 229];
const LINUX_SLL: u32 = 113;
const LINUX_SLL2: u32 = 276;
/// EtherTypes: a tag of 802.1Q, one of 802.1ad, and the one before it.
const TAGS: [u16; 3] = [0x8100, 0x88a8, 0x9100];
/// Tags in a row at most.
const MOST_TAGS: usize = 4;
/// Extension headers of IPv6 in a row at most.
const MOST_EXTENSIONS: usize = 8;

/// Whether packets of such a link are understood.
pub(crate) fn is_known_link(link: u32) -> bool {
    [ETHERNET, LINUX_SLL, LINUX_SLL2].contains(&link) || RAW.contains(&link)
}

/// Reads the head of a packet that was `length` bytes long. `None` for what is no UDP or TCP, is a later fragment, carries
/// nothing (an acknowledgement of TCP), or is cut within its headers.
pub fn segment(link: u32, bytes: &[u8], length: u32) -> Option<Segment> {
    let at = network(link, bytes)?;
    // Where the network's own length field is 0: a packet that the NIC was to divide (TSO) was captured before.
    let on_wire = length.checked_sub(u32::try_from(at).ok()?)?;
    let ip = bytes.get(at..)?;
    match ip.first()? >> 4 {
        4 => four(ip, on_wire),
        6 => six(ip, on_wire),
        _ => None,
    }
}

fn two(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

/// Where the network's header begins.
fn network(link: u32, bytes: &[u8]) -> Option<usize> {
    let mut at = match link {
        ETHERNET => 12,
        LINUX_SLL => 14,
        LINUX_SLL2 => {
            // The protocol stands first, and the head is 20 bytes long.
            return matches!(two(bytes, 0)?, 0x0800 | 0x86dd).then_some(20);
        }
        _ if RAW.contains(&link) => return Some(0),
        _ => return None,
    };
    for _ in 0..=MOST_TAGS {
        match two(bytes, at)? {
            0x0800 | 0x86dd => return Some(at + 2),
            tag if TAGS.contains(&tag) => at += 4,
            _ => return None,
        }
    }
    None
}

fn four(ip: &[u8], on_wire: u32) -> Option<Segment> {
    let head = usize::from(ip.first()? & 0xf) * 4;
    if head < 20 || two(ip, 6)? & 0x1fff != 0 {
        return None;
    }
    let total = match two(ip, 2)? {
        0 => on_wire,
        n => u32::from(n),
    };
    let address = |at: usize| {
        let mut all = [0; 16];
        all[..4].copy_from_slice(ip.get(at..at + 4)?);
        Some(all)
    };
    let (from, to) = (address(12)?, address(16)?);
    let carried = total.checked_sub(u32::try_from(head).ok()?)?;
    transport(*ip.get(9)?, ip.get(head..)?, carried, (from, to), false)
}

fn six(ip: &[u8], on_wire: u32) -> Option<Segment> {
    let mut carried = match two(ip, 4)? {
        0 => on_wire.checked_sub(40)?,
        n => u32::from(n),
    };
    let address = |at: usize| ip.get(at..at + 16)?.try_into().ok();
    let ends = (address(8)?, address(24)?);
    let (mut next, mut at) = (*ip.get(6)?, 40);
    // Hop-by-hop options, routing, destination options; a fragment; authentication (RFC 8200 §4, RFC 4302 §2.2).
    for _ in 0..=MOST_EXTENSIONS {
        let extension = match next {
            0 | 43 | 60 => (usize::from(*ip.get(at + 1)?) + 1) * 8,
            44 if two(ip, at + 2)? & 0xfff8 == 0 => 8,
            51 => (usize::from(*ip.get(at + 1)?) + 2) * 4,
            _ => return transport(next, ip.get(at..)?, carried, ends, true),
        };
        next = *ip.get(at)?;
        at += extension;
        carried = carried.checked_sub(u32::try_from(extension).ok()?)?;
    }
    None
}

fn transport(protocol: u8, bytes: &[u8], carried: u32, ends: ([u8; 16], [u8; 16]), v6: bool) -> Option<Segment> {
    let end = |address, port| FlowEnd { address, v6, port };
    let (from, to) = (end(ends.0, two(bytes, 0)?), end(ends.1, two(bytes, 2)?));
    match protocol {
        17 => {
            let own = match two(bytes, 4)? {
                0 => carried,
                n => u32::from(n),
            };
            Some(Segment { tcp: false, from, to, payload: own.checked_sub(8)? })
        }
        6 => {
            let head = u32::from(bytes.get(12)? >> 4) * 4;
            let payload = carried.checked_sub(head)?;
            (head >= 20 && payload > 0).then_some(Segment { tcp: true, from, to, payload })
        }
        _ => None,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A datagram of IPv4 without what it carries.
    pub(crate) fn udp4(options: usize, fragment: u16, ports: (u16, u16), payload: u16) -> Vec<u8> {
        let head = 20 + options;
        let mut p = vec![0; head + 8];
        p[0] = 0x40 | u8::try_from(head / 4).unwrap();
        let total = u16::try_from(head).unwrap() + 8 + payload;
        p[2..4].copy_from_slice(&total.to_be_bytes());
        p[6..8].copy_from_slice(&fragment.to_be_bytes());
        p[9] = 17;
        p[12..16].copy_from_slice(&[192, 0, 2, 1]);
        p[16..20].copy_from_slice(&[192, 0, 2, 2]);
        p[head..head + 2].copy_from_slice(&ports.0.to_be_bytes());
        p[head + 2..head + 4].copy_from_slice(&ports.1.to_be_bytes());
        p[head + 4..head + 6].copy_from_slice(&(payload + 8).to_be_bytes());
        p
    }

    fn tcp6(extensions: &[(u8, usize)], payload: u16) -> Vec<u8> {
        let length: usize = extensions.iter().map(|(_, n)| n).sum();
        let mut p = vec![0; 40];
        p[0] = 0x60;
        p[4..6].copy_from_slice(&(u16::try_from(length).unwrap() + 32 + payload).to_be_bytes());
        p[6] = extensions.first().map_or(6, |e| e.0);
        (p[8], p[24]) = (0xfd, 0xfe);
        for (n, (kind, length)) in extensions.iter().enumerate() {
            let mut head = vec![0; *length];
            head[0] = extensions.get(n + 1).map_or(6, |e| e.0);
            head[1] = match kind {
                44 => 0,
                51 => u8::try_from(length / 4 - 2).unwrap(),
                _ => u8::try_from(length / 8 - 1).unwrap(),
            };
            p.extend(head);
        }
        let mut tcp = vec![0; 32];
        (tcp[0], tcp[3], tcp[12]) = (0x10, 0x50, 0x80);
        p.extend(tcp);
        p
    }

    fn on(link: u32, ip: &[u8]) -> Vec<u8> {
        let mut head = match link {
            ETHERNET => vec![0; 12],
            LINUX_SLL => vec![0; 14],
            LINUX_SLL2 => {
                let mut head = [0; 20];
                head[0..2].copy_from_slice(&if ip[0] >> 4 == 6 { [0x86, 0xdd] } else { [8, 0] });
                return [&head[..], ip].concat();
            }
            _ => return ip.to_vec(),
        };
        head.extend(if ip[0] >> 4 == 6 { [0x86, 0xdd] } else { [8, 0] });
        [&head[..], ip].concat()
    }

    fn read(link: u32, ip: &[u8]) -> Option<Segment> {
        let bytes = on(link, ip);
        segment(link, &bytes, u32::try_from(bytes.len()).unwrap() + 2_000)
    }

    #[test]
    fn every_link_and_both_protocols_are_read() {
        for link in [ETHERNET, LINUX_SLL, LINUX_SLL2, 12, 101, 228] {
            assert!(is_known_link(link));
            let s = read(link, &udp4(8, 0x4000, (5_000, 6_000), 100)).unwrap();
            assert_eq!((s.tcp, s.from.port, s.to.port, s.payload), (false, 5_000, 6_000, 100), "{link}");
            assert_eq!((s.from.v6, &s.from.address[..5], s.to.address[3]), (false, &[192, 0, 2, 1, 0][..], 2));
            let s = read(link, &tcp6(&[(0, 8), (44, 8), (51, 24), (60, 16)], 900)).unwrap();
            assert_eq!((s.tcp, s.from.port, s.to.port, s.payload), (true, 0x1000, 0x50, 900), "{link}");
            assert_eq!((s.from.v6, s.from.address[0], s.to.address[0]), (true, 0xfd, 0xfe));
        }
        assert!(!is_known_link(105) && read(105, &udp4(0, 0, (1, 2), 9)).is_none(), "a link that is not known");
    }

    #[test]
    fn tags_are_stepped_over_and_other_packets_are_left() {
        let ip = udp4(0, 0, (1, 2), 9);
        let mut tagged = vec![0; 12];
        tagged.extend([0x88, 0xa8, 0, 5, 0x81, 0, 0, 6, 8, 0]);
        tagged.extend(&ip);
        assert_eq!(segment(ETHERNET, &tagged, 80).unwrap().payload, 9);
        let mut endless = vec![0; 12];
        endless.extend([0x81, 0, 0, 5].repeat(20));
        assert_eq!(segment(ETHERNET, &endless, 80), None);
        assert_eq!(read(101, &udp4(0, 0x2001, (1, 2), 9)), None, "a later fragment");
        assert_eq!(read(101, &tcp6(&[], 0)), None, "an acknowledgement alone");
        let mut icmp = ip.clone();
        icmp[9] = 1;
        assert_eq!(read(101, &icmp), None);
        // A length of 0: the NIC was to divide it.
        let mut large = tcp6(&[], 0);
        large[4..6].fill(0);
        assert_eq!(segment(101, &large, 72 + 40_000).unwrap().payload, 40_000);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..120), link in 0u32..300, length in any::<u32>()) {
            if let Some(s) = segment(link, &bytes, length) {
                prop_assert!(bytes.len() >= 28 && (s.payload > 0 || !s.tcp));
            }
        }

        #[test]
        fn a_cut_head_is_left(cut in 0usize..60) {
            let whole = on(ETHERNET, &udp4(0, 0, (1, 2), 9));
            let read = segment(ETHERNET, &whole[..cut.min(whole.len())], 51);
            prop_assert_eq!(read.is_some(), cut + 2 >= whole.len());
        }
    }
}
