//! What a process knows of a key, for its operator: where it belongs, and what is stored for it.
//!
//! **Not** a way to read values; looking does not count as a use.
//!
//! **Invariants**: read in place, from the owner core's shard; no data core is asked.

use serde_json::{Map, Value, json};
use shardstore::cache::Inspection;
use shardstore::key::KeyHash;

use crate::cores::owner_core;
use crate::kind::ItemKind;
use crate::remote::Published;

/// Where a key belongs and what is stored for it; `node`: who owns its slot, if that is known. `now_ms`: steady milliseconds.
///
/// # Errors
///
/// Nobody's: its core is starting, or its place in the index changes all the time.
pub fn describe(
    shards: &Published,
    (hash, stored): (KeyHash, &[u8]),
    node: Option<u32>,
    now_ms: u64,
) -> Result<Map<String, Value>, &'static str> {
    let owner = owner_core(hash, u16::try_from(shards.len()).expect("cores are numbered by 16 bits"));
    let shard = shards[owner.index()].get().ok_or("the core that owns the key is starting")?;
    let found =
        shard.inspect(hash, stored).map_err(|_| "the key's place in the index is changing all the time; try again")?;
    Ok(Map::from_iter([
        ("slot".to_owned(), hash.slot().index().into()),
        ("core".to_owned(), owner.0.into()),
        ("node".to_owned(), node.into()),
        ("item".to_owned(), found.map(|found| item(&found, now_ms)).into()),
    ]))
}

fn item(found: &Inspection, now_ms: u64) -> Value {
    json!({
        // As a string: its 64 bits are more than many readers of JSON keep.
        "version": found.version.bits().to_string(),
        "ttl_ms": (found.expire_ms > 0).then(|| found.expire_ms.saturating_sub(now_ms)),
        "is_expired": found.expire_ms > 0 && found.expire_ms <= now_ms,
        "is_edge_copy": ItemKind::of_flags(found.flags).is_edge_copy(),
        "value_bytes": found.value_bytes,
        "is_chained": found.is_chained,
        "uses": found.frequency,
        "queue": if found.is_main { "main" } else { "small" },
        "segment_age_ms": now_ms.saturating_sub(found.segment_opened_ms),
    })
}
