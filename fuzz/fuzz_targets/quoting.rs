//! See `online_alter::internals::fuzz::quoting`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| online_alter::internals::fuzz::quoting(data));
