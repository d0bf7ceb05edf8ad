//! See `lowlat_fuzz::irtt`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lowlat_fuzz::irtt::run(data));
