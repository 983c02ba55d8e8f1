//! What a node counts: one block of numbers per data core, written by that core and read by anyone.
//!
//! **Not**: their text form ([`families`]), or what the cache counts ([`CacheGauges`] is a copy of that).
//!
//! **Invariants**: a core writes only its own block; nothing here allocates.
//!
//! **Source**: docs/metrics.md.

mod families;
mod named;

use control::metrics::{Counter, Gauge};
use crossbeam_utils::CachePadded;
use shardstore::wire::{Opcode, Status};
use store_runtime::gauges::CacheGauges;

pub(crate) use families::{render, stats};
use named::Named;

/// Numbers of all data cores.
#[derive(Debug)]
pub(crate) struct NodeMetrics {
    pub(crate) cores: Box<[CachePadded<CoreMetrics>]>,
}

impl NodeMetrics {
    pub(crate) fn new(cores: usize) -> Self {
        NodeMetrics { cores: (0..cores).map(|_| CachePadded::default()).collect() }
    }

    /// The sum of one number over all cores.
    pub(crate) fn sum(&self, of: impl Fn(&CoreMetrics) -> u64) -> u64 {
        self.cores.iter().map(|core| of(core)).sum()
    }
}

/// Numbers of one data core.
#[derive(Debug, Default)]
pub(crate) struct CoreMetrics {
    /// By position in [`Opcode::ALL`].
    pub(crate) requests: [Counter; Opcode::ALL.len()],
    /// By position in [`Status::ALL`].
    pub(crate) answers: [Counter; Status::ALL.len()],
    /// What ended connections or made frames unusable, by name.
    pub(crate) faults: Named,
    /// What was done to connections, by name.
    pub(crate) events: [Counter; EVENTS.len()],
    /// Connections that are open.
    pub(crate) connections: Gauge,
    /// Requests waiting for another core.
    pub(crate) hops_waiting: Gauge,
    /// Bytes of copies of large values on their way to slow readers.
    pub(crate) copied_bytes: Gauge,
    /// Bytes claimed by values that arrive in chunks.
    pub(crate) assembling_bytes: Gauge,
    /// Received by the reactor.
    pub(crate) received_bytes: Gauge,
    /// Sent by the reactor.
    pub(crate) sent_bytes: Gauge,
    /// Of the cache, refreshed every so often.
    pub(crate) cache: CacheGauges,
}

/// What happens to connections and requests beside answers: a counter each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Event {
    Accepted,
    RefusedFull,
    HandedOver,
    HandoverRefused,
    HelloTimedOut,
    Idle,
    SlowReader,
    Lost,
    Hop,
    HopRefused,
    ReadInPlace,
    OverCredit,
    DeadlineMissed,
    SlotMismatch,
    Hinted,
    TopologyWanted,
}

/// Names of [`Event`]s, in their order.
pub(crate) const EVENTS: [&str; 16] = [
    "accepted",
    "refused_full",
    "handed_over",
    "handover_refused",
    "hello_timed_out",
    "idle",
    "slow_reader",
    "lost",
    "hop",
    "hop_refused",
    "read_in_place",
    "over_credit",
    "deadline_missed",
    "slot_mismatch",
    "hinted",
    "topology_wanted",
];

const _: () = assert!(Event::TopologyWanted as usize + 1 == EVENTS.len(), "every event has a name");

impl CoreMetrics {
    #[inline]
    pub(crate) fn note(&self, event: Event) {
        self.events[event as usize].increment();
    }

    #[inline]
    pub(crate) fn note_request(&self, opcode: Opcode) {
        self.requests[opcode_index(opcode)].increment();
    }

    #[inline]
    pub(crate) fn note_answer(&self, status: Status) {
        self.answers[usize::from(status.number())].increment();
    }
}

/// The position in [`Opcode::ALL`].
#[inline]
const fn opcode_index(opcode: Opcode) -> usize {
    match opcode {
        Opcode::Hello => 0,
        Opcode::Ping => 1,
        Opcode::Get => 2,
        Opcode::Set => 3,
        Opcode::Delete => 4,
        Opcode::Touch => 5,
        Opcode::Mget => 6,
        Opcode::Mset => 7,
        Opcode::Stats => 8,
        Opcode::Topology => 9,
    }
}

const _: () = {
    let mut index = 0;
    while index < Opcode::ALL.len() {
        assert!(opcode_index(Opcode::ALL[index]) == index, "the table follows Opcode::ALL");
        index += 1;
    }
    let mut index = 0;
    while index < Status::ALL.len() {
        assert!(Status::ALL[index].number() as usize == index, "statuses are numbered without gaps");
        index += 1;
    }
};
