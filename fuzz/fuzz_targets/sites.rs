//! `imageswap_fuzz::sites` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| imageswap_fuzz::sites::run(data));
