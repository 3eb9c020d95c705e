//! See `events_fuzz::control`.
#![no_main]
#![forbid(unsafe_code)]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| events_fuzz::control(bytes));
