//! See `online_alter::internals::fuzz::events`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| online_alter::internals::fuzz::events(data));
