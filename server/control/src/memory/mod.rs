//! What a process may take of the host's memory at most, part by part.
//!
//! ```text
//!  settings, data cores ──▶ MemoryBound: parts and their total ──┬─▶ the log at the start, --check, /v1/status
//!  cgroup, host         ──▶ HostMemory ──────────────────────────┴─▶ a warning that names a key; a refusal of "at-start"
//! ```
//!
//! **Not** what a process uses: [`crate::metrics::ProcessUsage`]. Not a budget: each part is held to its bound where it is taken.
//!
//! **Invariants**: the total is the sum of the parts, and every part that an operator can change names its key.
//!
//! **Source**: docs/operations.md, "Memory".

mod host;
mod release;

use std::fmt;

use serde_json::{Value, json};

use crate::log::{LogFields, LogLevel};
use crate::metrics::{Family, Text};
use crate::settings::quantity::{GIB, MIB};
pub use host::{HostMemory, MemoryLimit};
pub use release::ReleaseRule;

/// What a connection of either binary takes at most while it waits, beside what budgets count: its socket's state and task, a
/// request with its head, and one received piece.
pub const CONNECTION_BYTES: u64 = 8 * 1024;

/// What a data core takes at most whatever the settings: rings, receive buffers and what was copied out of them, mailboxes,
/// timers, the access log's records, spare buffers and its stack.
pub const CORE_BYTES: u64 = 96 * MIB;

/// What the process takes beside its data cores: the program, the control core and its connections.
pub const PROCESS_BYTES: u64 = 64 * MIB;

const BYTES_MAX: Family = Family::gauge(
    "corelane_process_memory_bound_bytes",
    &[],
    "Most memory that the process takes under its settings: the total that is logged at the start.",
);
const LIMIT: Family = Family::gauge(
    "corelane_process_memory_limit_bytes",
    &[],
    "Memory that the process may have: the tightest limit of its cgroups, or the host's memory.",
);

/// The families of this file, for their reference.
pub(crate) const FAMILIES: [&Family; 2] = [&BYTES_MAX, &LIMIT];

/// One part of what a process may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryPart {
    /// The path of the key that bounds it; `None` for what no key changes.
    pub key: Option<&'static str>,
    /// At most, in bytes.
    pub bytes: u64,
}

/// All that a process may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryBound {
    parts: Vec<MemoryPart>,
}

impl MemoryBound {
    /// Of parts, and of what a process with so many data cores takes whatever the settings.
    #[must_use]
    pub fn new(cores: usize, parts: Vec<MemoryPart>) -> Self {
        let (mut keyed, fixed): (Vec<MemoryPart>, Vec<MemoryPart>) =
            parts.into_iter().partition(|part| part.key.is_some());
        let usual = PROCESS_BYTES.saturating_add(CORE_BYTES.saturating_mul(cores as u64));
        keyed.push(MemoryPart {
            key: None,
            bytes: fixed.iter().fold(usual, |sum, part| sum.saturating_add(part.bytes)),
        });
        Self { parts: keyed }
    }

    /// In bytes.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.parts.iter().fold(0, |sum, part| sum.saturating_add(part.bytes))
    }

    /// The key of the largest part.
    fn largest_key(&self) -> &'static str {
        let keyed = self.parts.iter().filter_map(|part| Some((part.bytes, part.key?)));
        keyed.max().map_or("memory", |(_, key)| key)
    }

    /// What an operator is to know when the process may take more than there is.
    #[must_use]
    pub fn excess(&self, host: &HostMemory) -> Option<String> {
        let MemoryLimit { bytes, of } = &host.limit;
        (self.total() > *bytes).then(|| {
            format!(
                "the process may take {}, {of} has {}: lower {} first, then the others of {self}",
                readable(self.total()),
                readable(*bytes),
                self.largest_key()
            )
        })
    }

    /// Logs it, and a warning where it is more than there is.
    pub fn log(&self, host: Option<&HostMemory>, event: &dyn Fn(LogLevel, &str, LogFields<'_>)) {
        event(LogLevel::Info, "memory", &[("bytes_max", &self.total()), ("parts", self)]);
        if let Some(excess) = host.and_then(|host| self.excess(host)) {
            event(LogLevel::Warn, "memory_exceeds_host", &[("error", &excess)]);
        }
    }

    /// Writes it into the exposition.
    pub fn render(&self, host: Option<&HostMemory>, text: &mut Text) {
        text.sample(&BYTES_MAX, &[], self.total());
        if let Some(host) = host {
            text.sample(&LIMIT, &[], host.limit.bytes);
        }
    }

    /// As `/v1/status` shows it.
    #[must_use]
    pub fn to_json(&self, host: Option<&HostMemory>) -> Value {
        let parts: Vec<Value> =
            self.parts.iter().map(|part| json!({"key": part.key, "bytes_max": part.bytes})).collect();
        json!({
            "bytes_max": self.total(),
            "parts": parts,
            "limit_bytes": host.map(|host| host.limit.bytes),
            "limit_of": host.map(|host| &host.limit.of),
        })
    }
}

