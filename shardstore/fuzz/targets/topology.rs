//! Fuzz target: see `shardstore::fuzzing::topology`.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| shardstore::fuzzing::topology(text));
