//! Fuzz target: see `shardstore::fuzzing::hello`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| shardstore::fuzzing::hello(bytes));
