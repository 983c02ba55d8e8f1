//! Fuzz target: see `corelane_http::fuzzing::response_head`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| corelane_http::fuzzing::response_head(bytes));
