//! What coordinator and agent say to each other: a JSON object a line, over TCP.
//!
//! ```text
//!  coordinator                      agent
//!  start {scenario, share} ───────▶ connects to the server
//!                          ◀─────── ready {cores} | refused {why}
//!  begin                   ───────▶ warms up
//!                          ◀─────── window {core, tally}, every second
//!  measure {in_ns, span_ns} ──────▶ measures
//!                          ◀─────── result {tally}, of every core
//!  end                     ───────▶ goes back to waiting
//! ```
//!
//! **Not** for strangers: an agent loads whatever a coordinator names. It listens on loopback unless told otherwise.
//!
//! **Invariants**: a tally arrives as it was, histograms included.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use anyhow::{Context, Result, ensure};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::run::scenario::Scenario;
use crate::run::tally::RequestTally;

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
        tally: Box<RequestTally>,
    },
    /// Of one core.
    Result {
        tally: Box<RequestTally>,
    },
}

/// Writes a line.
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
