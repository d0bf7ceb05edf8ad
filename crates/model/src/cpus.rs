//! CPU lists as people and `smp_affinity_list` write them, and CPU masks as `rps_cpus` takes them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Highest CPU number taken: `NR_CPUS` is at most 8192 on the platforms Debian and Ubuntu build for
/// (arch/x86/Kconfig, `NR_CPUS_RANGE_END`).
pub const MAX_CPU: u32 = 8191;

/// Parses `0-2,5` into its CPUs. An empty text, a reversed range and a number above [`MAX_CPU`] are refused.
pub fn parse_list(text: &str) -> Result<BTreeSet<u32>, String> {
    let bad = || format!("{text:?} is not a CPU list; write for example 2 or 0-1,4");
    let mut cpus = BTreeSet::new();
    for part in text.trim().split(',') {
        let (low, high) = part.split_once('-').unwrap_or((part, part));
        let number = |t: &str| -> Result<u32, String> {
            if t.is_empty() || !t.bytes().all(|b| b.is_ascii_digit()) {
                return Err(bad());
            }
            t.parse().ok().filter(|n| *n <= MAX_CPU).ok_or_else(|| format!("{text:?} names a CPU above {MAX_CPU}"))
        };
        let (low, high) = (number(low)?, number(high)?);
        if low > high {
            return Err(bad());
        }
        cpus.extend(low..=high);
    }
    Ok(cpus)
}

/// Prints CPUs, given in ascending order, as the kernel's list format does: `0-2,5`. None are the empty text.
pub fn print_list<'a>(cpus: impl IntoIterator<Item = &'a u32>) -> String {
    let mut out = String::new();
    let mut rest = cpus.into_iter().copied().peekable();
    while let Some(low) = rest.next() {
        let mut high = low;
        while rest.next_if(|next| high.checked_add(1) == Some(*next)).is_some() {
            high += 1;
        }
        let comma = if out.is_empty() { "" } else { "," };
        // Writing to a String cannot fail.
        let _ = if low == high { write!(out, "{comma}{low}") } else { write!(out, "{comma}{low}-{high}") };
    }
    out
}

/// Prints CPUs as the kernel's mask format: groups of 32 bits in hex, highest first, comma-separated
/// (Documentation/core-api/printk-formats.rst, `%*pb`). The empty set is `0`.
pub fn print_mask(cpus: &BTreeSet<u32>) -> String {
    let groups = cpus.last().map_or(1, |c| c / 32 + 1);
    let mut out = String::new();
    for group in (0..groups).rev() {
        let bits = cpus.iter().filter(|c| **c / 32 == group).fold(0u32, |acc, c| acc | 1 << (c % 32));
        let _ = if out.is_empty() { write!(out, "{bits:x}") } else { write!(out, ",{bits:08x}") };
    }
    out
}

/// Parses the kernel's mask format; a number above [`MAX_CPU`] is refused.
pub fn parse_mask(text: &str) -> Result<BTreeSet<u32>, String> {
    let bad = || format!("{:?} is not a CPU mask", text.trim());
    let mut cpus = BTreeSet::new();
    for (group, digits) in (0..=MAX_CPU / 32 + 1).zip(text.trim().rsplit(',')) {
        if group > MAX_CPU / 32 || digits.is_empty() || digits.len() > 8 {
            return Err(bad());
        }
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(bad());
        }
        let bits = u32::from_str_radix(digits, 16).map_err(|_| bad())?;
        cpus.extend((0..32).filter(|b| bits & (1 << b) != 0).map(|b| group * 32 + b));
    }
    Ok(cpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(cpus: &[u32]) -> BTreeSet<u32> {
        cpus.iter().copied().collect()
    }

    #[test]
    fn as_the_kernel_writes_them() {
        assert_eq!(print_mask(&parse_list("0-1,33").unwrap()), "2,00000003");
        assert_eq!(print_mask(&BTreeSet::new()), "0");
        assert_eq!(parse_mask("00000000,00000003\n").unwrap(), parse_list("0,1").unwrap());
        assert_eq!(print_list(&parse_list("5,0-1,2,7").unwrap()), "0-2,5,7");
        assert_eq!(print_list(&[0, 1, 2, 4, 7, 8]), "0-2,4,7-8");
        assert_eq!(print_list(&[]), "");
        assert_eq!(print_list(&[u32::MAX]), u32::MAX.to_string());
    }

    #[test]
    fn what_is_not_a_list_is_refused() {
        for bad in ["", "a", "-1", "3-1", "1,,2", "+1", "0x1", "8192", "1-", " - "] {
            assert!(parse_list(bad).is_err(), "{bad:?} was taken");
        }
        for bad in ["", "g", "000000001", "1,,1", "+1", &",0".repeat(256).replacen(',', "1,", 1)] {
            assert!(parse_mask(bad).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn lists_and_masks_read_as_they_are_written() {
        // Every set of six neighbours, at the borders of the words of a mask and at the last CPU.
        for base in [0, 29, 61, MAX_CPU - 5] {
            for bits in 1u32..64 {
                let cpus = set(&(0..6).filter(|b| bits >> b & 1 == 1).map(|b| base + b).collect::<Vec<_>>());
                assert_eq!(parse_mask(&print_mask(&cpus)), Ok(cpus.clone()));
                assert_eq!(parse_list(&print_list(&cpus)), Ok(cpus));
            }
        }
    }
}
