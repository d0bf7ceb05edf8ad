//! See `lowlat_fuzz::cmsg`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lowlat_fuzz::cmsg::run(data));
