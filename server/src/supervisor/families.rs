//! The metric families of an edge. docs/metrics.md lists them.
//!
//! **Invariants**: every counter of a core is in exactly one family.

use control::metrics::Family;

pub(super) const REQUESTS: Family =
    Family::counter("corelane_http_requests_total", "Requests with a complete, valid head.");
pub(super) const ANSWERS: Family = Family::counter("corelane_http_answers_total", "Answers by class of status.");
pub(super) const READS: Family = Family::counter(
    "corelane_cache_reads_total",
    "Reads by where they were answered: own (this core's shard), core (another's), node, absent.",
);
pub(super) const EVENTS: Family = Family::counter(
    "corelane_http_events_total",
    "What happened to connections: accepted, shed, timed out, refused as malformed, bodies shed.",
);
pub(super) const STORE: Family = Family::counter(
    "corelane_store_events_total",
    "What the store did: hops between cores, full mailboxes, fills, reads that joined a fill.",
);
pub(super) const UPSTREAM: Family = Family::counter(
    "corelane_upstream_events_total",
    "Calls to nodes, those without an answer, breaker refusals and openings, MOVED, STALE, connections that ended.",
);
pub(super) const CONNECTIONS: Family = Family::gauge("corelane_http_connections", "Open downstream connections.");
pub(super) const BODY_BYTES: Family = Family::gauge(
    "corelane_http_body_bytes",
    "Bytes of request bodies that are not stored yet, and of copies that are being sent.",
);
pub(super) const FILLS: Family = Family::gauge("corelane_store_fills", "Keys that are being fetched from a node.");
pub(super) const SHARD_ITEMS: Family = Family::gauge("corelane_shard_items", "Items in a core's shard.");
pub(super) const SHARD_BYTES: Family =
    Family::gauge("corelane_shard_bytes", "Bytes of a core's shard, by what they are: the kinds overlap.");
pub(super) const SHARD_TTL_BYTES: Family = Family::gauge(
    "corelane_shard_ttl_bytes",
    "Bytes of a core's shard by the times to live, in seconds, of the items that segments were opened for.",
);
pub(super) const SHARD_OLDEST: Family =
    Family::gauge("corelane_shard_oldest_seconds", "Age of the oldest segment of each queue of a core's shard.");
pub(super) const SHARD_EVENTS: Family = Family::counter(
    "corelane_shard_events_total",
    "What happened in a core's shard: hits, misses, inserts, evictions by reason, and so on.",
);
pub(super) const REACTOR_EVENTS: Family = Family::counter(
    "corelane_reactor_events_total",
    "Passes, completions, sends, starved receives and wakes of a core's event loop.",
);
pub(super) const REACTOR_BYTES: Family =
    Family::counter("corelane_reactor_bytes_total", "Bytes that a core has received and sent.");
pub(super) const REACTOR_TASKS: Family = Family::gauge("corelane_reactor_tasks", "Tasks of a core.");
pub(super) const REACTOR_TIMERS: Family = Family::gauge("corelane_reactor_timers", "Timers set on a core.");
pub(super) const NODE_UP: Family =
    Family::gauge("corelane_upstream_node_up", "1 if a core's breaker for the node is closed.");
pub(super) const EPOCH: Family = Family::gauge("corelane_topology_epoch", "Epoch of the topology in force.");
pub(super) const RELOADS: Family =
    Family::counter("corelane_topology_reloads_total", "Topologies that were put in force, and those refused.");

/// The family and label of each counter of [`crate::edge::metrics::CoreMetrics`], by its name.
pub(super) fn of_counter(name: &str) -> (&'static Family, &'static str, &str) {
    match name {
        "requests" => (&REQUESTS, "", ""),
        "answers_2xx" | "answers_3xx" | "answers_4xx" | "answers_5xx" => (&ANSWERS, "class", &name["answers_".len()..]),
        "hits_own" => (&READS, "source", "own"),
        "hits_core" => (&READS, "source", "core"),
        "reads_node" => (&READS, "source", "node"),
        "absent" => (&READS, "source", "absent"),
        "malformed" | "accepted" | "shed" | "timeouts" | "bodies_shed" => (&EVENTS, "event", name),
        "hops" | "mailbox_full" | "fills" | "fills_joined" => (&STORE, "event", name),
        _ => (&UPSTREAM, "event", name),
    }
}
