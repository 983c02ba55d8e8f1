//! What is counted and how it is told: counters that one core writes, and the text a scraper reads.
//!
//! ```text
//!  data core ── store ──▶ Counter, Gauge, Latency ◀── load ── control core ──▶ Text ──▶ /metrics
//!  /proc ─────────────── ProcessUsage ◀────────── read ────── control core ──┘
//! ```
//!
//! **Not**: the families of the binaries, which each declares beside what it counts; a push to anywhere.
//!
//! **Invariants**: the hit path pays a load and a store per counter; everything that formats runs on the control core.
//!
//! **Source**: docs/metrics.md; the Prometheus text exposition format, version 0.0.4.

mod counter;
#[cfg(test)]
pub(crate) mod exposition;
mod family;
mod latency;
mod process;
mod text;

pub use counter::{Counter, Gauge};
pub use family::{Family, HistogramFamily};
pub use latency::Latency;
pub use process::{Build, ProcessUsage};
pub use text::{Labels, Text, Value};
