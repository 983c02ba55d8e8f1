//! `/v1/debug/key/{keyspace}/{key}`: where a key belongs, and what this process knows of it.
//!
//! **Not** a way to read values; looking does not count as a use.
//!
//! **Invariants**: read in place, from the owner core's shard; no data core is asked.

use control::admin::{AdminPage, PageRequest};
use corelane_http::problem::Problem;
use corelane_http::target::percent_decode;
use corelane_http::{Method, Status};
use serde_json::{Value, json};
use shardstore::cache::Inspection;
use shardstore::key::{KEY_BYTES_MAX, KeyHash, StoredKey};
use store_runtime::cores::owner_core;
use store_runtime::kind::ItemKind;

use super::Supervisor;
use crate::snapshot::keyspaces;

/// Where the pages of keys are.
const PREFIX: &str = "/v1/debug/key/";

/// The page of a key; `None` when the path is none of a key.
pub(super) fn page(supervisor: &Supervisor, request: &PageRequest<'_>) -> Option<AdminPage> {
    let rest = request.path.strip_prefix(PREFIX)?;
    if !matches!(request.method, Method::Get | Method::Head) {
        return Some(problem(Status::MethodNotAllowed, "method-not-allowed", "this page can only be read"));
    }
    let Some((keyspace, raw_key)) = rest.split_once('/') else {
        return Some(problem(Status::NotFound, "not-found", "the path is /v1/debug/key/KEYSPACE/KEY"));
    };
    if keyspace.as_bytes() != keyspaces::DEFAULT && !supervisor.snapshot().settings.keyspace.contains_key(keyspace) {
        let detail = "there is no such keyspace; keyspaces are declared in the configuration as [keyspace.NAME]";
        return Some(problem(Status::NotFound, "unknown-keyspace", detail));
    }
    let (mut decoded, mut stored) = (Vec::new(), Vec::new());
    let Ok(key) = percent_decode(raw_key.as_bytes(), &mut decoded, KEY_BYTES_MAX) else {
        return Some(problem(
            Status::BadRequest,
            "bad-key",
            "a key is 1 to 4096 bytes, percent-encoded where it must be",
        ));
    };
    if StoredKey::encode(keyspace.as_bytes(), key, &mut stored).is_err() {
        return Some(problem(
            Status::BadRequest,
            "bad-key",
            "a key is 1 to 4096 bytes, percent-encoded where it must be",
        ));
    }
    Some(describe(supervisor, (keyspace, key), &stored))
}

fn describe(supervisor: &Supervisor, (keyspace, key): (&str, &[u8]), stored: &[u8]) -> AdminPage {
    let hash = supervisor.hasher.hash(stored);
    let owner = owner_core(hash, supervisor.metrics.len() as u16);
    let Some(shard) = supervisor.shards[owner.index()].get() else {
        return problem(Status::ServiceUnavailable, "unavailable", "the core that owns the key is starting");
    };
    let Ok(found) = shard.inspect(hash, stored) else {
        return problem(
            Status::ServiceUnavailable,
            "unavailable",
            "the key's place in the index is changing all the time; try again",
        );
    };
    let item = found.map(|found| describe_item(supervisor, &found));
    let page = json!({
        "keyspace": keyspace,
        "key": String::from_utf8_lossy(key),
        "slot": hash.slot().index(),
        "core": owner.0,
        "node": owner_node(supervisor, hash),
        "item": item,
    });
    AdminPage::json(Status::Ok, &page)
}

/// The node that owns the key's slot; none in embedded mode.
fn owner_node(supervisor: &Supervisor, hash: KeyHash) -> Option<u32> {
    supervisor.snapshot().topology.as_ref().map(|topology| topology.owner(hash.slot()).id.0)
}

fn describe_item(supervisor: &Supervisor, found: &Inspection) -> Value {
    let now_ms = supervisor.reactor.steady_ms();
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

fn problem(status: Status, slug: &'static str, detail: &'static str) -> AdminPage {
    AdminPage::problem(&Problem { limit: None, status, slug, detail })
}
