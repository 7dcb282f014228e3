//! `imageswap_fuzz::image` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| imageswap_fuzz::image::run(data));
