//! See `lowlat_fuzz::probes`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lowlat_fuzz::probes::run(data));
