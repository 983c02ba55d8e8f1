//! Settings from hostile bytes: see `control::settings::check`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| control::settings::check::settings(data));
