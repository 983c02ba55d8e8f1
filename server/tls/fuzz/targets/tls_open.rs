//! Fuzz target: see `corelane_tls::fuzzing::tls_open`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| corelane_tls::fuzzing::tls_open(bytes));
