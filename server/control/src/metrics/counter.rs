//! Numbers that one core writes and the control core reads.
//!
//! **Not** shared counters: with two writers sums are lost. A core has its own struct of them, padded as a whole
//! (`crossbeam_utils::CachePadded`), so that no two cores write one cache line.
//!
//! **Invariants**: a write is a plain load and a plain store, never a read-modify-write; a reader sees some recent value,
//! and nothing else is ordered by it.
//!
//! **Source**: 64-bit relaxed loads and stores are ordinary moves on x86-64 and aarch64.

use std::sync::atomic::{AtomicU64, Ordering};

/// A sum since the start of the process. It wraps after 2^64.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct Counter(AtomicU64);

/// A number that goes up and down.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct Gauge(AtomicU64);

// Eight of them fill a cache line, whatever struct they stand in.
const _: () = assert!(size_of::<Counter>() == 8 && size_of::<Gauge>() == 8);

impl Counter {
    /// Zero.
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Adds one. For the owner only.
    #[inline]
    pub fn increment(&self) {
        self.add(1);
    }

    /// Adds `amount`. For the owner only.
    #[inline]
    pub fn add(&self, amount: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
    }

    /// Replaces the sum by that of another place, which only grows. For the owner only.
    #[inline]
    pub fn set(&self, sum: u64) {
        self.0.store(sum, Ordering::Relaxed);
    }

    /// The sum so far. For anyone.
    #[inline]
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Gauge {
    /// Zero.
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Replaces the number. For the owner only.
    #[inline]
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Adds `amount`. For the owner only.
    #[inline]
    pub fn add(&self, amount: u64) {
        self.set(self.value().wrapping_add(amount));
    }

    /// Takes `amount` off; stays at zero when there is less. For the owner only.
    #[inline]
    pub fn subtract(&self, amount: u64) {
        self.set(self.value().saturating_sub(amount));
    }

    /// The number. For anyone.
    #[inline]
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_add_and_gauges_move() {
        let (counter, gauge) = (Counter::new(), Gauge::new());
        counter.increment();
        counter.add(41);
        assert_eq!(counter.value(), 42);
        gauge.set(5);
        gauge.add(2);
        gauge.subtract(3);
        assert_eq!(gauge.value(), 4);
        gauge.subtract(100);
        assert_eq!(gauge.value(), 0, "a gauge of things that are there is never below none");
    }

    #[test]
    fn readers_see_a_counter_grow() {
        let counter = Counter::new();
        std::thread::scope(|scope| {
            scope.spawn(|| (0..100_000).for_each(|_| counter.increment()));
            let mut seen = 0;
            while seen < 100_000 {
                let now = counter.value();
                assert!(now >= seen, "{now} after {seen}");
                seen = now;
            }
        });
    }
}
