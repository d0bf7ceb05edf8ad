//! See `lowlat_fuzz::xdp`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lowlat_fuzz::xdp::run(data));
