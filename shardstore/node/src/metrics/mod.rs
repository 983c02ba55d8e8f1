//! What a node counts: one block of numbers per data core, written by that core and read by anyone.
//!
//! **Not**: their text form, or what the cache and the reactor count, which both binaries have.
//!
//! **Invariants**: a core writes only its own block; nothing here allocates but [`stats`].
//!
//! **Source**: docs/metrics.md; docs/wire.md, "STATS".

mod named;

use std::time::Duration;

use control::metrics::audit::sample_name;
use control::metrics::reference::ReferenceTable;
use control::metrics::{Counter, Gauge, HandshakeMetrics, Kind, Latency, ReactorMetrics, sums};
use crossbeam_utils::CachePadded;
use shardstore::wire::stats::{Stat, StatKind, Stats};
use shardstore::wire::{Opcode, Status};
use store_runtime::metrics::CacheMetrics;

use named::{FAULTS, NamedCounters};

/// Numbers of all data cores.
#[derive(Debug)]
pub(crate) struct NodeMetrics {
    pub(crate) cores: Box<[CachePadded<NodeCoreMetrics>]>,
}

impl NodeMetrics {
    pub(crate) fn new(cores: usize) -> Self {
        NodeMetrics { cores: (0..cores).map(|_| CachePadded::default()).collect() }
    }

    /// The sum of one number over all cores.
    pub(crate) fn sum(&self, of: impl Fn(&NodeCoreMetrics) -> u64) -> u64 {
        self.cores.iter().map(|core| of(core)).sum()
    }
}

control::metrics! {
    /// Numbers of one data core.
    pub(crate) struct NodeCoreMetrics {
        /// Requests received; a batch is one. HELLOs are not counted.
        requests: [Counter; Opcode::ALL.len()] = "corelane_node_requests_total" by "operation" in OPERATIONS,
        /// Time from the receipt of a request until its response is in the connection's send queue. One receive buffer of a
        /// connection in 61 is measured, and requests of one buffer count with the buffer's time. Buffers with a request that
        /// waited for another core are not measured.
        durations: [Latency; Opcode::ALL.len()] = "corelane_node_request_duration_seconds" by "operation" in OPERATIONS,
        /// Responses by status, including those that QUIET suppressed; entries of a batch are not counted. docs/wire.md explains each.
        responses: [Counter; Status::ALL.len()] = "corelane_node_responses_total" by "status" in STATUSES,
        /// Frames and HELLOs that were refused; most of them end their connection. docs/wire.md, "Errors",
        /// explains each; `other` is one without a name of its own.
        faults: NamedCounters = "corelane_node_faults_total" by "reason" in FAULTS,
        /// Connections accepted.
        accepted: Counter = "corelane_node_connections_accepted_total",
        /// Connections closed at once because their core had reached its bound of connections.
        refused_full: Counter = "corelane_node_connections_shed_total",
        /// Connections handed over to the core that their HELLO named.
        handed_over: Counter = "corelane_node_connections_handed_over_total",
        /// Connections not handed over because the mailbox of that core was full.
        handover_refused: Counter = "corelane_node_handovers_refused_total",
        /// Connections closed because their HELLO did not arrive in time.
        hello_timed_out: Counter = "corelane_node_hellos_timed_out_total",
        /// Connections closed after `limits.idle_timeout` without a request.
        idle: Counter = "corelane_node_connections_idle_total",
        /// Connections cut because their peer did not read.
        slow_reader: Counter = "corelane_node_slow_readers_total",
        /// Connections cut because the core had no memory left for frames that have come in part.
        frame_refused: Counter = "corelane_node_connections_cut_total",
        /// Connections that ended with an error of the network.
        lost: Counter = "corelane_node_connections_lost_total",
        /// Requests, or parts of a batch, sent to another core of the node.
        hop: Counter = "corelane_store_hops_total",
        /// Of these: answered BUSY, because too many wait or a mailbox was full.
        hop_refused: Counter = "corelane_store_hops_refused_total",
        /// GETs answered from another core's shard, read in place.
        read_in_place: Counter = "corelane_store_reads_in_place_total",
        /// Requests answered BUSY because their peer had more in flight than it was granted.
        over_credit: Counter = "corelane_node_over_credit_total",
        /// Requests that were not served because their deadline had passed.
        deadline_missed: Counter = "corelane_node_deadlines_missed_total",
        /// Requests whose key's hash disagreed with the slot of their frame.
        slot_mismatch: Counter = "corelane_node_slot_mismatches_total",
        /// Requests of a peer with an older epoch, whose response has the flag MAP_HINT.
        hinted: Counter = "corelane_node_epoch_hints_total",
        /// Times a peer knew a newer epoch and the control core was asked to read the topology again.
        topology_wanted: Counter = "corelane_node_newer_epochs_total",
        /// Open connections.
        connections: Gauge = "corelane_node_connections",
        /// Requests and parts of batches that wait for another core.
        hops_waiting: Gauge = "corelane_store_hops_waiting",
        /// Copies of large values that are being sent.
        copied_bytes: Gauge = "corelane_node_copied_bytes",
        /// Values that arrive in chunks, as far as they have come.
        assembling_bytes: Gauge = "corelane_node_assembling_bytes",
    } with {
        /// Of the core's shard, refreshed every so often.
        cache: CacheMetrics,
        /// Of the core's reactor, refreshed every so often.
        reactor: ReactorMetrics,
        /// Of the core's handshakes with its peers, refreshed every so often.
        handshakes: HandshakeMetrics,
    }
}

