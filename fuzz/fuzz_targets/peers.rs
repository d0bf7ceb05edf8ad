//! See `lowlat_fuzz::peers`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lowlat_fuzz::peers::run(data));
