//! What shows by its shape: hardware addresses, IP addresses, UUIDs.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::Mask;

const UUID: usize = 36;
const MAC: usize = 17;

fn hex(c: char) -> bool {
    c.is_ascii_hexdigit()
}

fn is_uuid(text: &str) -> bool {
    let lengths = text.split('-').map(|part| if part.chars().all(hex) { part.len() } else { 0 });
    lengths.eq([8, 4, 4, 4, 12])
}

fn is_pairs(text: &str, sign: char, least: usize) -> bool {
    text.split(sign).count() >= least && text.split(sign).all(|p| p.len() == 2 && p.chars().all(hex))
}

fn ends_here(rest: &str) -> bool {
    !rest.starts_with(|c: char| c.is_ascii_alphanumeric())
}

impl Mask {
    /// A text with all addresses and UUIDs replaced.
    pub(super) fn addresses(&mut self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let inside = out.ends_with(|c: char| c.is_ascii_alphanumeric());
            if !inside && let Some((length, masked)) = self.dashed(rest) {
                out.push_str(&masked);
                rest = &rest[length..];
            } else if hex(first) || first == ':' {
                let end = rest.find(|c| !(hex(c) || c == ':' || c == '.')).unwrap_or(rest.len());
                let (run, after) = rest.split_at(end);
                let named = run.len() == 12 && ends_here(after) && after_prefix(&out);
                let masked = if named { self.mac(run, "") } else { self.run(run) };
                out.push_str(&masked);
                rest = after;
            } else {
                out.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
        out
    }

    /// A UUID, or a hardware address with dashes, at the start of a text.
    fn dashed(&mut self, text: &str) -> Option<(usize, String)> {
        if let Some(uuid) = text.get(..UUID).filter(|t| is_uuid(t) && ends_here(&text[UUID..])) {
            let next = self.uuids.len() + 1;
            let n = *self.uuids.entry(uuid.to_ascii_lowercase()).or_insert(next);
            return Some((UUID, format!("00000000-0000-4000-8000-{n:012x}")));
        }
        let mac = text.get(..MAC).filter(|t| is_pairs(t, '-', 6) && ends_here(&text[MAC..]))?;
        Some((MAC, self.mac(mac, "-")))
    }

    /// A hardware address, of six bytes or more, with the sign that separates its bytes.
    pub(super) fn mac(&mut self, text: &str, sign: &str) -> String {
        let digits: String = text.chars().filter(|c| hex(*c)).map(|c| c.to_ascii_lowercase()).collect();
        if digits.chars().all(|c| c == '0') || digits.chars().all(|c| c == 'f') {
            return text.to_owned();
        }
        let length = digits.len() / 2;
        let next = self.macs.len() + 1;
        let n = *self.macs.entry(digits).or_insert(next);
        let mut bytes = vec![2, 0, 0, n >> 16 & 255, n >> 8 & 255, n & 255];
        bytes.resize(length, 0);
        bytes.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(sign)
    }

    /// A run of hexadecimal digits, colons and dots.
    fn run(&mut self, run: &str) -> String {
        if !run.contains([':', '.']) {
            return run.to_owned();
        }
        // A sentence may end in a dot after an address, `addr:::1` begins one with a colon.
        let start = if run.starts_with("::") { 0 } else { run.len() - run.trim_start_matches(['.', ':']).len() };
        let core = &run[start..];
        let length = if core.ends_with("::") { core.len() } else { core.trim_end_matches(['.', ':']).len() };
        let (core, tail) = core.split_at(length);
        let masked = self.whole(core).unwrap_or_else(|| self.parts(core));
        format!("{}{masked}{tail}", &run[..start])
    }

    fn whole(&mut self, text: &str) -> Option<String> {
        if is_pairs(text, ':', 6) {
            return Some(self.mac(text, ":"));
        }
        self.v4(text).or_else(|| self.v6(text))
    }

    /// No address as a whole: one within, next to a port or another number.
    fn parts(&mut self, text: &str) -> String {
        if let Some(masked) = self.window(text) {
            return masked;
        }
        let pieces: Vec<String> = text.split(':').map(|piece| self.piece(piece)).collect();
        pieces.join(":")
    }

    /// The longest part between colons that is an IPv6 address. Shorter runs are times of day and PCI addresses.
    fn window(&mut self, text: &str) -> Option<String> {
        if !text.contains("::") && text.matches(':').count() < 7 {
            return None;
        }
        let bounds: Vec<usize> = text.match_indices(':').map(|(at, _)| at).collect();
        let starts = || std::iter::once(0).chain(bounds.iter().flat_map(|b| [*b, b + 1]));
        let ends = || std::iter::once(text.len()).chain(bounds.iter().flat_map(|b| [*b, b + 1]));
        let mut windows: Vec<(usize, usize)> =
            starts().flat_map(|s| ends().map(move |e| (s, e))).filter(|(s, e)| s < e).collect();
        windows.sort_by_key(|(s, e)| s.abs_diff(*e));
        let (start, end) = windows.into_iter().rev().find(|(s, e)| text[*s..*e].parse::<Ipv6Addr>().is_ok())?;
        let masked = self.v6(&text[start..end]).unwrap_or_else(|| text[start..end].to_owned());
        let (before, after) = (self.parts(&text[..start]), self.parts(&text[end..]));
        Some(format!("{before}{masked}{after}"))
    }

    /// An IPv4 address with hexadecimal letters of a word before or behind it, or with more numbers.
    fn piece(&mut self, piece: &str) -> String {
        let letters = |c: char| c.is_ascii_alphabetic();
        let start = piece.len() - piece.trim_start_matches(letters).len();
        let end = piece.trim_end_matches(letters).len();
        if start >= end || piece[start..end].matches('.').count() < 3 {
            return piece.to_owned();
        }
        let numbers: Vec<&str> = piece[start..end].split('.').collect();
        for at in 0..=numbers.len() - 4 {
            if let Some(masked) = self.v4(&numbers[at..at + 4].join(".")) {
                let mut all: Vec<&str> = numbers[..at].to_vec();
                all.push(&masked);
                all.extend(&numbers[at + 4..]);
                return format!("{}{}{}", &piece[..start], all.join("."), &piece[end..]);
            }
        }
        piece.to_owned()
    }

    fn v4(&mut self, token: &str) -> Option<String> {
        let ip: Ipv4Addr = token.parse().ok()?;
        if ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() || ip.octets()[0] >= 240 {
            return None;
        }
        let n = u32::try_from(self.v4.len()).unwrap_or(0) + 1;
        let new = || match n {
            1..=254 => Ipv4Addr::from(0xc000_0200 + n),
            255..=508 => Ipv4Addr::from(0xc633_6400 + n - 254),
            509..=762 => Ipv4Addr::from(0xcb00_7100 + n - 508),
            _ => Ipv4Addr::from(0x0a00_0000 + (n & 0x00ff_ffff)),
        };
        Some(self.v4.entry(ip).or_insert_with(new).to_string())
    }

    fn v6(&mut self, token: &str) -> Option<String> {
        let ip: Ipv6Addr = token.parse().ok()?;
        if ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() {
            return None;
        }
        let n = u128::try_from(self.v6.len()).unwrap_or(0) + 1;
        let link_local = ip.segments()[0] & 0xffc0 == 0xfe80;
        let net = if link_local { 0xfe80_u128 << 112 } else { 0x2001_0db8_u128 << 96 };
        Some(self.v6.entry(ip).or_insert(Ipv6Addr::from(net + n)).to_string())
    }

    /// The IPv4 address that stands for one.
    pub(super) fn v4_of(&mut self, ip: Ipv4Addr) -> Option<String> {
        self.v4(&ip.to_string())
    }
}

/// `enx`, `wlx`, `wwx`, `slx`, `ibx`: a name that systemd made of the hardware address (systemd.net-naming-scheme(7)).
fn after_prefix(before: &str) -> bool {
    ["enx", "wlx", "wwx", "slx", "ibx"].iter().any(|p| before.ends_with(p))
}