const OPERATIONS: [&str; Opcode::ALL.len()] = {
    let mut words = [""; Opcode::ALL.len()];
    let mut index = 0;
    while index < words.len() {
        words[index] = Opcode::ALL[index].name();
        index += 1;
    }
    words
};

const STATUSES: [&str; Status::ALL.len()] = {
    let mut words = [""; Status::ALL.len()];
    let mut index = 0;
    while index < words.len() {
        words[index] = Status::ALL[index].name();
        index += 1;
    }
    words
};

/// What happens to connections and requests beside answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Accepted,
    RefusedFull,
    HandedOver,
    HandoverRefused,
    HelloTimedOut,
    Idle,
    SlowReader,
    FrameRefused,
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

/// How much a core had been asked at some point.
pub(crate) struct RequestsSoFar {
    requests: [u64; Opcode::ALL.len()],
    hops: u64,
}

impl NodeCoreMetrics {
    #[inline]
    pub(crate) fn note(&self, event: Event) {
        let counter = match event {
            Event::Accepted => &self.accepted,
            Event::RefusedFull => &self.refused_full,
            Event::HandedOver => &self.handed_over,
            Event::HandoverRefused => &self.handover_refused,
            Event::HelloTimedOut => &self.hello_timed_out,
            Event::Idle => &self.idle,
            Event::SlowReader => &self.slow_reader,
            Event::FrameRefused => &self.frame_refused,
            Event::Lost => &self.lost,
            Event::Hop => &self.hop,
            Event::HopRefused => &self.hop_refused,
            Event::ReadInPlace => &self.read_in_place,
            Event::OverCredit => &self.over_credit,
            Event::DeadlineMissed => &self.deadline_missed,
            Event::SlotMismatch => &self.slot_mismatch,
            Event::Hinted => &self.hinted,
            Event::TopologyWanted => &self.topology_wanted,
        };
        counter.increment();
    }

    #[inline]
    pub(crate) fn note_request(&self, opcode: Opcode) {
        self.requests[opcode_index(opcode)].increment();
    }

    /// Requests by operation, and how many of all were handed to another core.
    pub(crate) fn requests_so_far(&self) -> RequestsSoFar {
        RequestsSoFar { requests: self.requests.each_ref().map(Counter::value), hops: self.hop.value() }
    }

    /// Counts the time of what has been requested since, unless some of it was handed to another core.
    pub(crate) fn note_duration(&self, since: &RequestsSoFar, time: Duration) {
        let now = self.requests_so_far();
        if now.hops != since.hops {
            return;
        }
        for ((latency, now), before) in self.durations.iter().zip(now.requests).zip(since.requests) {
            latency.record_times(time, now - before);
        }
    }

