//! Fuzz target: see `shardstore::fuzzing::frames`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| shardstore::fuzzing::frames(bytes));
