//! Addresses and host names replaced in a capture, the same by the same.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Replaces MAC addresses, IP addresses and one host name.
///
/// Kept: all-zero and broadcast MACs; loopback, unspecified, multicast and netmask addresses, which tell nothing of a
/// host. IPv4 becomes one of the documentation networks of RFC 5737 and then 10.0.0.0/8, IPv6 `2001:db8::/32`
/// (RFC 3849), link-local stays link-local, MACs become locally administered ones. Prefixes are not kept: two addresses
/// of one network come out in none in common.
#[derive(Debug, Default)]
pub(crate) struct Mask {
    host: String,
    macs: BTreeMap<String, String>,
    v4: BTreeMap<Ipv4Addr, Ipv4Addr>,
    v6: BTreeMap<Ipv6Addr, Ipv6Addr>,
}

impl Mask {
    /// A mask that also hides a host name; `localhost` and nothing at all hide nobody.
    pub(crate) fn new(host: &str) -> Self {
        let host = if host == "localhost" { "" } else { host };
        Self { host: host.to_owned(), ..Self::default() }
    }

    /// A text with everything replaced.
    pub(crate) fn text(&mut self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        let address = |c: char| c.is_ascii_hexdigit() || c == ':' || c == '.';
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':');
        while let Some(start) = rest.find(word) {
            out.push_str(&rest[..start]);
            rest = &rest[start..];
            let end = rest.find(|c| !word(c)).unwrap_or(rest.len());
            let token = &rest[..end];
            rest = &rest[end..];
            if !self.host.is_empty() && token == self.host {
                out.push_str("host");
                continue;
            }
            // 10.0.0.1:80 and [::1]:80 hold an address and a port; a sentence may end in a dot after an address.
            let trimmed = token.trim_end_matches(['.', ':']);
            let (candidate, tail) = if trimmed.chars().all(address) && !token.ends_with("::") {
                (trimmed, &token[trimmed.len()..])
            } else {
                (token, "")
            };
            match self.address(candidate) {
                Some(masked) => {
                    out.push_str(&masked);
                    out.push_str(tail);
                }
                None => match candidate.split_once(':').and_then(|(ip, port)| Some((self.v4(ip)?, port))) {
                    Some((ip, port)) => {
                        out.push_str(&ip);
                        out.push(':');
                        out.push_str(port);
                        out.push_str(tail);
                    }
                    None => out.push_str(token),
                },
            }
        }
        out.push_str(rest);
        out
    }

    /// JSON with every text in it replaced, keys too.
    pub(crate) fn json(&mut self, value: serde_json::Value) -> serde_json::Value {
        use serde_json::Value;
        match value {
            Value::String(s) => Value::String(self.text(&s)),
            Value::Array(a) => Value::Array(a.into_iter().map(|v| self.json(v)).collect()),
            Value::Object(o) => Value::Object(o.into_iter().map(|(k, v)| (self.text(&k), self.json(v))).collect()),
            other => other,
        }
    }

    fn address(&mut self, token: &str) -> Option<String> {
        self.mac(token).or_else(|| self.v4(token)).or_else(|| self.v6(token))
    }

    fn mac(&mut self, token: &str) -> Option<String> {
        let is_mac = token.len() == 17
            && token.split(':').count() == 6
            && token.split(':').all(|b| b.len() == 2 && b.chars().all(|c| c.is_ascii_hexdigit()));
        let lower = token.to_ascii_lowercase();
        if !is_mac || lower == "00:00:00:00:00:00" || lower == "ff:ff:ff:ff:ff:ff" {
            return None;
        }
        let n = self.macs.len() + 1;
        let new = || format!("02:00:00:{:02x}:{:02x}:{:02x}", n >> 16 & 255, n >> 8 & 255, n & 255);
        Some(self.macs.entry(lower).or_insert_with(new).clone())
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_same_becomes_the_same() {
        let mut m = Mask::new("trader7");
        assert_eq!(m.text("trader7 10.1.2.3/24 via 10.1.2.1."), "host 192.0.2.1/24 via 192.0.2.2.");
        assert_eq!(m.text("10.1.2.3:5001"), "192.0.2.1:5001");
        assert_eq!(m.text("[2a01:4f8::7]:80 fe80::1c2d:3eff:fe4f:5a6b"), "[2001:db8::1]:80 fe80::2");
        assert_eq!(
            m.text("link AA:bb:cc:dd:ee:01 and aa:bb:cc:dd:ee:01"),
            "link 02:00:00:00:00:01 and 02:00:00:00:00:01"
        );
    }

    #[test]
    fn what_is_no_address_stays() {
        let mut m = Mask::new("vm");
        let text = "127.0.0.1 ::1 0.0.0.0 255.255.255.0 0000:00:03.0 6.18.44 vm.swappiness 12:34:56 a:: kvm\n";
        assert_eq!(m.text(text), text.replace("a::", "2001:db8::1"));
    }

    proptest! {
        #[test]
        fn any_text_is_masked_without_panic(s in "\\PC{0,80}") {
            let _ = Mask::new("h").text(&s);
        }
    }
}
