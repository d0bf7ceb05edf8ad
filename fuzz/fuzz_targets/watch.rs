//! See `lowlat_fuzz::watch`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lowlat_fuzz::watch::run(data));
