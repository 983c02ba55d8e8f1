//! What was measured: samples, one per round, in rows.
//!
//! **Invariants**: rounds alternate, so that sample i of every row of a load was taken at nearly the same time; ratios
//! are formed round by round, before the median is taken. A row with an invalid run gives no figures.

use std::time::Duration;

use serde::Serialize;

use super::load::Outcome;
use crate::system::cpu::CpuTime;
use perf_basis::spread::Spread;

/// Share of a run that a process may wait for its CPU before the host counts as not quiet: beyond a tenth, the rate
/// tells more about the other load than about the server.
pub(crate) const WAITED_MAX: f64 = 0.10;

/// One valid run against one server.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Sample {
    /// CPU of all the server's processes per answered request, in microseconds.
    pub(crate) cpu_us: f64,
    /// Answered requests per second.
    pub(crate) rate: f64,
    /// Share of the run, 0 to 1 per process, in which the server could have run but others had its CPU.
    pub(crate) waited: f64,
    /// The same share of the load generator.
    pub(crate) client_waited: f64,
}

impl Sample {
    /// Relates what the server used to what was answered meanwhile.
    pub(crate) fn of(outcome: Outcome, time: CpuTime, duration: Duration) -> Self {
        Self {
            cpu_us: time.used_ns as f64 / 1e3 / outcome.requests as f64,
            rate: outcome.requests_per_second,
            waited: time.waited_ns as f64 / duration.as_nanos() as f64,
            client_waited: outcome.client.waited_ns as f64 / duration.as_nanos() as f64,
        }
    }
}

/// All runs of one load against one server.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    /// The load: `hit`, `pipelined`, `miss`.
    pub(crate) load: &'static str,
    /// The server, as the table calls it.
    pub(crate) server: &'static str,
    /// One sample per valid round, in order.
    pub(crate) samples: Vec<Sample>,
    /// Why the row gives no figures, if it does not.
    pub(crate) invalid: Option<String>,
}

impl Row {
    /// CPU per request in microseconds, round by round.
    pub(crate) fn cpu_us(&self) -> Vec<f64> {
        self.samples.iter().map(|sample| sample.cpu_us).collect()
    }

    /// Requests per second, round by round.
    pub(crate) fn rates(&self) -> Vec<f64> {
        self.samples.iter().map(|sample| sample.rate).collect()
    }

    /// Shares that server and load generator waited for their CPUs, medians of the rounds.
    pub(crate) fn waited(&self) -> Option<[f64; 2]> {
        let server = Spread::of(self.samples.iter().map(|sample| sample.waited))?;
        let client = Spread::of(self.samples.iter().map(|sample| sample.client_waited))?;
        Some([server.median, client.median])
    }

    /// The larger of the two shares, where it is beyond `WAITED_MAX`.
    pub(crate) fn disturbance(&self) -> Option<f64> {
        let [server, client] = self.waited()?;
        Some(server.max(client)).filter(|waited| *waited > WAITED_MAX)
    }

    /// Adds a round, or remembers the first reason why the row is not valid.
    pub(crate) fn add(&mut self, sample: Result<Sample, String>) {
        match sample {
            Ok(sample) => self.samples.push(sample),
            Err(why) => {
                let round = self.samples.len() + 1;
                self.invalid.get_or_insert_with(|| format!("round {round}: {why}"));
            }
        }
    }
}

/// The row of `load` against `server`, if it was measured.
pub(crate) fn find<'a>(rows: &'a [Row], load: &str, server: &str) -> Option<&'a Row> {
    rows.iter().find(|row| row.load == load && row.server == server)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_is_divided_by_what_was_answered() {
        let outcome = Outcome {
            requests: 500_000,
            requests_per_second: 250_000.0,
            client: CpuTime { used_ns: 1, waited_ns: 40_000_000 },
        };
        let time = CpuTime { used_ns: 1_500_000_000, waited_ns: 20_000_000 };
        let sample = Sample::of(outcome, time, Duration::from_secs(2));
        assert_eq!(sample, Sample { cpu_us: 3.0, rate: 250_000.0, waited: 0.01, client_waited: 0.02 });
    }

    #[test]
    fn a_row_keeps_the_first_reason() {
        let mut row = Row { load: "hit", server: "floor", samples: Vec::new(), invalid: None };
        row.add(Ok(Sample { cpu_us: 1.0, rate: 1.0, waited: 0.0, client_waited: 0.0 }));
        row.add(Err("first".into()));
        row.add(Err("second".into()));
        assert_eq!(row.invalid.as_deref(), Some("round 2: first"));
    }
}
