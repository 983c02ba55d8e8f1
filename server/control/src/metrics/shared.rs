//! Groups that both binaries have, with one name and one meaning for each fact.
//!
//! **Not** counted here: a core copies what its reactor has counted, a few times in a second.
//!
//! **Source**: `reactor::ReactorCounters`.

use reactor::{Holdings, ReactorCounters};

use super::counter::{Counter, Gauge};

crate::metrics! {
    /// What a core's event loop holds and has done.
    pub struct ReactorMetrics from (ReactorCounters, Holdings) {
        /// Passes of the event loop.
        passes: Counter = "corelane_reactor_passes_total" => |(counters, _)| counters.passes,
        /// Completions that the kernel reported. Completions per pass say how much one pass shares.
        completions: Counter = "corelane_reactor_completions_total" => |(counters, _)| counters.completions,
        /// Sends started: at most one per connection and pass.
        sends: Counter = "corelane_reactor_sends_total" => |(counters, _)| counters.sends,
        /// Bytes received by all connections of the core.
        received_bytes: Counter = "corelane_reactor_received_bytes_total" => |(counters, _)| counters.received_bytes,
        /// Bytes sent by all connections of the core.
        sent_bytes: Counter = "corelane_reactor_sent_bytes_total" => |(counters, _)| counters.sent_bytes,
        /// Receives that ended because all receive buffers were lent; they are resumed when some are back.
        starved: Counter = "corelane_reactor_starved_total" => |(counters, _)| counters.starved,
        /// Receives that were stopped because the connection's task did not read.
        held_back: Counter = "corelane_reactor_held_back_total" => |(counters, _)| counters.held_back,
        /// Other cores woken by a system call or a ring message.
        wakes: Counter = "corelane_reactor_wakes_total" => |(counters, _)| counters.wakes,
        /// Completions that found no room in the kernel's queue. They are kept, at a cost: raise an issue if this grows.
        overflows: Counter = "corelane_reactor_overflows_total" => |(counters, _)| counters.overflows,
        /// Accepts that failed, most likely for want of file descriptors.
        accept_errors: Counter = "corelane_reactor_accept_errors_total" => |(counters, _)| counters.accept_errors,
        /// Error number of the last accept that failed (errno(3)); 0 if none has.
        accept_errno: Gauge = "corelane_reactor_accept_errno" => |(counters, _)| counters.accept_errno,
        /// Tasks that have not ended; a connection is one.
        tasks: Gauge = "corelane_reactor_tasks" => |(_, holdings)| holdings.tasks as u64,
        /// Memory of send buffers whose bytes the kernel has not taken.
        queued_bytes: Gauge = "corelane_reactor_send_queue_bytes" => |(_, holdings)| holdings.queued_bytes as u64,
        /// Timers that are set.
        timers: Gauge = "corelane_reactor_timers" => |(_, holdings)| holdings.timers as u64,
    }
}

crate::metrics! {
    /// The topology of the process. One for the process, written by the control core.
    pub struct TopologyMetrics {
        /// Epoch of the topology in force; 0 in embedded mode.
        epoch: Gauge = "corelane_topology_epoch",
        /// Slots that this process owns: none at an edge.
        slots_owned: Gauge = "corelane_topology_slots_owned",
        /// Slots that changes of the topology gave to another node; what they held is dropped (`corelane_cache_disowned_total`).
        slots_lost: Counter = "corelane_topology_slots_lost_total",
        /// Topologies that were put in force after the one that the process started with.
        reloads: Counter = "corelane_topology_reloads_total",
        /// Times a peer knew a newer epoch than the one in force, and the file was read again. Nothing else follows from it.
        hints: Counter = "corelane_topology_hints_total",
        /// Topologies that were refused; the log says why, with the line.
        refused: Counter = "corelane_topology_refused_total",
    }
}

crate::metrics! {
    /// The wall clock as the process sees it. One for the process, written by the control core.
    pub struct ClockMetrics {
        /// Steps of the wall clock by 250 ms or more, to an earlier time. The log says by how much. Ages and lifetimes do not
        /// depend on the wall clock; dates and versions do.
        steps_back: Counter = "corelane_wall_clock_steps_total" { direction = "back" },
        /// Steps to a later time.
        steps_forward: Counter = "corelane_wall_clock_steps_total" { direction = "forward" },
    }
}

