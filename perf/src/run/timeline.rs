//! One second of a run, as the timeline of `result.json` has it; docs/perf-scenarios.md describes the fields.
//!
//! **Not** judging: a second is told as it was, also of a run that is not valid.
//!
//! **Invariants**: what could not be seen is absent, never 0: the server's share if it is on another host, the generator's if its
//! cores sleep.

use serde::{Deserialize, Serialize};

use super::conduct::Second;
use crate::system::listening::Usage;

/// Length of a clock tick as the kernel tells user programs: 1/100 s on every architecture we run on.
const TICK_NS: f64 = 1e7;

/// One second of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct TimelineSample {
    pub(crate) measured: bool,
    pub(crate) due: u64,
    pub(crate) sent: u64,
    pub(crate) answered: u64,
    pub(crate) failed: u64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    pub(crate) server_cpu_us_per_request: Option<f64>,
    /// Share of its GETs that were found, from 0 to 1, where they may miss.
    #[serde(default)]
    pub(crate) hit_ratio: Option<f64>,
    /// Share of its time that the generator worked, its cores together, from 0 to 1.
    #[serde(default)]
    pub(crate) generator_busy: Option<f64>,
    /// CPUs that the server's processes used: in their own code, and in the kernel for them.
    #[serde(default)]
    pub(crate) server_busy_user: Option<f64>,
    #[serde(default)]
    pub(crate) server_busy_system: Option<f64>,
    /// CPUs that soft interrupts used, on the CPUs the server is bound to.
    #[serde(default)]
    pub(crate) server_busy_softirq: Option<f64>,
    /// Share of the time that each CPU of this host was busy with anything, by its number, from 0 to 1.
    #[serde(default)]
    pub(crate) cpu_busy: Vec<Option<f64>>,
}

impl TimelineSample {
    pub(super) fn of(second: &Second) -> Self {
        let tally = &second.tally;
        let us = |quantile| tally.latency.value_at_quantile(quantile) as f64 / 1e3;
        let cpus_used = |ns: f64| ns / second.length.as_nanos().max(1) as f64;
        let part = |part: fn(&Usage) -> f64| second.server.map(|usage| cpus_used(part(&usage)));
        let per_request =
            |usage: Usage| (tally.answered > 0).then(|| usage.time.used_ns as f64 / 1e3 / tally.answered as f64);
        Self {
            measured: second.is_measured,
            due: tally.due,
            sent: tally.sent,
            answered: tally.answered,
            failed: tally.failures.total(),
            p50_us: us(0.5),
            p99_us: us(0.99),
            p999_us: us(0.999),
            server_cpu_us_per_request: second.server.and_then(per_request),
            hit_ratio: tally.hit_ratio(),
            generator_busy: (tally.elapsed_ns > 0).then(|| tally.busy()),
            server_busy_user: part(|usage| usage.user_and_system_ns().0),
            server_busy_system: part(|usage| usage.user_and_system_ns().1),
            server_busy_softirq: part(|usage| usage.softirq_ticks as f64 * TICK_NS),
            cpu_busy: second.cpu_busy.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::tally::RequestTally;
    use super::*;
    use crate::system::cpu::CpuTime;

    fn second() -> Second {
        let mut tally =
            RequestTally { due: 1_000, sent: 1_000, idle_ns: 25, elapsed_ns: 100, ..RequestTally::default() };
        tally.count_answers(1_000, 200_000, 128);
        let usage = Usage {
            time: CpuTime { used_ns: 1_000_000_000, waited_ns: 0 },
            user_ticks: 20,
            system_ticks: 60,
            softirq_ticks: 50,
            ..Usage::default()
        };
        Second {
            tally,
            is_measured: true,
            server: Some(usage),
            length: Duration::from_secs(2),
            cpu_busy: vec![Some(0.5), None],
        }
    }

    #[test]
    fn shares_are_of_the_seconds_own_length() {
        let sample = TimelineSample::of(&second());
        // A second of CPU time in two seconds, a quarter of it in the server's own code.
        assert_eq!((sample.server_busy_user, sample.server_busy_system), (Some(0.125), Some(0.375)));
        assert_eq!((sample.server_busy_softirq, sample.generator_busy), (Some(0.25), Some(0.75)));
        assert_eq!((sample.server_cpu_us_per_request, sample.cpu_busy), (Some(1_000.0), vec![Some(0.5), None]));
    }

    #[test]
    fn a_second_without_answers_has_no_cost_of_one() {
        let mut second = second();
        second.tally.answered = 0;
        let sample = TimelineSample::of(&second);
        assert_eq!((sample.server_cpu_us_per_request, sample.server_busy_user), (None, Some(0.125)));
    }

    #[test]
    fn what_was_not_seen_is_absent() {
        let mut second = second();
        (second.server, second.tally.elapsed_ns) = (None, 0);
        let sample = TimelineSample::of(&second);
        assert_eq!((sample.generator_busy, sample.server_busy_user, sample.server_busy_softirq), (None, None, None));
        // A result from before these fields is read.
        let mut old = serde_json::to_value(&sample).expect("it is plain data");
        for name in ["generator_busy", "server_busy_user", "server_busy_system", "server_busy_softirq", "cpu_busy"] {
            old.as_object_mut().expect("it is one").remove(name).expect(name);
        }
        let read: TimelineSample = serde_json::from_value(old).expect("they may be absent");
        assert!(read.cpu_busy.is_empty() && read.generator_busy.is_none() && read.answered == 1_000);
    }
}
