//! Fuzz target: see `corelane_tls::fuzzing::tls_accept`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| corelane_tls::fuzzing::tls_accept(bytes));
