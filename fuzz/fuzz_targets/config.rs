//! See `lowlat_fuzz::config`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lowlat_fuzz::config::run(data));
