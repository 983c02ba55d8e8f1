//! Fuzz target: see `corelane_gateway::fuzzing::normal_form`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| corelane_gateway::fuzzing::normal_form(bytes));
