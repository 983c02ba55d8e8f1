//! What a data core counts. Written by that core alone, read by the control core.
//!
//! **Not** rendered here: names and labels follow from the declarations.
//!
//! **Invariants**: one writer; no read-modify-write, no lock.

use control::metrics::{Counter, Gauge, HandshakeMetrics, Latency, ReactorMetrics};
use store_runtime::metrics::CacheMetrics;

/// The kind of a request, by which its time is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RouteKind {
    Hit,
    Read,
    Write,
    Other,
}

impl RouteKind {
    const WORDS: [&'static str; 4] = ["hit", "read", "write", "other"];
}

control::metrics! {
    /// Numbers of one core.
    pub(crate) struct CoreMetrics {
        /// Requests with a complete, valid head.
        requests: Counter = "corelane_http_requests_total",
        /// Responses by class of status; `100 Continue` is not counted as one.
        responses_2xx: Counter = "corelane_http_responses_total" { class = "2xx" },
        /// Responses 3xx.
        responses_3xx: Counter = "corelane_http_responses_total" { class = "3xx" },
        /// Responses 4xx, including those to malformed requests.
        responses_4xx: Counter = "corelane_http_responses_total" { class = "4xx" },
        /// Responses 5xx, including the 503 for a connection over the bound.
        responses_5xx: Counter = "corelane_http_responses_total" { class = "5xx" },
        /// Requests refused because their head or the chunks of their body were malformed.
        requests_refused: Counter = "corelane_http_requests_refused_total",
        /// Time from the parsing of a request's head until its response is in the connection's send queue. `hit`: reads answered
        /// at once from memory; `other`: all else that is answered at once. Of these, one round of a connection in 61 is
        /// measured, and requests pipelined in one round count with the round's time. `read`: every read that waited for
        /// another core or a node; `write`: every PUT and DELETE, with the time its body took.
        durations: [Latency; 4] = "corelane_http_request_duration_seconds" by "route" in RouteKind::WORDS,
        /// Connections accepted.
        accepted: Counter = "corelane_http_connections_accepted_total",
        /// Connections refused at a bound: answered 503, or closed without a response when 256 are being answered already or
        /// the core has no room for a task.
        shed: Counter = "corelane_http_connections_shed_total",
        /// Connections ended because their client was slow: with a head or a body (408), or in reading its response.
        timeouts: Counter = "corelane_http_timeouts_total",
        /// Connections cut off because the core had queued `limits.connection_memory_bytes` for clients that do not read, and this
        /// one did not.
        cut_for_memory: Counter = "corelane_http_connections_cut_total",
        /// Bodies, or copies of values, refused with 503 because `limits.body_memory_bytes` was reached and, for copies, no room came up in time.
        bodies_shed: Counter = "corelane_http_bodies_shed_total",
        /// Responses that are missing in the access log because its writer was behind.
        access_records_dropped: Counter = "corelane_access_log_dropped_total",
        /// Responses ended before their end: the value was replaced or evicted, or its node was lost, while it was read part by
        /// part.
        responses_cut: Counter = "corelane_http_responses_cut_total",
        /// Open downstream connections.
        connections: Gauge = "corelane_http_connections",
        /// Memory for request bodies being received, and for copies of values that clients have not read yet.
        body_bytes: Gauge = "corelane_http_body_bytes",
        /// Reads answered from the shard of the core that has the connection. A read is a GET or HEAD, whether it is answered
        /// 200, 206, 304, 412 or 416.
        reads_own_core: Counter = "corelane_kv_reads_total" { source = "own_core" },
        /// Reads answered from another core's shard, in place or by message.
        reads_other_core: Counter = "corelane_kv_reads_total" { source = "other_core" },
        /// Reads answered by a node, including those that waited for the same fill.
        reads_node: Counter = "corelane_kv_reads_total" { source = "node" },
        /// Reads answered 404 because there is no value.
        reads_absent: Counter = "corelane_kv_reads_total" { source = "absent" },
        /// Requests sent to the core that owns their key.
        hops: Counter = "corelane_store_hops_total",
        /// Of these: refused with 503, because too many wait or a mailbox was full.
        hops_refused: Counter = "corelane_store_hops_refused_total",
        /// Fills started: one call to a node for all reads that wait for the key.
        fills: Counter = "corelane_store_fills_total",
        /// Reads that waited for a fill under way instead of starting one.
        reads_coalesced: Counter = "corelane_store_reads_coalesced_total",
        /// Keys that are being fetched from a node.
        fills_open: Gauge = "corelane_store_fills",
        /// Calls to nodes. Repeats after MOVED, STALE or a lost connection count again.
        upstream_calls: Counter = "corelane_upstream_calls_total",
        /// Calls that failed: not sent in time, too many waiting, connection lost, or no response in time.
        upstream_call_errors: Counter = "corelane_upstream_call_errors_total",
        /// Calls refused at once because the node's breaker was open.
        breaker_refused: Counter = "corelane_upstream_breaker_refused_total",
        /// Calls refused because most nodes have another owner for the key's slot in their map of the epoch in force: the topology files
        /// differ.
        disputed: Counter = "corelane_upstream_disputed_total",
        /// Breakers opened.
        breaker_opened: Counter = "corelane_upstream_breaker_opened_total",
        /// Responses MOVED: the slot belongs to another node.
        moved: Counter = "corelane_upstream_moved_total",
        /// Responses STALE: the node's topology is older than the edge's.
        stale: Counter = "corelane_upstream_stale_total",
        /// Connections to nodes that ended or could not be made.
        upstream_connections_ended: Counter = "corelane_upstream_connections_ended_total",
        /// Connections to nodes that another has taken the place of, because they had lived for long enough.
        upstream_connections_renewed: Counter = "corelane_upstream_connections_renewed_total",
        /// Connections to nodes closed because of a malformed frame or chunk.
        upstream_frame_errors: Counter = "corelane_upstream_frame_errors_total",
        /// Connections to nodes closed because TLS failed, the HELLOs did not agree, or the HELLO was that of another node.
        upstream_hellos_refused: Counter = "corelane_upstream_hellos_refused_total",
    } with {
        /// Of the core's shard, as of its last report.
        shard: CacheMetrics,
        /// Of the core's reactor, as of its last report.
        reactor: ReactorMetrics,
        /// Of the core's handshakes with clients, as of its last report.
        handshakes: HandshakeMetrics,
    }
}

impl CoreMetrics {
    /// The time of requests that went this way.
    #[inline]
    pub(crate) fn duration(&self, route: RouteKind) -> &Latency {
        &self.durations[route as usize]
    }

