//! Which sources are answered.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// An address range: `10.0.0.0/8`, `fd00::/8`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    ip: IpAddr,
    prefix: u8,
}

impl Cidr {
    /// Its first address.
    pub fn ip(&self) -> IpAddr {
        self.ip
    }

    /// Bits that count.
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Whether an address lies in the range. An IPv4-mapped IPv6 address counts as the IPv4 one it is.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.ip, ip.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(ip)) => {
                same(u128::from(u32::from(net)), u128::from(u32::from(ip)), 32 - self.prefix)
            }
            (IpAddr::V6(net), IpAddr::V6(ip)) => same(u128::from(net), u128::from(ip), 128 - self.prefix),
            _ => false,
        }
    }
}

/// Equal but for the lowest `host_bits`.
fn same(a: u128, b: u128, host_bits: u8) -> bool {
    let shift = u32::from(host_bits);
    a.checked_shr(shift).unwrap_or(0) == b.checked_shr(shift).unwrap_or(0)
}

impl FromStr for Cidr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad =
            |why: &str| format!("{text:?} is not an address range: {why}; write for example 10.0.0.0/8 or fd00::/8");
        let (ip, prefix) = text.split_once('/').map_or((text, None), |(ip, p)| (ip, Some(p)));
        let ip: IpAddr = ip.parse().map_err(|_| bad("no address before the slash"))?;
        let most = if ip.is_ipv4() { 32 } else { 128 };
        let prefix: u8 = match prefix {
            None => most,
            Some(p) => {
                p.parse().ok().filter(|p| *p <= most).ok_or_else(|| bad(&format!("the prefix is not 0 to {most}")))?
            }
        };
        let zero = if ip.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
        // Sources are compared in their own family, so a range of IPv4-mapped addresses is the IPv4 range it means.
        if let (IpAddr::V6(v6), Some(v4)) = (ip, prefix.checked_sub(96))
            && let Some(mapped) = v6.to_ipv4_mapped()
        {
            let (own, text) = (IpAddr::V4(mapped), format!("{mapped}/{v4}"));
            return if network(own, v4) == own { Ok(Self { ip: own, prefix: v4 }) } else { text.parse() };
        }
        let range = Self { ip, prefix };
        // 10.0.0.1/8 is more often a slip than a wish for the whole of 10.0.0.0/8.
        let host_is_zero = (0..=most).any(|p| p == prefix) && network(ip, prefix) == ip;
        if !host_is_zero && ip != zero {
            return Err(bad(&format!("{} is the start of that range", network(ip, prefix))));
        }
        Ok(range)
    }
}

/// The first address of the range that `ip` is in.
fn network(ip: IpAddr, prefix: u8) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => {
            IpAddr::V4(Ipv4Addr::from(u32::from(ip) & u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)))
        }
        IpAddr::V6(ip) => {
            IpAddr::V6(Ipv6Addr::from(u128::from(ip) & u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_what_they_say() {
        let has = |range: &str, ip: &str| range.parse::<Cidr>().unwrap().contains(ip.parse().unwrap());
        assert!(has("10.0.0.0/8", "10.255.1.2") && !has("10.0.0.0/8", "11.0.0.0"));
        assert!(has("::ffff:198.18.1.0/120", "198.18.1.7") && !has("::ffff:198.18.1.0/120", "198.18.2.7"));
        assert!(has("::ffff:198.18.1.1", "198.18.1.1") && !has("::ffff:198.18.1.1", "198.18.1.2"));
        assert!("::ffff:198.18.1.1/120".parse::<Cidr>().is_err_and(|e| e.contains("198.18.1.0")));
        assert!(has("192.0.2.1", "192.0.2.1") && !has("192.0.2.1", "192.0.2.2"));
        assert!(has("0.0.0.0/0", "1.2.3.4") && !has("0.0.0.0/0", "::1"));
        assert!(has("fd00::/8", "fdff::1") && !has("fd00::/8", "fe80::1"));
        assert!(has("::/0", "::1") && has("10.0.0.0/8", "::ffff:10.1.2.3"));
        for bad in ["", "10.0.0.0/33", "10.0.0.0/x", "10.0.0.0/-1", "10.0.0.1/8", "host", "::/129", "fd00::1/8"] {
            assert!(bad.parse::<Cidr>().is_err(), "{bad:?} was taken");
        }
    }
}
