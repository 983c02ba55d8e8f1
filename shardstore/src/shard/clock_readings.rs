//! What the clocks of a process say when a shard is written to.
//!
//! **Not** a clock: whoever calls the shard has read both.
//!
//! **Invariants**: what is counted inside a process (ages, lifetimes) is counted on the steady clock, which nobody sets; what
//! is compared with other processes (versions) is of the wall clock.

/// Two clocks, read at the same time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockReadings {
    /// Milliseconds of a clock that only moves forward, at the pace of time. Its zero is the process's own.
    pub steady_ms: u64,
    /// Unix milliseconds, as wrong as the machine's clock is.
    pub wall_ms: u64,
}
