//! See `lowlat_fuzz::datagrams`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lowlat_fuzz::datagrams::run(data));
