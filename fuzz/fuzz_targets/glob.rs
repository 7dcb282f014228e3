//! `imageswap_fuzz::glob` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| imageswap_fuzz::glob::run(data));
