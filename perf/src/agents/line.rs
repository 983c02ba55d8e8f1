//! What coordinator and agent say to each other: a JSON object a line, over TCP.
//!
//! ```text
//!  coordinator                      agent
//!  start {scenario, share} ───────▶ connects to the server
//!                          ◀─────── ready {cores} | refused {why}
//!  begin                   ───────▶ warms up
//!                          ◀─────── window {core, account}, every second
//!  measure {in_ns, span_ns} ──────▶ measures
//!                          ◀─────── result {account}, of every core
//!  end                     ───────▶ goes back to waiting
//! ```
//!
//! **Not** for strangers: an agent loads whatever a coordinator names. It listens on loopback unless told otherwise.
//!
//! **Invariants**: an account arrives as it was, histograms included.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::run::scenario::Scenario;
use crate::run::tally::{Failures, Tally};

/// Longest line taken: a scenario, or an account of a second, is a few tens of KiB.
const LINE_BYTES_MAX: u64 = 16 << 20;

/// To an agent.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToAgent {
    /// The agent's share of a scenario, as a scenario of its own.
    Start {
        scenario: Box<Scenario>,
        fills: bool,
        /// Which of how many agents it is.
        index: usize,
        count: usize,
    },
    Begin,
    /// Measure what is due from `in_ns` nanoseconds on, for `span_ns`.
    Measure {
        in_ns: u64,
        span_ns: u64,
    },
    End,
}

/// From an agent.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromAgent {
    Ready {
        cores: usize,
    },
    Refused {
        why: String,
    },
    Window {
        core: u16,
        account: Account,
    },
    /// Of one core; `waited`: share of the run that the agent waited for CPUs.
    Result {
        account: Account,
        waited: f64,
    },
}

/// A tally as it travels.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Account {
    due: u64,
    sent: u64,
    answered: u64,
    hits: u64,
    misses: u64,
    body_bytes: u64,
    failures: Failures,
    waited: u64,
    latency: String,
    lateness: String,
    statuses: Vec<(u16, u64)>,
    idle_ns: u64,
    elapsed_ns: u64,
}

impl Account {
    pub(crate) fn of(tally: &Tally) -> Self {
        Self {
            due: tally.due,
            sent: tally.sent,
            answered: tally.answered,
            hits: tally.hits,
            misses: tally.misses,
            body_bytes: tally.body_bytes,
            failures: tally.failures,
            waited: tally.waited,
            latency: encode(&tally.latency),
            lateness: encode(&tally.lateness),
            statuses: tally.statuses.clone(),
            idle_ns: tally.idle_ns,
            elapsed_ns: tally.elapsed_ns,
        }
    }

    /// # Errors
    /// The other side's: a histogram that is none.
    pub(crate) fn tally(self) -> Result<Tally> {
        let mut tally = Tally {
            due: self.due,
            sent: self.sent,
            answered: self.answered,
            hits: self.hits,
            misses: self.misses,
            body_bytes: self.body_bytes,
            failures: self.failures,
            waited: self.waited,
            statuses: self.statuses,
            idle_ns: self.idle_ns,
            elapsed_ns: self.elapsed_ns,
            ..Tally::default()
        };
        tally.latency.add(decode(&self.latency)?).context("the latencies have other bounds than ours")?;
        tally.lateness.add(decode(&self.lateness)?).context("the latenesses have other bounds than ours")?;
        Ok(tally)
    }
}

fn encode(histogram: &Histogram<u64>) -> String {
    let mut bytes = Vec::new();
    V2DeflateSerializer::new().serialize(histogram, &mut bytes).expect("a vector takes everything");
    STANDARD.encode(bytes)
}

fn decode(text: &str) -> Result<Histogram<u64>> {
    let bytes = STANDARD.decode(text).context("a histogram is not base64")?;
    let histogram = Deserializer::new().deserialize(&mut bytes.as_slice());
    histogram.map_err(|error| anyhow::anyhow!("a histogram is not understood: {error:?}"))
}

/// Writes a line.
///
/// # Errors
/// The other side is gone.
pub(crate) fn say(mut stream: &TcpStream, line: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_string(line).context("a line could not be written as JSON")?;
    text.push('\n');
    stream.write_all(text.as_bytes()).context("the other side is gone")
}

/// Reads lines.
pub(crate) struct Lines(BufReader<TcpStream>);

impl Lines {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self(BufReader::new(stream))
    }

    /// The next line; none when the other side has hung up.
    ///
    /// # Errors
    /// The other side's: a line that is too long or not understood, or a connection that fails.
    pub(crate) fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>> {
        let mut text = String::new();
        let read = self.0.by_ref().take(LINE_BYTES_MAX).read_line(&mut text).context("the connection failed")?;
        if read == 0 {
            return Ok(None);
        }
        ensure!(text.ends_with('\n'), "a line is longer than {LINE_BYTES_MAX} bytes, or the other side broke off");
        serde_json::from_str(&text).map(Some).context("a line is not understood; is the other side of another version?")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_arrives_as_it_was() {
        let mut tally =
            Tally { due: 9, sent: 8, waited: 2, idle_ns: 5, elapsed_ns: 50, hits: 3, misses: 4, ..Tally::default() };
        for n in 1..=1_000 {
            tally.count_answers(1, n * 1_000, 10);
        }
        tally.count_status(200, 1_000);
        tally.lateness.saturating_record(77);
        let text = serde_json::to_string(&Account::of(&tally)).expect("it is plain data");
        let account: Account = serde_json::from_str(&text).expect("it was written so");
        let told = account.tally().expect("it was encoded so");
        assert_eq!((told.latency, told.lateness), (tally.latency, tally.lateness));
        assert_eq!((told.hits, told.misses), (3, 4));
        assert_eq!((told.due, told.answered, told.body_bytes, told.statuses), (9, 1_000, 10_000, vec![(200, 1_000)]));
        let broken = Account { latency: "AAAA".to_owned(), ..Account::of(&Tally::default()) };
        assert!(broken.tally().is_err());
    }
}
