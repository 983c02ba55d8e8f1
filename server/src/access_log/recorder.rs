//! A data core's side: which responses are logged, and their way into the queue.
//!
//! **Not** formatting, and **not** waiting: a queue that is full drops the record and counts it.
//!
//! **Invariants**: no allocation, lock or log; the clock is read for responses that are in the sample, and for others only
//! when `access_log.slow` asks how long they took; the writer is woken at most once in [`NUDGE_RECORDS`] records.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use reactor::{Connection, Instant, Random, Reactor};

use super::record::{AccessRecord, RequestLine, ResponseNote};
use super::{CorePort, Downstream, RECORDS_PER_CORE};
use crate::metrics::CoreMetrics;
use crate::settings::AccessLogSettings;

/// Records in the queue at which its writer is woken before it would look by itself.
const NUDGE_RECORDS: usize = RECORDS_PER_CORE / 4;

/// Statuses from here on are always logged.
const FAILED_STATUS: u16 = 500;

/// Records the responses of a core.
pub(crate) struct Recorder {
    reactor: Reactor,
    /// `None` where nobody writes.
    port: RefCell<Option<CorePort>>,
    is_on: Cell<bool>,
    /// `None`: however long.
    slow: Cell<Option<Duration>>,
    sampling: RefCell<Sampling>,
    metrics: Arc<CoreMetrics>,
}

/// Why a response is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Chosen {
    is_sampled: bool,
    duration: Duration,
}

impl Recorder {
    /// For the core of `reactor`; without a port nothing is recorded whatever the settings say.
    pub(crate) fn new(
        reactor: &Reactor,
        port: Option<CorePort>,
        settings: &AccessLogSettings,
        metrics: &Arc<CoreMetrics>,
    ) -> Self {
        let recorder = Recorder {
            reactor: reactor.clone(),
            port: RefCell::new(port),
            is_on: Cell::new(false),
            slow: Cell::new(None),
            sampling: RefCell::new(Sampling::new(settings.sample, reactor.random())),
            metrics: Arc::clone(metrics),
        };
        recorder.adopt(settings);
        recorder
    }

    /// Goes on by other settings.
    pub(crate) fn adopt(&self, settings: &AccessLogSettings) {
        self.is_on.set(settings.path.is_some() && self.port.borrow().is_some());
        self.slow.set(Some(settings.slow).filter(|slow| !slow.is_zero()));
        self.sampling.borrow_mut().set(settings.sample);
    }

    /// Whether responses are logged.
    #[inline(always)]
    pub(crate) fn is_on(&self) -> bool {
        self.is_on.get()
    }

    /// Begins the record of a request that takes longer than its poll. It is counted already.
    pub(crate) fn begin(
        &self,
        request: &RequestLine<'_>,
        (connection, downstream): (&Connection, &mut Downstream),
    ) -> AccessRecord {
        AccessRecord {
            listener: downstream.listener,
            core: self.reactor.core().0,
            connection_requests: downstream.requests,
            ..AccessRecord::of(request, downstream.client(connection))
        }
    }

    /// Records a response that is written, if it is to be logged; `began` is when its request was.
    pub(crate) fn record(
        &self,
        request: &RequestLine<'_>,
        from: (&Connection, &mut Downstream),
        response: &ResponseNote,
        began: Instant,
    ) {
        if let Some(chosen) = self.choose(response.status, began) {
            self.push(self.begin(request, from), response, chosen);
        }
    }

    /// The same with a record that was begun.
    pub(crate) fn end(&self, record: &AccessRecord, response: &ResponseNote, began: Instant) {
        if let Some(chosen) = self.choose(response.status, began) {
            self.push(*record, response, chosen);
        }
    }

    fn choose(&self, status: u16, began: Instant) -> Option<Chosen> {
        let is_sampled = self.sampling.borrow_mut().take();
        let is_failed = status >= FAILED_STATUS;
        let slow = self.slow.get();
        if !is_sampled && !is_failed && slow.is_none() {
            return None;
        }
        let duration = self.reactor.read_clock().since(began);
        let is_slow = slow.is_some_and(|slow| duration >= slow);
        (is_sampled || is_failed || is_slow).then_some(Chosen { is_sampled, duration })
    }

    fn push(&self, mut record: AccessRecord, response: &ResponseNote, chosen: Chosen) {
        record.time_ms = self.reactor.wall_ms();
        record.response = *response;
        record.is_sampled = chosen.is_sampled;
        record.set_duration(chosen.duration);
        let mut port = self.port.borrow_mut();
        let Some(CorePort { records, writer }) = &mut *port else { return };
        if records.push(record).is_err() {
            self.metrics.access_records_dropped.increment();
            return;
        }
        if records.has_turned(NUDGE_RECORDS)
            && records.queued() >= NUDGE_RECORDS
            && let Some(writer) = writer
        {
            writer.unpark();
        }
    }
}

/// One response in so many, at random: the requests of a client that come in a pattern are in the sample like any others.
#[derive(Debug)]
struct Sampling {
    one_in: u32,
    /// Responses until the next one that is in the sample.
    left: u64,
    random: Random,
}

impl Sampling {
    fn new(one_in: u32, seed: u64) -> Self {
        let mut sampling = Sampling { one_in: 0, left: 0, random: Random::new(seed) };
        sampling.set(one_in);
        sampling
    }

    fn set(&mut self, one_in: u32) {
        if self.one_in != one_in {
            self.one_in = one_in;
            self.draw();
        }
    }

    fn take(&mut self) -> bool {
        self.left -= 1;
        let is_taken = self.left == 0;
        if is_taken {
            self.draw();
        }
        is_taken
    }

    /// Draws a distance of 1 to 2 N − 1, N on average.
    fn draw(&mut self) {
        self.left = 1 + self.random.below(2 * u64::from(self.one_in) - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_so_many_is_in_the_sample() {
        for one_in in [1, 2, 10, 1000] {
            let mut sampling = Sampling::new(one_in, 7);
            let times = 200_000;
            let taken = (0..times).filter(|_| sampling.take()).count();
            let expected = times / one_in as usize;
            let spread = if one_in == 1 { 0 } else { expected / 5 };
            assert!(taken.abs_diff(expected) <= spread, "{taken} of {times}, one in {one_in}");
        }
    }

    #[test]
    fn a_change_of_the_sample_holds_at_once() {
        let mut sampling = Sampling::new(1_000_000, 7);
        sampling.set(1);
        assert!(sampling.take() && sampling.take());
    }
}
