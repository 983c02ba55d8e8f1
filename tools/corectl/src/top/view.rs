//! What happened between two samples.

use std::collections::VecDeque;

use super::histogram::LatencyBuckets;
use super::sample::{CoreSample, Sample};

/// Rates that the history keeps: as many as a wide terminal shows.
const HISTORY_MAX: usize = 240;

/// Requests per second, the latest last.
#[derive(Clone, Debug, Default)]
pub struct RateHistory(VecDeque<u64>);

impl RateHistory {
    /// Adds what a view says.
    pub fn push(&mut self, view: &TopView) {
        if self.0.len() == HISTORY_MAX {
            self.0.pop_front();
        }
        self.0.push_back(view.requests_per_s.round() as u64);
    }

    /// The last so many.
    pub(super) fn last(&self, count: usize) -> Vec<u64> {
        self.0.iter().skip(self.0.len().saturating_sub(count)).copied().collect()
    }
}

/// What is shown: the later of two samples, and what happened between them.
#[derive(Clone, Debug)]
pub struct TopView {
    pub(super) sample: Sample,
    pub(super) requests_per_s: f64,
    pub(super) errors_per_s: f64,
    pub(super) cores: Vec<CoreRates>,
    /// Of those histograms to which something was added.
    pub(super) latencies: Vec<(String, LatencyBuckets)>,
}

/// A data core between two samples.
#[derive(Clone, Debug)]
pub(super) struct CoreRates {
    pub(super) core: CoreSample,
    pub(super) requests_per_s: f64,
    pub(super) sent_bytes_per_s: f64,
    /// Share of a CPU.
    pub(super) load: Option<f64>,
}

impl TopView {
    /// Of two samples; `before` may be of a process that has been started anew since, which is then not used.
    #[must_use]
    pub fn between(before: Option<&Sample>, sample: Sample) -> Self {
        let before = before.filter(|before| before.totals.uptime_s < sample.totals.uptime_s);
        let since_s = sample.totals.uptime_s - before.map_or(0.0, |before| before.totals.uptime_s);
        let per_s =
            |after: u64, before: Option<u64>| after.saturating_sub(before.unwrap_or(0)) as f64 / since_s.max(1e-3);
        let cores = sample.cores.iter().map(|core| {
            let was = before.and_then(|before| before.cores.iter().find(|was| was.id == core.id));
            CoreRates {
                requests_per_s: per_s(core.requests, was.map(|was| was.requests)),
                sent_bytes_per_s: per_s(core.sent_bytes, was.map(|was| was.sent_bytes)),
                load: core
                    .cpu_s
                    .map(|cpu_s| (cpu_s - was.and_then(|was| was.cpu_s).unwrap_or(0.0)) / since_s.max(1e-3)),
                core: core.clone(),
            }
        });
        let added = sample.histograms.iter().map(|(name, histogram)| {
            (name.clone(), histogram.since(before.and_then(|before| before.histograms.get(name))))
        });
        TopView {
            requests_per_s: per_s(sample.totals.requests, before.map(|before| before.totals.requests)),
            errors_per_s: per_s(sample.totals.errors, before.map(|before| before.totals.errors)),
            cores: cores.collect(),
            latencies: added.filter(|(_, histogram)| histogram.count() > 0).collect(),
            sample,
        }
    }
}
