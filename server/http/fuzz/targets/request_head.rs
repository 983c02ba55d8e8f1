//! Fuzz target: see `corelane_http::fuzzing::request_head`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| corelane_http::fuzzing::request_head(bytes));
