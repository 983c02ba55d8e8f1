//! All stores keep what they are given, within their budget.

use ::shardstore::cache::Commit;
use clap::ValueEnum as _;

use crate::engine::load::key_of;
use crate::engine::store::{Buffers, Call, CallKind, Kind};

const VALUE_BYTES: u32 = 264;
const ITEM_BYTES: f64 = 300.0;

fn calls(verb: CallKind, keys: std::ops::Range<u64>) -> Vec<Call> {
    keys.map(|number| Call { verb, key: key_of(number), value_bytes: VALUE_BYTES }).collect()
}

#[test]
fn what_is_stored_is_found_and_what_is_removed_is_not() {
    for kind in Kind::value_variants() {
        let mut buffers = Buffers::new(VALUE_BYTES);
        let mut store = kind.make(16 << 20, ITEM_BYTES, Commit::AsNeeded).unwrap();
        assert_eq!(store.run(&calls(CallKind::Get, 0..1000), 1, &mut buffers), 0, "{}", kind.name());
        store.run(&calls(CallKind::Set, 0..1000), 1, &mut buffers);
        let found = store.run(&calls(CallKind::Get, 0..1000), 1, &mut buffers);
        let removed = store.run(&calls(CallKind::Delete, 500..2000), 1, &mut buffers);
        let left = store.run(&calls(CallKind::Get, 0..1000), 1, &mut buffers);
        assert_eq!((found, removed, left), (1000, 500, 500), "{}", kind.name());
    }
}

#[test]
fn the_budget_holds() {
    for kind in Kind::value_variants() {
        let mut buffers = Buffers::new(VALUE_BYTES);
        let mut store = kind.make(4 << 20, ITEM_BYTES, Commit::AtStart).unwrap();
        store.run(&calls(CallKind::Set, 0..60_000), 1, &mut buffers);
        let bytes = store.items() as f64 * ITEM_BYTES;
        // The product's cache has its own need within the budget, the others on top of it.
        assert!(bytes <= f64::from(4 << 20) && bytes > f64::from(3 << 20), "{}: {bytes}", kind.name());
    }
}
