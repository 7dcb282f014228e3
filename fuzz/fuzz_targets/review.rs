//! `imageswap_fuzz::review` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| imageswap_fuzz::review::run(data));
