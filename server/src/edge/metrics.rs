//! What a data core counts. Written by that core alone, read by the control core.
//!
//! **Not** rendered here: names and labels are the control core's business.
//!
//! **Invariants**: one writer; no read-modify-write, no lock.

use control::metrics::{Counter, Gauge};
use store_runtime::gauges::CacheGauges;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counters of one core, monotone since its start.
        #[derive(Default)]
        pub(crate) struct CoreMetrics {
            $($(#[$doc])* pub(crate) $name: Counter,)*
            /// Open downstream connections.
            pub(crate) connections: Gauge,
            /// Bytes of request bodies, and of copies that clients have not taken yet.
            pub(crate) body_bytes: Gauge,
            /// Keys being filled.
            pub(crate) fills_open: Gauge,
            /// What the shard holds, as of its last report.
            pub(crate) shard: CacheGauges,
            /// What the reactor has counted, as of its last report.
            pub(crate) reactor: ReactorGauges,
        }

        impl CoreMetrics {
            /// Every counter with its name.
            pub(crate) fn counters(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name.value()),)*]
            }
        }
    };
}

counters! {
    /// Requests with a complete, valid head.
    requests,
    /// Answers 2xx.
    answers_2xx,
    /// Answers 3xx.
    answers_3xx,
    /// Answers 4xx.
    answers_4xx,
    /// Answers 5xx.
    answers_5xx,
    /// Reads answered from this core's own shard.
    hits_own,
    /// Reads answered from another core's shard.
    hits_core,
    /// Reads answered by a node.
    reads_node,
    /// Reads of what is nowhere.
    absent,
    /// Heads or bodies that were refused as malformed.
    malformed,
    /// Connections accepted.
    accepted,
    /// Connections shed at the bound.
    shed,
    /// Connections closed for slowness: head, body, or reading our answer.
    timeouts,
    /// Asks sent to another core.
    hops,
    /// Asks shed because a mailbox was full.
    mailbox_full,
    /// Fills started.
    fills,
    /// Reads that joined a fill under way.
    fills_joined,
    /// Calls to nodes.
    node_calls,
    /// Calls to nodes without an answer.
    node_errors,
    /// Calls refused by an open breaker.
    breaker_refused,
    /// Breakers opened.
    breaker_opened,
    /// Answers MOVED.
    moved,
    /// Answers STALE.
    stale,
    /// Connections to nodes that ended.
    link_ended,
    /// Connections to nodes ended by a frame error.
    link_frame_errors,
    /// Handshakes with nodes refused.
    link_hello_refused,
    /// Bodies refused because too many are being received.
    bodies_shed,
}

/// Gauges of a reactor.
#[derive(Default)]
pub(crate) struct ReactorGauges {
    pub(crate) passes: Gauge,
    pub(crate) completions: Gauge,
    pub(crate) sends: Gauge,
    pub(crate) received_bytes: Gauge,
    pub(crate) sent_bytes: Gauge,
    pub(crate) starved: Gauge,
    pub(crate) wakes: Gauge,
    pub(crate) overflows: Gauge,
    pub(crate) held_back: Gauge,
    pub(crate) accept_errors: Gauge,
    pub(crate) tasks: Gauge,
    pub(crate) timers: Gauge,
}
