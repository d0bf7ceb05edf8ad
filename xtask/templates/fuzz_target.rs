//! See `lowlat_fuzz::new_unit`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lowlat_fuzz::new_unit::run(data));