/// The parts, largest first.
impl fmt::Display for MemoryBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = self.parts.clone();
        parts.sort_by_key(|part| std::cmp::Reverse(part.bytes));
        for (index, part) in parts.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{} {}", part.key.unwrap_or("fixed"), readable(part.bytes))?;
        }
        Ok(())
    }
}

/// A size for people, to three digits or a MiB.
#[must_use]
pub fn readable(bytes: u64) -> String {
    if bytes >= GIB { format!("{:.2} GiB", bytes as f64 / GIB as f64) } else { format!("{} MiB", bytes.div_ceil(MIB)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound() -> MemoryBound {
        let part = |key, bytes| MemoryPart { key: Some(key), bytes };
        MemoryBound::new(2, vec![part("memory", 300 * MIB), part("limits.body_memory_bytes", 2 * GIB)])
    }

    fn host(bytes: u64) -> HostMemory {
        let limit = MemoryLimit { bytes, of: "the cgroup /x".to_owned() };
        HostMemory { available: limit.clone(), limit }
    }

    #[test]
    fn the_total_is_the_sum_of_the_parts() {
        let fixed = PROCESS_BYTES + 2 * CORE_BYTES;
        assert_eq!(bound().total(), 300 * MIB + 2 * GIB + fixed);
        let status = bound().to_json(Some(&host(GIB)));
        assert_eq!(status["bytes_max"], bound().total());
        let parts = status["parts"].as_array().expect("a list");
        assert_eq!(
            parts.iter().map(|part| part["bytes_max"].as_u64().expect("a number")).sum::<u64>(),
            bound().total()
        );
        assert_eq!((&status["limit_bytes"], &status["limit_of"]), (&json!(GIB), &json!("the cgroup /x")));
        assert_eq!(bound().to_json(None)["limit_bytes"], Value::Null);
    }

    #[test]
    fn what_no_key_changes_is_one_part() {
        let part = |key, bytes| MemoryPart { key, bytes };
        let bound = MemoryBound::new(1, vec![part(None, MIB), part(Some("memory"), GIB), part(None, 2 * MIB)]);
        assert_eq!(
            bound.to_string(),
            format!("memory 1.00 GiB, fixed {}", readable(PROCESS_BYTES + CORE_BYTES + 3 * MIB))
        );
    }

    #[test]
    fn what_does_not_fit_is_said_with_the_key_that_matters_most() {
        assert_eq!(bound().excess(&host(bound().total())), None);
        let text = bound().excess(&host(bound().total() - 1)).expect("one byte too little");
        assert!(text.contains("the cgroup /x") && text.contains("lower limits.body_memory_bytes first"), "{text}");
        assert!(text.ends_with("limits.body_memory_bytes 2.00 GiB, memory 300 MiB, fixed 256 MiB"), "{text}");
    }

    #[test]
    fn a_total_beyond_64_bits_is_the_largest_there_is() {
        let huge = MemoryPart { key: Some("memory"), bytes: u64::MAX };
        assert_eq!(MemoryBound::new(1, vec![huge, huge]).total(), u64::MAX);
    }
}
