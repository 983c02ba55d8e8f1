//! What one core of the generator has seen: answers, their latencies, and what went wrong.
//!
//! Two accounts are kept. A *window* is one second as it passes, for people and for the steady state: it counts what happens in
//! it. The *measured* account is the result: it counts requests by the instant at which they were due, whenever they are
//! answered, so that none that is slow falls out.
//!
//! **Not** judging: `validity` does.
//!
//! **Invariants**: of the requests due in the measured span, each is counted as answered, failed or given up, once.
//!
//! **Source**: Tene, "How NOT to measure latency" (coordinated omission); HdrHistogram.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::results::log;

/// Longest latency told apart, in nanoseconds: longer ones count as this.
const LATENCY_NS_MAX: u64 = 100_000_000_000;

/// Significant digits of a latency: an error of 0.1 %.
const DIGITS: u8 = 3;

/// Status codes told apart; a server that answers with more kinds has its rarer ones counted together.
const STATUSES_MAX: usize = 16;

/// Why a request has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestFailure {
    /// No connection could be made.
    Connect,
    /// The connection ended or failed before the answer.
    Closed,
    /// No answer in time.
    TimedOut,
    /// A status that the scenario does not expect.
    Status,
    /// A body that the scenario does not expect.
    Body,
    /// Bytes that are no answer.
    Malformed,
}

/// How many requests have failed, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failures {
    pub(crate) connect: u64,
    pub(crate) closed: u64,
    pub(crate) timed_out: u64,
    pub(crate) status: u64,
    pub(crate) body: u64,
    pub(crate) malformed: u64,
}

impl Failures {
    /// Counts one.
    pub(crate) fn count(&mut self, failure: RequestFailure) {
        *match failure {
            RequestFailure::Connect => &mut self.connect,
            RequestFailure::Closed => &mut self.closed,
            RequestFailure::TimedOut => &mut self.timed_out,
            RequestFailure::Status => &mut self.status,
            RequestFailure::Body => &mut self.body,
            RequestFailure::Malformed => &mut self.malformed,
        } += 1;
    }

    /// Each reason with its number.
    pub(crate) fn each(&self) -> [(&'static str, u64); 6] {
        [
            ("connect", self.connect),
            ("closed", self.closed),
            ("timed out", self.timed_out),
            ("status", self.status),
            ("body", self.body),
            ("malformed", self.malformed),
        ]
    }

    /// Requests that have failed. An attempt to connect that failed is no request.
    pub(crate) fn total(&self) -> u64 {
        self.each().iter().map(|(_, count)| count).sum::<u64>() - self.connect
    }

    /// Adds another account.
    pub(crate) fn add(&mut self, other: &Self) {
        self.connect += other.connect;
        self.closed += other.closed;
        self.timed_out += other.timed_out;
        self.status += other.status;
        self.body += other.body;
        self.malformed += other.malformed;
    }
}

/// An account of requests.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RequestTally {
    /// Requests that were due.
    pub(crate) due: u64,
    /// Requests that were sent.
    pub(crate) sent: u64,
    /// Requests with a right answer.
    pub(crate) answered: u64,
    /// GETs among them whose key was there, and was not; counted where a scenario expects both.
    pub(crate) hits: u64,
    pub(crate) misses: u64,
    /// Bytes of bodies in these answers.
    pub(crate) body_bytes: u64,
    pub(crate) failures: Failures,
    /// Requests that found every connection busy when they were due.
    pub(crate) waited: u64,
    /// From the instant a request was due to its right answer, in nanoseconds.
    #[serde(with = "log::base64")]
    pub(crate) latency: Histogram<u64>,
    /// How long after its instant a request was written that need not wait for a connection, in nanoseconds.
    #[serde(with = "log::base64")]
    pub(crate) lateness: Histogram<u64>,
    /// How often each status was answered.
    pub(crate) statuses: Vec<(u16, u64)>,
    /// Time the core had nothing to do, and time in all, in nanoseconds.
    pub(crate) idle_ns: u64,
    pub(crate) elapsed_ns: u64,
    /// Share of the run that an agent waited for CPUs; the largest of those that were added.
    pub(crate) cpu_waited: f64,
}

/// What latencies are counted in.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_NS_MAX, DIGITS).expect("the bounds are constants that make sense")
}

impl Default for RequestTally {
    fn default() -> Self {
        Self {
            due: 0,
            sent: 0,
            answered: 0,
            hits: 0,
            misses: 0,
            body_bytes: 0,
            failures: Failures::default(),
            waited: 0,
            latency: histogram(),
            lateness: histogram(),
            statuses: Vec::with_capacity(STATUSES_MAX),
            idle_ns: 0,
            elapsed_ns: 0,
            cpu_waited: 0.0,
        }
    }
}

impl RequestTally {
    /// Counts right answers that came `latency_ns` after they were due, with bodies of `body_bytes` together.
    #[inline]
    pub(crate) fn count_answers(&mut self, count: u64, latency_ns: u64, body_bytes: u64) {
        self.answered += count;
        self.body_bytes += body_bytes;
        self.latency.saturating_record_n(latency_ns.max(1), count);
    }

