//! See `lowlat_fuzz::sample_log`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lowlat_fuzz::sample_log::run(data));
