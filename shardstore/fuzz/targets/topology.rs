//! Any text as a topology file: never a panic, and a refusal names a line of the file.

#![no_main]

use libfuzzer_sys::fuzz_target;
use shardstore::key::SlotId;
use shardstore::placement::Topology;

fuzz_target!(|text: &str| {
    match Topology::parse(text) {
        Ok(map) => {
            let owned: usize = map.nodes().iter().map(|node| map.owned_slots(node.id)).sum();
            assert_eq!(owned, SlotId::all().len(), "every slot has exactly one owner");
            assert_eq!(Topology::parse(text).as_ref(), Ok(&map));
        }
        Err(error) => {
            assert!((1..=text.lines().count() + 1).contains(&error.line()), "{error}");
            assert!(!error.to_string().is_empty());
        }
    }
});
