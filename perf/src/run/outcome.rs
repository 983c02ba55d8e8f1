//! The result of a run, as `result.json` has it; the schema is described in docs/perf-scenarios.md.
//!
//! **Invariants**: a run that is not valid has no latencies; times are in the unit their name ends with.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::conduct::Conducted;
use super::reason::{Kind, Reasons};
use super::scenario::Scenario;
use super::tally::{Failures, RequestTally};
pub(crate) use super::timeline::TimelineSample;
use super::validity;
use crate::system::fingerprint::{Fingerprint, commit};
use crate::system::listening::Usage;

/// Moves whenever a field changes its meaning or goes.
pub(crate) const SCHEMA: u32 = 1;

/// Length of a clock tick as the kernel tells user programs: 1/100 s on every architecture we run on.
const TICK_NS: f64 = 1e7;

/// A run and what it showed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) schema: u32,
    pub(crate) title: String,
    pub(crate) valid: bool,
    #[serde(flatten)]
    pub(crate) invalid_reasons: Reasons,
    /// Whether it was ended before its time; what there is was measured until then.
    pub(crate) partial: bool,
    pub(crate) started: String,
    pub(crate) seconds_measured: f64,
    /// Requests per second that were due, and that were answered as expected.
    pub(crate) rate_due: f64,
    pub(crate) rate_answered: f64,
    pub(crate) requests_due: u64,
    pub(crate) requests_answered: u64,
    pub(crate) body_bytes_per_second: f64,
    /// From the instant a request was due to its answer; none if the run is not valid.
    pub(crate) latency: Option<LatencyPercentiles>,
    /// How late requests were written that need not wait for a connection.
    pub(crate) lateness: LatencyPercentiles,
    /// Share of the requests that found every connection busy.
    pub(crate) waited_for_connection: f64,
    pub(crate) errors: Errors,
    pub(crate) statuses: Vec<(u16, u64)>,
    /// Share of the GETs whose key was there, if the scenario expects misses.
    pub(crate) hit_ratio: Option<f64>,
    /// Of the server's processes, if they are on this host.
    pub(crate) cpu_us_per_request: Option<CpuPerRequest>,
    pub(crate) server_busy: Option<f64>,
    pub(crate) context_switches_per_request: Option<f64>,
    /// Calls of the kernel, counted for a moment of the warm-up; none where they cannot be counted.
    #[serde(default)]
    pub(crate) system_calls_per_request: Option<f64>,
    /// On the CPUs they are bound to; none if they may run anywhere.
    #[serde(default)]
    pub(crate) interrupts_per_request: Option<f64>,
    /// What they held at the end.
    #[serde(default)]
    pub(crate) server_memory_bytes: Option<u64>,
    /// CPUs they are bound to; none if they may run anywhere.
    #[serde(default)]
    pub(crate) server_cpus: Vec<usize>,
    /// Packets that the host's network stack dropped, and how often a CPU left packets for later, if the server is on it.
    #[serde(default)]
    pub(crate) softnet_dropped: Option<u64>,
    #[serde(default)]
    pub(crate) softnet_squeezed: Option<u64>,
    pub(crate) generator_cpus: Vec<usize>,
    pub(crate) generator_busy: f64,
    pub(crate) generator_us_per_request: f64,
    /// One entry a second, from the start of the warm-up.
    pub(crate) timeline: Vec<TimelineSample>,
    pub(crate) scenario: Scenario,
    pub(crate) host: Fingerprint,
    pub(crate) commit: String,
}

/// Percentiles, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct LatencyPercentiles {
    pub(crate) p50_us: f64,
    pub(crate) p90_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    pub(crate) max_us: f64,
    pub(crate) mean_us: f64,
}

/// Requests that failed, by kind.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Errors {
    pub(crate) total: u64,
    /// Due, but neither answered nor failed when the run was over.
    pub(crate) unanswered: u64,
    #[serde(flatten)]
    pub(crate) kinds: Failures,
}

/// CPU time of one request, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct CpuPerRequest {
    pub(crate) user: f64,
    pub(crate) system: f64,
    /// Soft interrupts on the server's CPUs, by the kernel's sampling; partly within `system` already.
    pub(crate) softirq: f64,
    /// User and system, exact.
    pub(crate) total: f64,
}

