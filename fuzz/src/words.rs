//! Small texts of people and of the kernel: address ranges, durations, lists of interrupts, hexadecimal.

use lowlat_model::units::parse_duration_ns;
use lowlat_peers::serve::Cidr;

/// Text.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Err(e) = text.parse::<Cidr>() {
        assert!(!e.contains('\n'), "more than one line: {e:?}");
    }
    if let Ok(ns) = parse_duration_ns(&text) {
        assert!(ns > 0);
    }
    let _ = lowlat_sys::irqs::actions(&text);
    if let Some(bytes) = lowlat_sys::hex::bytes_of(&text) {
        assert_eq!(lowlat_sys::hex::text_of(&bytes), text.to_lowercase());
    }
}
