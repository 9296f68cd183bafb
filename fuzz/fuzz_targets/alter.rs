//! See `online_alter::internals::fuzz::alter`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| online_alter::internals::fuzz::alter(data));