crate::metrics! {
    /// The settings of the process. One for the process, written by the control core.
    pub struct ConfigMetrics {
        /// Settings and topologies put in force since the start, the first included.
        generation: Gauge = "corelane_config_generation",
        /// Settings that were read again and put in force.
        applied: Counter = "corelane_config_reloads_total" { result = "applied" },
        /// Settings that were read again and changed nothing that can change while the process runs.
        unchanged: Counter = "corelane_config_reloads_total" { result = "unchanged" },
        /// Settings that were refused; the log has every error.
        refused: Counter = "corelane_config_reloads_total" { result = "refused" },
    }
}

crate::metrics! {
    /// The files of certificates, keys and authorities. One for the process, written by the control core.
    pub struct SecurityMetrics {
        /// Certificates, keys, authorities or lists of what was revoked that were read again and put in force.
        applied: Counter = "corelane_tls_reloads_total" { result = "applied" },
        /// Times that something of them was refused; the log names the file and the reason.
        refused: Counter = "corelane_tls_reloads_total" { result = "refused" },
    }
}

#[cfg(test)]
mod tests {
    use super::super::audit::{self, CopyChecks, WriteChecks};
    use super::*;

    #[test]
    fn every_number_of_a_reactor_has_its_own_sample() {
        let sources: CopyChecks<(ReactorCounters, Holdings)> = &[
            (|s| s.0.passes = 7, "corelane_reactor_passes_total"),
            (|s| s.0.completions = 7, "corelane_reactor_completions_total"),
            (|s| s.0.sends = 7, "corelane_reactor_sends_total"),
            (|s| s.0.received_bytes = 7, "corelane_reactor_received_bytes_total"),
            (|s| s.0.sent_bytes = 7, "corelane_reactor_sent_bytes_total"),
            (|s| s.0.starved = 7, "corelane_reactor_starved_total"),
            (|s| s.0.held_back = 7, "corelane_reactor_held_back_total"),
            (|s| s.0.wakes = 7, "corelane_reactor_wakes_total"),
            (|s| s.0.overflows = 7, "corelane_reactor_overflows_total"),
            (|s| s.0.accept_errors = 7, "corelane_reactor_accept_errors_total"),
            (|s| s.0.accept_errno = 7, "corelane_reactor_accept_errno"),
            (|s| s.1.tasks = 7, "corelane_reactor_tasks"),
            (|s| s.1.queued_bytes = 7, "corelane_reactor_send_queue_bytes"),
            (|s| s.1.timers = 7, "corelane_reactor_timers"),
        ];
        audit::assert_copied(sources, ReactorMetrics::publish);
    }

    #[test]
    fn every_number_of_a_topology_has_its_own_sample() {
        let writes: WriteChecks<TopologyMetrics> = &[
            (|t| t.epoch.set(7), "corelane_topology_epoch"),
            (|t| t.slots_owned.set(7), "corelane_topology_slots_owned"),
            (|t| t.slots_lost.increment(), "corelane_topology_slots_lost_total"),
            (|t| t.hints.increment(), "corelane_topology_hints_total"),
            (|t| t.reloads.increment(), "corelane_topology_reloads_total"),
            (|t| t.refused.increment(), "corelane_topology_refused_total"),
        ];
        audit::assert_alone(writes);
    }

    #[test]
    fn every_number_of_the_clock_has_its_own_sample() {
        let writes: WriteChecks<ClockMetrics> = &[
            (|c| c.steps_back.increment(), "corelane_wall_clock_steps_total{direction=\"back\"}"),
            (|c| c.steps_forward.increment(), "corelane_wall_clock_steps_total{direction=\"forward\"}"),
        ];
        audit::assert_alone(writes);
    }

    #[test]
    fn every_number_of_the_files_of_security_has_its_own_sample() {
        let writes: WriteChecks<SecurityMetrics> = &[
            (|s| s.applied.increment(), "corelane_tls_reloads_total{result=\"applied\"}"),
            (|s| s.refused.increment(), "corelane_tls_reloads_total{result=\"refused\"}"),
        ];
        audit::assert_alone(writes);
    }

    #[test]
    fn every_number_of_the_settings_has_its_own_sample() {
        let writes: WriteChecks<ConfigMetrics> = &[
            (|c| c.generation.set(7), "corelane_config_generation"),
            (|c| c.applied.increment(), "corelane_config_reloads_total{result=\"applied\"}"),
            (|c| c.unchanged.increment(), "corelane_config_reloads_total{result=\"unchanged\"}"),
            (|c| c.refused.increment(), "corelane_config_reloads_total{result=\"refused\"}"),
        ];
        audit::assert_alone(writes);
    }
}
