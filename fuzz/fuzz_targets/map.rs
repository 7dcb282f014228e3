//! `imageswap_fuzz::map` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| imageswap_fuzz::map::run(data));
