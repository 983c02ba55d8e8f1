//! Settings from hostile bytes: see `control::settings::check`.

#![no_main]

use control::settings::check;
use corelane::settings::EdgeSettings;
use shardstored::settings::NodeSettings;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    check::settings::<EdgeSettings>(data);
    check::settings::<NodeSettings>(data);
});
