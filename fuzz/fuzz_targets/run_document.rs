//! See `lowlat_fuzz::run_document`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lowlat_fuzz::run_document::run(data));
