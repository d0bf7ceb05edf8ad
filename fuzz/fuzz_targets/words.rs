//! See `lowlat_fuzz::words`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lowlat_fuzz::words::run(data));
