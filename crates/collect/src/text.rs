//! The small formats that many kernel files share.

use lowlat_model::{Reading, cpus};

/// A CPU list as `%*pbl` prints it: `0-3,8`, empty for none.
///
/// `(null)` is what `/sys/devices/system/cpu/nohz_full` says where the mask was never allocated
/// (drivers/base/cpu.c, `print_cpus_nohz_full`, before 6.12).
pub(crate) fn cpu_list(text: &str) -> Reading<Vec<u32>> {
    let text = text.trim();
    if text.is_empty() || text == "(null)" {
        return Reading::Value(Vec::new());
    }
    cpus::parse_list(text).map_or_else(|_| garbled("CPU list", text), |cpus| Reading::Value(cpus.into_iter().collect()))
}

/// A CPU mask as `%*pb` prints it: hexadecimal words of 32 bits with commas between them, the highest first.
pub(crate) fn cpu_mask(text: &str) -> Reading<Vec<u32>> {
    let text = text.trim();
    cpus::parse_mask(text).map_or_else(|_| garbled("CPU mask", text), |cpus| Reading::Value(cpus.into_iter().collect()))
}

/// Trims what the kernel put around one value.
pub(crate) fn trimmed(reading: Reading<String>) -> Reading<String> {
    reading.map(|t| t.trim().to_owned())
}

/// `Garbled`, with the offending text cut to a readable length.
pub(crate) fn garbled<T>(what: &str, text: &str) -> Reading<T> {
    let shown: String = text.chars().take(80).collect();
    Reading::Garbled(format!("{what}: {shown:?} does not parse"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lists_and_masks() {
        assert_eq!(cpu_list("0-2,8\n"), Reading::Value(vec![0, 1, 2, 8]));
        assert_eq!(cpu_list("\n"), Reading::Value(vec![]));
        assert_eq!(cpu_list("(null)\n"), Reading::Value(vec![]));
        assert_eq!(cpu_list("3-1"), Reading::Garbled("CPU list: \"3-1\" does not parse".into()));
        assert!(matches!(cpu_list("0-4294967295"), Reading::Garbled(_)));
        assert_eq!(cpu_mask("00000001,80000003\n"), Reading::Value(vec![0, 1, 31, 32]));
        assert_eq!(cpu_mask("0"), Reading::Value(vec![]));
        assert!(matches!(cpu_mask(""), Reading::Garbled(_)));
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC*") {
            let _ = cpu_list(&text);
            let _ = cpu_mask(&text);
        }

        #[test]
        fn a_mask_says_which_bits_are_set(bits: u64) {
            let text = format!("{:08x},{:08x}", bits >> 32, bits & 0xffff_ffff);
            let want: Vec<u32> = (0..64).filter(|b| bits >> b & 1 == 1).collect();
            prop_assert_eq!(cpu_mask(&text), Reading::Value(want));
        }
    }
}
