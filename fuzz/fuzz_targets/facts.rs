//! See `lowlat_fuzz::facts`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lowlat_fuzz::facts::run(data));
