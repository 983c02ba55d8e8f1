//! Fuzz target: see `corelane_http::fuzzing::chunked_body`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| corelane_http::fuzzing::chunked_body(bytes));