impl LatencyPercentiles {
    /// Of a histogram in nanoseconds.
    pub(crate) fn of(histogram: &Histogram<u64>) -> Self {
        let us = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e3;
        Self {
            p50_us: us(0.5),
            p90_us: us(0.9),
            p99_us: us(0.99),
            p999_us: us(0.999),
            max_us: histogram.max() as f64 / 1e3,
            mean_us: histogram.mean() / 1e3,
        }
    }
}

impl CpuPerRequest {
    fn of(usage: &Usage, requests: u64) -> Self {
        let per_request = |ns: f64| ns / 1e3 / requests.max(1) as f64;
        let (user, system) = usage.user_and_system_ns();
        Self {
            user: per_request(user),
            system: per_request(system),
            softirq: per_request(usage.softirq_ticks as f64 * TICK_NS),
            total: per_request(usage.time.used_ns as f64),
        }
    }
}

impl Outcome {
    /// Reads what `run` has written.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("{} could not be read", path.display()))?;
        let outcome: Self = serde_json::from_str(&text)
            .with_context(|| format!("{} is no result of coreperf run, or only a part of one", path.display()))?;
        ensure!(
            outcome.schema == SCHEMA,
            "{} has schema {}; this coreperf reads {SCHEMA}: measure again, or use the coreperf that wrote it",
            path.display(),
            outcome.schema
        );
        Ok(outcome)
    }

    /// CPU time of a request, if nothing but the generator's own load was wrong with the run.
    pub(crate) fn cpu_believed(&self) -> Option<CpuPerRequest> {
        // A generator that is busy sends less; what the server spends on each request stands all the same.
        self.cpu_us_per_request.filter(|_| self.invalid_reasons.nothing_but(Kind::GeneratorBusy))
    }

    /// Of a run that has ended.
    pub(super) fn of(
        scenario: &Scenario,
        cpus: &[usize],
        (started, host): (String, Fingerprint),
        run: &Conducted,
    ) -> Self {
        let measured = &run.measured;
        let invalid_reasons = validity::reasons(scenario, run);
        let valid = invalid_reasons.is_empty();
        let seconds = run.span.as_secs_f64();
        let per_second = |count: u64| if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
        let per_request = |count: f64| count / measured.answered.max(1) as f64;
        // Without an answer there is no cost of one.
        let server = run.server.filter(|_| measured.answered > 0);
        let busy_ns = measured.elapsed_ns.saturating_sub(measured.idle_ns) as f64;
        Self {
            schema: SCHEMA,
            title: scenario.title.clone(),
            valid,
            invalid_reasons,
            partial: run.is_interrupted,
            started,
            seconds_measured: seconds,
            rate_due: per_second(measured.due),
            rate_answered: per_second(measured.answered),
            requests_due: measured.due,
            requests_answered: measured.answered,
            body_bytes_per_second: per_second(measured.body_bytes),
            latency: valid.then(|| LatencyPercentiles::of(&measured.latency)),
            lateness: LatencyPercentiles::of(&measured.lateness),
            waited_for_connection: measured.waited as f64 / measured.due.max(1) as f64,
            errors: errors(measured),
            statuses: measured.statuses.clone(),
            hit_ratio: measured.hit_ratio(),
            cpu_us_per_request: server.map(|usage| CpuPerRequest::of(&usage, measured.answered)),
            server_busy: run.server.map(|usage| usage.time.used_ns as f64 / 1e9 / seconds.max(1e-9)),
            context_switches_per_request: server.map(|usage| per_request(usage.context_switches as f64)),
            system_calls_per_request: run.system_calls.filter(|_| measured.answered > 0),
            interrupts_per_request: server
                .filter(|_| !run.server_cpus.is_empty())
                .map(|usage| per_request(usage.interrupts as f64)),
            server_memory_bytes: run.server.map(|usage| usage.resident_bytes),
            server_cpus: run.server_cpus.clone(),
            softnet_dropped: run.server.and(run.softnet).map(|softnet| softnet.dropped),
            softnet_squeezed: run.server.and(run.softnet).map(|softnet| softnet.squeezed),
            generator_cpus: cpus.to_vec(),
            generator_busy: measured.busy(),
            generator_us_per_request: per_request(busy_ns / 1e3),
            timeline: run.seconds.iter().map(TimelineSample::of).collect(),
            scenario: scenario.clone(),
            host,
            commit: commit(),
        }
    }
}

fn errors(measured: &RequestTally) -> Errors {
    let unanswered = measured.outstanding();
    Errors { total: measured.failures.total() + unanswered, unanswered, kinds: measured.failures }
}
