//! See `lowlat_fuzz::collectors`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lowlat_fuzz::collectors::run(data));
