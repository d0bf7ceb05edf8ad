//! See `lowlat_fuzz::captured`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lowlat_fuzz::captured::run(data));