    /// Counts a status of `count` answers, right or not.
    #[inline]
    pub(crate) fn count_status(&mut self, status: u16, count: u64) {
        match self.statuses.iter().position(|(known, _)| *known == status) {
            Some(place) => self.statuses[place].1 += count,
            None if self.statuses.len() < STATUSES_MAX => self.statuses.push((status, count)),
            // 0 is no status: the others.
            None => self.statuses[STATUSES_MAX - 1] = (0, self.statuses[STATUSES_MAX - 1].1 + count),
        }
    }

    /// Adds another account: of another core, another second, or another agent.
    pub(crate) fn add(&mut self, other: &Self) {
        self.due += other.due;
        self.sent += other.sent;
        self.answered += other.answered;
        self.hits += other.hits;
        self.misses += other.misses;
        self.body_bytes += other.body_bytes;
        self.failures.add(&other.failures);
        self.waited += other.waited;
        self.latency.add(&other.latency).expect("all histograms have the same bounds");
        self.lateness.add(&other.lateness).expect("all histograms have the same bounds");
        for (status, count) in &other.statuses {
            match self.statuses.iter_mut().find(|(known, _)| known == status) {
                Some((_, sum)) => *sum += count,
                None => self.statuses.push((*status, *count)),
            }
        }
        self.idle_ns += other.idle_ns;
        self.elapsed_ns += other.elapsed_ns;
        self.cpu_waited = self.cpu_waited.max(other.cpu_waited);
    }

    /// Requests that are neither answered nor failed.
    pub(crate) fn outstanding(&self) -> u64 {
        self.due.saturating_sub(self.answered + self.failures.total())
    }

    /// Share of the GETs whose key was there, from 0 to 1; none if there were no GETs, or they may not miss.
    pub(crate) fn hit_ratio(&self) -> Option<f64> {
        let reads = self.hits + self.misses;
        (reads > 0).then(|| self.hits as f64 / reads as f64)
    }

    /// Share of the time in which the core worked, from 0 to 1.
    pub(crate) fn busy(&self) -> f64 {
        if self.elapsed_ns == 0 { 0.0 } else { 1.0 - self.idle_ns as f64 / self.elapsed_ns as f64 }
    }
}

/// The accounts of a core. Each request is in one of the first two, so that it is counted once.
#[derive(Default)]
pub(super) struct Accounts {
    /// Of this window, requests that are measured.
    measured: RequestTally,
    /// Of this window, those that are not.
    other: RequestTally,
    /// Of all windows before, requests that are measured.
    pub(super) result: RequestTally,
}

impl Accounts {
    /// The account of a request that is measured, or is not.
    #[inline]
    pub(super) fn of(&mut self, measured: bool) -> &mut RequestTally {
        if measured { &mut self.measured } else { &mut self.other }
    }

    /// Ends a window; returns all that was in it.
    pub(super) fn end_window(&mut self) -> RequestTally {
        self.result.add(&self.measured);
        let mut window = std::mem::take(&mut self.other);
        window.add(&std::mem::take(&mut self.measured));
        window
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_add_up() {
        let mut one = RequestTally { due: 3, sent: 3, idle_ns: 30, elapsed_ns: 100, ..RequestTally::default() };
        one.count_answers(1, 1_000, 128);
        one.count_status(200, 1);
        one.failures.count(RequestFailure::Body);
        let mut other = RequestTally { due: 2, sent: 1, idle_ns: 70, elapsed_ns: 100, ..RequestTally::default() };
        other.count_answers(1, 3_000, 128);
        other.count_status(200, 1);
        other.count_status(404, 1);
        assert_eq!(one.hit_ratio(), None);
        (one.hits, other.hits, other.misses) = (1, 2, 1);
        one.add(&other);
        assert_eq!((one.hits, one.misses, one.hit_ratio()), (3, 1, Some(0.75)));
        assert_eq!((one.due, one.sent, one.answered, one.body_bytes, one.failures.total()), (5, 4, 2, 256, 1));
        assert_eq!((one.outstanding(), one.busy()), (2, 0.5));
        assert_eq!(one.statuses, [(200, 2), (404, 1)]);
        assert_eq!((one.latency.len(), one.latency.max() / 100), (2, 30));
        let text = serde_json::to_string(&one).expect("it is plain data");
        let told: RequestTally = serde_json::from_str(&text).expect("it was written so");
        assert_eq!((&told.latency, told.due, &told.statuses), (&one.latency, one.due, &one.statuses));
        let latency = serde_json::to_value(&one).expect("it is plain data")["latency"].to_string();
        assert!(serde_json::from_str::<RequestTally>(&text.replace(&latency, "\"AAAA\"")).is_err());
    }

    #[test]
    fn an_attempt_to_connect_is_no_request() {
        let mut tally = RequestTally { due: 5, ..RequestTally::default() };
        tally.failures.count(RequestFailure::Connect);
        tally.failures.count(RequestFailure::TimedOut);
        assert_eq!((tally.failures.total(), tally.outstanding()), (1, 4));
    }

    #[test]
    fn statuses_are_bounded() {
        let mut tally = RequestTally::default();
        (200..300).for_each(|status| tally.count_status(status, 1));
        assert_eq!(tally.statuses.len(), STATUSES_MAX);
        assert_eq!(tally.statuses.iter().map(|(_, count)| count).sum::<u64>(), 100);
    }
}
