//! One client: a request to each of its connections, then all the answers, until its time is over.
//!
//! **Invariants**: every answer is whole, a 200, and from the memory that was meant.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use memchr::memmem;

use super::lanes::LaneRequest;
use perf_basis::machine::pin_to;

/// What one client saw.
pub(super) struct Side {
    pub(super) requests: u64,
    pub(super) elapsed: Duration,
    /// From the write of a request to the read of its whole answer, in nanoseconds.
    pub(super) latency: Histogram<u64>,
}

impl Side {
    fn new() -> Self {
        let latency = Histogram::new(3).expect("three digits are a valid precision");
        Self { requests: 0, elapsed: Duration::ZERO, latency }
    }

    /// All clients of a run together.
    pub(super) fn sum(sides: Vec<Self>) -> Self {
        sides.into_iter().fold(Self::new(), |mut sum, side| {
            sum.requests += side.requests;
            sum.elapsed = sum.elapsed.max(side.elapsed);
            sum.latency.add(side.latency).expect("a histogram that grows takes every value");
            sum
        })
    }
}

/// Loads the connections from `cpu` for `duration`, with the requests in turn.
pub(super) fn run(lanes: &mut [TcpStream], requests: &[LaneRequest], cpu: usize, duration: Duration) -> Result<Side> {
    pin_to(cpu)?;
    let mut side = Side::new();
    let mut answer = vec![0; requests.iter().map(|request| request.answer_bytes).max().unwrap_or_default()];
    let mut sent = vec![Instant::now(); lanes.len()];
    let (began, mut next) = (Instant::now(), 0);
    while began.elapsed() < duration {
        let turn = next;
        for (lane, sent) in lanes.iter_mut().zip(&mut sent) {
            *sent = Instant::now();
            lane.write_all(&requests[next % requests.len()].bytes).context("a request could not be sent")?;
            next += 1;
        }
        for (index, (lane, sent)) in lanes.iter_mut().zip(&sent).enumerate() {
            let request = &requests[(turn + index) % requests.len()];
            let answer = &mut answer[..request.answer_bytes];
            lane.read_exact(answer).context("an answer is missing or shorter than the first one")?;
            side.latency.record(sent.elapsed().as_nanos() as u64).context("a latency beyond all bounds")?;
            check(answer, request)?;
        }
    }
    side.requests = next as u64;
    side.elapsed = began.elapsed();
    Ok(side)
}

fn check(answer: &[u8], request: &LaneRequest) -> Result<()> {
    let is_right = answer.starts_with(b"HTTP/1.1 200 ") && memmem::find(answer, request.detail).is_some();
    ensure!(
        is_right,
        "{} is not answered from where it should be ({}):\n{}",
        String::from_utf8_lossy(&request.bytes).lines().next().unwrap_or_default(),
        String::from_utf8_lossy(request.detail).trim(),
        String::from_utf8_lossy(answer)
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_from_elsewhere_are_refused() {
        let request =
            LaneRequest { bytes: b"GET /k HTTP/1.1\r\n".to_vec(), answer_bytes: 1, detail: b"; detail=own\r\n" };
        let right = b"HTTP/1.1 200 OK\r\nCache-Status: corelane; hit; detail=own\r\n\r\n";
        assert!(check(right, &request).is_ok());
        for wrong in [
            &b"HTTP/1.1 200 OK\r\nCache-Status: corelane; hit; detail=core\r\n\r\n"[..],
            b"HTTP/1.1 404 Not Found\r\nCache-Status: corelane; hit; detail=own\r\n\r\n",
        ] {
            let error = check(wrong, &request).expect_err("it is wrong").to_string();
            assert!(error.contains("GET /k") && error.contains("detail=own"), "{error}");
        }
    }
}