    /// Requests with a complete head, and those of them answered from memory.
    pub(crate) fn requests_and_hits(&self) -> (u64, u64) {
        (self.requests.value(), self.reads_own_core.value() + self.reads_other_core.value())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use control::metrics::audit::{self, WriteChecks};

    use super::*;

    #[test]
    fn every_number_has_its_own_sample() {
        let writes: WriteChecks<CoreMetrics> = &[
            (|m| m.requests.increment(), "corelane_http_requests_total"),
            (|m| m.responses_2xx.increment(), "corelane_http_responses_total{class=\"2xx\"}"),
            (|m| m.responses_3xx.increment(), "corelane_http_responses_total{class=\"3xx\"}"),
            (|m| m.responses_4xx.increment(), "corelane_http_responses_total{class=\"4xx\"}"),
            (|m| m.responses_5xx.increment(), "corelane_http_responses_total{class=\"5xx\"}"),
            (|m| m.requests_refused.increment(), "corelane_http_requests_refused_total"),
            (
                |m| m.duration(RouteKind::Hit).record(Duration::ZERO),
                "corelane_http_request_duration_seconds{route=\"hit\"}",
            ),
            (
                |m| m.duration(RouteKind::Read).record(Duration::ZERO),
                "corelane_http_request_duration_seconds{route=\"read\"}",
            ),
            (
                |m| m.duration(RouteKind::Write).record(Duration::ZERO),
                "corelane_http_request_duration_seconds{route=\"write\"}",
            ),
            (
                |m| m.duration(RouteKind::Other).record(Duration::ZERO),
                "corelane_http_request_duration_seconds{route=\"other\"}",
            ),
            (|m| m.accepted.increment(), "corelane_http_connections_accepted_total"),
            (|m| m.shed.increment(), "corelane_http_connections_shed_total"),
            (|m| m.timeouts.increment(), "corelane_http_timeouts_total"),
            (|m| m.cut_for_memory.increment(), "corelane_http_connections_cut_total"),
            (|m| m.bodies_shed.increment(), "corelane_http_bodies_shed_total"),
            (|m| m.access_records_dropped.increment(), "corelane_access_log_dropped_total"),
            (|m| m.responses_cut.increment(), "corelane_http_responses_cut_total"),
            (|m| m.connections.set(7), "corelane_http_connections"),
            (|m| m.body_bytes.set(7), "corelane_http_body_bytes"),
            (|m| m.reads_own_core.increment(), "corelane_kv_reads_total{source=\"own_core\"}"),
            (|m| m.reads_other_core.increment(), "corelane_kv_reads_total{source=\"other_core\"}"),
            (|m| m.reads_node.increment(), "corelane_kv_reads_total{source=\"node\"}"),
            (|m| m.reads_absent.increment(), "corelane_kv_reads_total{source=\"absent\"}"),
            (|m| m.hops.increment(), "corelane_store_hops_total"),
            (|m| m.hops_refused.increment(), "corelane_store_hops_refused_total"),
            (|m| m.fills.increment(), "corelane_store_fills_total"),
            (|m| m.reads_coalesced.increment(), "corelane_store_reads_coalesced_total"),
            (|m| m.fills_open.set(7), "corelane_store_fills"),
            (|m| m.upstream_calls.increment(), "corelane_upstream_calls_total"),
            (|m| m.upstream_call_errors.increment(), "corelane_upstream_call_errors_total"),
            (|m| m.breaker_refused.increment(), "corelane_upstream_breaker_refused_total"),
            (|m| m.disputed.increment(), "corelane_upstream_disputed_total"),
            (|m| m.breaker_opened.increment(), "corelane_upstream_breaker_opened_total"),
            (|m| m.moved.increment(), "corelane_upstream_moved_total"),
            (|m| m.stale.increment(), "corelane_upstream_stale_total"),
            (|m| m.upstream_connections_ended.increment(), "corelane_upstream_connections_ended_total"),
            (|m| m.upstream_connections_renewed.increment(), "corelane_upstream_connections_renewed_total"),
            (|m| m.upstream_frame_errors.increment(), "corelane_upstream_frame_errors_total"),
            (|m| m.upstream_hellos_refused.increment(), "corelane_upstream_hellos_refused_total"),
        ];
        audit::assert_alone(writes);
    }
}