    #[inline]
    pub(crate) fn note_response(&self, status: Status) {
        self.responses[usize::from(status.number())].increment();
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
        Opcode::Read => 8,
        Opcode::Stats => 9,
        Opcode::Topology => 10,
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

/// The payload of an answer to STATS: sums over the cores of all counters and gauges, under the names of `/metrics`.
pub(crate) fn stats(metrics: &NodeMetrics) -> Vec<u8> {
    let sums = sums(metrics.cores.iter().map(|core| &**core));
    let named: Vec<_> = sums.iter().map(|sum| (sample_name(sum.family, sum.word), sum)).collect();
    let listed: Vec<Stat<'_>> = named
        .iter()
        .map(|(name, sum)| {
            let kind = if sum.family.kind() == Kind::Counter { StatKind::Counter } else { StatKind::Gauge };
            Stat { name, kind, value: sum.number }
        })
        .collect();
    let mut payload = Vec::new();
    Stats::write(&mut payload, &listed).expect("the names are ours: short, printable, and few");
    payload
}

/// What a node counts beside what every process counts, as docs/metrics.md lists it.
#[must_use]
pub fn metric_tables() -> Vec<ReferenceTable> {
    vec![ReferenceTable::of_own::<NodeCoreMetrics>("node", true)]
}

#[cfg(test)]
mod tests {
    use control::metrics::audit::{self, WriteChecks};
    use control::metrics::reference::{assert_same, refreshed};

    use super::*;

    #[test]
    fn every_number_has_its_own_sample() {
        let writes: WriteChecks<NodeCoreMetrics> = &[
            (|m| m.note_request(Opcode::Mget), "corelane_node_requests_total{operation=\"mget\"}"),
            (|m| m.note_response(Status::Busy), "corelane_node_responses_total{status=\"busy\"}"),
            (
                |m| m.durations[opcode_index(Opcode::Get)].record(Duration::ZERO),
                "corelane_node_request_duration_seconds{operation=\"get\"}",
            ),
            (|m| m.faults.note("header_crc"), "corelane_node_faults_total{reason=\"header_crc\"}"),
            (|m| m.note(Event::Accepted), "corelane_node_connections_accepted_total"),
            (|m| m.note(Event::RefusedFull), "corelane_node_connections_shed_total"),
            (|m| m.note(Event::HandedOver), "corelane_node_connections_handed_over_total"),
            (|m| m.note(Event::HandoverRefused), "corelane_node_handovers_refused_total"),
            (|m| m.note(Event::HelloTimedOut), "corelane_node_hellos_timed_out_total"),
            (|m| m.note(Event::Idle), "corelane_node_connections_idle_total"),
            (|m| m.note(Event::SlowReader), "corelane_node_slow_readers_total"),
            (|m| m.note(Event::FrameRefused), "corelane_node_connections_cut_total"),
            (|m| m.note(Event::Lost), "corelane_node_connections_lost_total"),
            (|m| m.note(Event::Hop), "corelane_store_hops_total"),
            (|m| m.note(Event::HopRefused), "corelane_store_hops_refused_total"),
            (|m| m.note(Event::ReadInPlace), "corelane_store_reads_in_place_total"),
            (|m| m.note(Event::OverCredit), "corelane_node_over_credit_total"),
            (|m| m.note(Event::DeadlineMissed), "corelane_node_deadlines_missed_total"),
            (|m| m.note(Event::SlotMismatch), "corelane_node_slot_mismatches_total"),
            (|m| m.note(Event::Hinted), "corelane_node_epoch_hints_total"),
            (|m| m.note(Event::TopologyWanted), "corelane_node_newer_epochs_total"),
            (|m| m.connections.set(7), "corelane_node_connections"),
            (|m| m.hops_waiting.set(7), "corelane_store_hops_waiting"),
            (|m| m.copied_bytes.set(7), "corelane_node_copied_bytes"),
            (|m| m.assembling_bytes.set(7), "corelane_node_assembling_bytes"),
        ];
        audit::assert_alone(writes);
    }

    #[test]
    fn operations_and_statuses_are_counted_under_their_names() {
        for opcode in Opcode::ALL {
            let metrics = NodeCoreMetrics::default();
            metrics.note_request(*opcode);
            let name = opcode.name();
            assert_eq!(audit::changed(&metrics), [format!("corelane_node_requests_total{{operation=\"{name}\"}}")]);
        }
        for status in Status::ALL {
            let metrics = NodeCoreMetrics::default();
            metrics.note_response(*status);
            let name = status.name();
            assert_eq!(audit::changed(&metrics), [format!("corelane_node_responses_total{{status=\"{name}\"}}")]);
        }
    }

    #[test]
    fn a_buffers_time_is_that_of_its_requests() {
        let metrics = NodeCoreMetrics::default();
        metrics.note_request(Opcode::Get);
        let before = metrics.requests_so_far();
        metrics.note_request(Opcode::Get);
        metrics.note_request(Opcode::Get);
        metrics.note_request(Opcode::Set);
        metrics.note_duration(&before, Duration::from_micros(5));
        let count = |opcode| metrics.durations[opcode_index(opcode)].count();
        assert_eq!([Opcode::Get, Opcode::Set, Opcode::Ping].map(count), [2, 1, 0]);
        metrics.note(Event::Hop);
        metrics.note_duration(&before, Duration::from_micros(5));
        assert_eq!(count(Opcode::Get), 2, "what waits for another core has not been answered");
    }

    #[test]
    fn stats_are_sums_over_the_cores() {
        let metrics = NodeMetrics::new(3);
        metrics.cores[0].connections.set(2);
        metrics.cores[2].connections.set(5);
        metrics.cores[1].note_request(Opcode::Get);
        let payload = stats(&metrics);
        let found: Vec<_> = Stats::parse(&payload).unwrap().iter().filter(|stat| stat.value > 0).collect();
        let expected = [
            Stat { name: "corelane_node_requests_total{operation=\"get\"}", kind: StatKind::Counter, value: 1 },
            Stat { name: "corelane_node_connections", kind: StatKind::Gauge, value: 7 },
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn the_reference_is_up_to_date() {
        let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");
        let found = std::fs::read_to_string(document).unwrap();
        let expected = refreshed(&found, &metric_tables()).expect("docs/metrics.md has all markers");
        assert_same(document, &found, &expected);
    }
}
