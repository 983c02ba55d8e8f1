//! The totals with which `/v1/status` begins, and their rates over the last seconds.
//!
//! **Not** for data cores: the control core notes the sums over cores here, once a second.
//!
//! **Invariants**: rates are over at most `WINDOW_SAMPLES` seconds, so that they are current, however often they are read.

use std::cell::RefCell;
use std::collections::VecDeque;

use reactor::Instant;
use serde_json::{Value, json};

use crate::build;
use crate::metrics::ProcessUsage;

/// Seconds that a rate is over, and the one they begin with.
const WINDOW_SAMPLES: usize = 11;

/// Sums over the cores of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Requests.
    pub requests: u64,
    /// Requests that failed for our own reasons.
    pub errors: u64,
    /// Reads that were answered from the memory of this process.
    pub hits: u64,
    /// All reads.
    pub reads: u64,
    /// Open connections.
    pub connections: u64,
    /// Items in the shards.
    pub items: u64,
    /// Memory of the shards in use, index included.
    pub memory_used_bytes: u64,
    /// What they may use.
    pub memory_limit_bytes: u64,
}

/// The totals of the last seconds.
pub struct Activity {
    started: Instant,
    samples: RefCell<VecDeque<(Instant, Totals)>>,
}

impl Activity {
    /// Of a process that starts now.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { started: now, samples: RefCell::new(VecDeque::from([(now, Totals::default())])) }
    }

    /// Takes in the totals of this second.
    pub fn note(&self, now: Instant, totals: Totals) {
        let mut samples = self.samples.borrow_mut();
        samples.push_back((now, totals));
        if samples.len() > WINDOW_SAMPLES {
            samples.pop_front();
        }
    }

    /// The totals of now as JSON, with rates over the last seconds.
    #[must_use]
    pub fn render(&self, now: Instant, totals: Totals) -> Value {
        let samples = self.samples.borrow();
        let (since, before) = *samples.front().expect("a sample leaves when another comes");
        let seconds = now.since(since).as_secs_f64();
        let rate = |of: fn(&Totals) -> u64| {
            let count = of(&totals).saturating_sub(of(&before));
            if seconds > 0.0 { (count as f64 / seconds * 10.0).round() / 10.0 } else { 0.0 }
        };
        let recent_reads = totals.reads.saturating_sub(before.reads);
        json!({
            "uptime_seconds": now.since(self.started).as_millis() as f64 / 1000.0,
            "requests": totals.requests,
            "requests_per_second": rate(|totals| totals.requests),
            "hit_ratio": ratio(totals.hits, totals.reads),
            "hit_ratio_recent": ratio(totals.hits.saturating_sub(before.hits), recent_reads),
            "errors": totals.errors,
            "errors_per_second": rate(|totals| totals.errors),
            "connections": totals.connections,
            "items": totals.items,
            "memory_used_bytes": totals.memory_used_bytes,
            "memory_limit_bytes": totals.memory_limit_bytes,
        })
    }
}

impl Activity {
    /// The same in words, for a line.
    #[must_use]
    pub fn summary(&self, now: Instant, totals: Totals) -> String {
        let status = self.render(now, totals);
        let mut text = format!("{} connections, {} requests/s", totals.connections, status["requests_per_second"]);
        if let Some(ratio) = status["hit_ratio_recent"].as_f64() {
            text += &format!(", hit ratio {:.1} %", ratio * 100.0);
        }
        text
    }
}

/// What the process uses, as the object `process`.
#[must_use]
pub fn process(usage: &ProcessUsage) -> Value {
    let by_thread: serde_json::Map<_, _> =
        usage.cpu_s_by_thread().map(|(name, seconds)| (name.to_owned(), seconds.into())).collect();
    json!({
        "digest": build::digest(),
        "resident_bytes": usage.resident_bytes,
        "cpu_seconds": usage.cpu_s(),
        "cpu_seconds_by_thread": by_thread,
        "threads": usage.thread_count,
        "open_file_descriptors": usage.descriptor_count,
    })
}

/// A part of a whole, to a ten-thousandth; `null` of nothing.
fn ratio(part: u64, whole: u64) -> Value {
    if whole == 0 { Value::Null } else { json!((part as f64 / whole as f64 * 10_000.0).round() / 10_000.0) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn rates_are_of_the_last_seconds() {
        let start = Instant::from_nanos(0) + Duration::from_secs(100);
        let activity = Activity::new(start);
        let at = |second: u64| {
            let totals = Totals { requests: second * second, hits: second, reads: 2 * second, ..Totals::default() };
            (start + Duration::from_secs(second), totals)
        };
        for second in 0..=30 {
            let (now, totals) = at(second);
            activity.note(now, totals);
        }
        let (now, totals) = at(30);
        let status = activity.render(now, totals);
        assert_eq!(status["uptime_seconds"], 30.0);
        assert_eq!(status["requests_per_second"], 50.0, "900 less 400 in 10 s");
        assert_eq!((&status["hit_ratio"], &status["hit_ratio_recent"]), (&json!(0.5), &json!(0.5)));
        assert_eq!(status["errors_per_second"], 0.0);
        assert_eq!(activity.summary(now, totals), "0 connections, 50.0 requests/s, hit ratio 50.0 %");
    }

    #[test]
    fn a_process_that_has_done_nothing_has_no_ratio() {
        let activity = Activity::new(Instant::from_nanos(0));
        let status = activity.render(Instant::from_nanos(0), Totals::default());
        assert_eq!((&status["hit_ratio"], &status["requests_per_second"]), (&Value::Null, &json!(0.0)));
        let summary = activity.summary(Instant::from_nanos(0), Totals { connections: 3, ..Totals::default() });
        assert_eq!(summary, "3 connections, 0.0 requests/s");
    }
}
