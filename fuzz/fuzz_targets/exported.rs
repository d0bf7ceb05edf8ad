//! See `lowlat_fuzz::exported`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lowlat_fuzz::exported::run(data));
