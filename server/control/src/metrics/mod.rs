//! What is counted, and how it is reported: counters that one core writes, and the text a scraper reads.
//!
//! ```text
//!  metrics! { … } ──▶ a Group: its families ──▶ docs/metrics.md
//!                        │ its values
//!  data core ── store ──▶ Counter, Gauge, Latency ◀── load ── control core ──▶ Text ──▶ /metrics
//!  /proc ─────────────── ProcessUsage ◀────────── read ────── control core ──┤
//!                                                                            └──▶ /v1/status
//! ```
//!
//! **Not**: the groups that only one binary has, which it declares beside what it counts; a push to anywhere.
//!
//! **Invariants**: the hit path pays a load and a store per counter; everything that formats runs on the control core.
//! The exposition is written here: of the crates for it, those that keep values use atomic read-modify-writes, and what would
//! be left of them, the encoder, is smaller than what binding our values to it takes.
//!
//! **Source**: docs/metrics.md; the Prometheus text exposition format, version 0.0.4.

pub mod audit;
mod counter;
mod declare;
#[cfg(test)]
pub(crate) mod exposition;
mod family;
mod handshakes;
mod latency;
mod merge;
mod process;
pub mod reference;
mod sampler;
mod shared;
mod status;
mod text;

pub use counter::{Counter, Gauge};
pub use declare::{Copied, Measure, MetricGroup, Reading, Visitor};
pub use family::{Family, Kind, Label};
pub use handshakes::HandshakeMetrics;
pub use latency::Latency;
pub use merge::{Series, latencies, latency_status};
pub(crate) use process::FAMILIES as PROCESS_FAMILIES;
pub use process::{ProcessUsage, ReadUsage};
pub use sampler::Sampler;
pub use shared::{ClockMetrics, ConfigMetrics, ReactorMetrics, SecurityMetrics, TopologyMetrics};
pub use status::{Sum, add_to_status, sums};
pub use text::{Labels, SampleValue, Text};

pub use crate::build::Build;
