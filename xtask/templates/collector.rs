//! FILL IN: what of the host it reports, in a few words.

use lowlat_model::Reading;
use lowlat_sys::Sys;

crate::collector! {
    /// FILL IN: what it reports, how the figures are to be read, and where they are absent.
    pub NEW_UNIT = "new-unit";
    reads ["/proc/FILL IN"];
    sources ["FILL IN: where the format is documented, in a form of crates/model/src/source.rs"];
}

const FILE: &str = "/proc/FILL IN: the file";

/// All of it.
pub(crate) fn read(sys: &dyn Sys) -> Reading<u64> {
    sys.read(FILE).and_then(|text| parse(&text))
}

/// FILL IN: the format, as its documentation gives it.
fn parse(text: &str) -> Reading<u64> {
    match text.trim().parse() {
        Ok(value) => Reading::Value(value),
        Err(_) => Reading::Garbled(format!("{FILE} is not a number: {text:?}")),
    }
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::FakeSys;

    use super::*;

    /// FILL IN: a text as a kernel gave it, and what it says.
    const TEXT: &str = "FILL IN";

    #[test]
    fn a_text_of_a_kernel_is_read() {
        let sys = FakeSys::new().file(FILE, TEXT);
        assert_eq!(read(&sys), Reading::Value(0), "FILL IN: there is no text of a kernel yet");
    }

    #[test]
    fn what_is_not_there_is_absent() {
        assert!(matches!(read(&FakeSys::new()), Reading::Absent(_)));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "(?s).*") {
            let _ = parse(&text);
        }
    }
}
