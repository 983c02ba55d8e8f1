//! What a core's TLS handshakes with those that connect to it have come to.
//!
//! **Not** the handshakes with those that it connects to itself: their faults are those of the connection.

use corelane_tls::handshake::fault::LABELS as FAULTS;
use corelane_tls::handshake::gate::HandshakeCounts;

use super::{Counter, Gauge};

crate::metrics! {
    /// TLS handshakes with clients, or with edges and nodes. One for each core.
    pub struct HandshakeMetrics {
        /// Handshakes that were done, by how, and those that failed.
        full: Counter = "corelane_tls_handshakes_total" { kind = "full" },
        /// Resumed ones.
        resumed: Counter = "corelane_tls_handshakes_total" { kind = "resumed" },
        /// Failed ones.
        failed: Counter = "corelane_tls_handshakes_total" { kind = "failed" },
        /// Those that failed, by why. `shed`: more than `tls.handshakes_waiting` waited.
        faults: [Counter; FAULTS.len()] = "corelane_tls_handshake_faults_total" by "fault" in FAULTS,
        /// Connections that sent early data (0-RTT), by what became of these: `unconfirmed` are accepted ones whose client did not finish the handshake in time.
        early_accepted: Counter = "corelane_tls_early_data_total" { result = "accepted" },
        /// Those whose early data were thrown away.
        early_refused: Counter = "corelane_tls_early_data_total" { result = "refused" },
        /// Those whose client has not finished.
        early_unconfirmed: Counter = "corelane_tls_early_data_total" { result = "unconfirmed" },
        /// Handshakes that wait for their turn.
        waiting: Gauge = "corelane_tls_handshakes_waiting",
    }
}

impl HandshakeMetrics {
    /// Takes over what a core has counted, and how many wait.
    pub fn publish(&self, counts: &HandshakeCounts, waiting: usize) {
        self.full.set(counts.full);
        self.resumed.set(counts.resumed);
        self.failed.set(counts.failed_total());
        for (fault, count) in self.faults.iter().zip(counts.failed) {
            fault.set(count);
        }
        self.early_accepted.set(counts.early_accepted);
        self.early_refused.set(counts.early_refused);
        self.early_unconfirmed.set(counts.early_unconfirmed);
        self.waiting.set(waiting as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::super::audit::{self, WriteChecks};
    use super::*;

    fn counts(full: u64, resumed: u64, failed: u64) -> HandshakeCounts {
        let mut counts = HandshakeCounts { full, resumed, ..HandshakeCounts::default() };
        counts.failed[0] = failed;
        counts
    }

    fn early(early_accepted: u64, early_refused: u64, early_unconfirmed: u64) -> HandshakeCounts {
        HandshakeCounts { early_accepted, early_refused, early_unconfirmed, ..HandshakeCounts::default() }
    }

    #[test]
    fn every_number_of_handshakes_has_its_own_sample() {
        let writes: WriteChecks<HandshakeMetrics> = &[
            (|m| m.publish(&counts(7, 0, 0), 0), "corelane_tls_handshakes_total{kind=\"full\"}"),
            (|m| m.publish(&counts(0, 7, 0), 0), "corelane_tls_handshakes_total{kind=\"resumed\"}"),
            (|m| m.failed.set(7), "corelane_tls_handshakes_total{kind=\"failed\"}"),
            (|m| m.faults[0].set(7), "corelane_tls_handshake_faults_total{fault=\"not_tls\"}"),
            (|m| m.publish(&early(7, 0, 0), 0), "corelane_tls_early_data_total{result=\"accepted\"}"),
            (|m| m.publish(&early(0, 7, 0), 0), "corelane_tls_early_data_total{result=\"refused\"}"),
            (|m| m.publish(&early(0, 0, 7), 0), "corelane_tls_early_data_total{result=\"unconfirmed\"}"),
            (|m| m.publish(&counts(0, 0, 0), 7), "corelane_tls_handshakes_waiting"),
        ];
        audit::assert_alone(writes);
    }

    #[test]
    fn a_fault_is_counted_under_its_word_and_in_the_sum() {
        let metrics = HandshakeMetrics::default();
        metrics.publish(&counts(0, 0, 7), 0);
        assert_eq!((metrics.failed.value(), metrics.faults[0].value(), metrics.faults[1].value()), (7, 7, 0));
    }
}
