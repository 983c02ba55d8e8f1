//! Bugs that are planted on purpose, for the simulation to find. Never part of a release: without the feature `planted_bug`
//! every question here is answered "no" at compile time.
//!
//! **Not** a switch for users.
//!
//! **Invariants**: one bug at a time, chosen before anything runs; the choice is the process's.
//!
//! **Source**: docs/testing.md, "The planted bugs".

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlantedBug {
    /// A write does not invalidate fills under way.
    StaleFills = 1,
    /// A node keeps the items of slots that go to another one.
    KeptSlots = 2,
    /// A node does not look at deadlines, and an edge drains connections that it gives up.
    LateWrites = 3,
}

impl PlantedBug {
    /// All of them, with the names that the simulation takes.
    pub const NAMED: [(&str, Self); 3] =
        [("stale-fills", Self::StaleFills), ("kept-slots", Self::KeptSlots), ("late-writes", Self::LateWrites)];

    /// Whether this bug is planted.
    #[inline]
    #[must_use]
    pub fn is_planted(self) -> bool {
        #[cfg(feature = "planted_bug")]
        return planted::CHOSEN.load(std::sync::atomic::Ordering::Relaxed) == self as u8;
        #[cfg(not(feature = "planted_bug"))]
        return false;
    }

    /// Plants it in this process.
    #[cfg(feature = "planted_bug")]
    pub fn plant(self) {
        planted::CHOSEN.store(self as u8, std::sync::atomic::Ordering::Relaxed);
    }
}

#[cfg(feature = "planted_bug")]
mod planted {
    pub(super) static CHOSEN: std::sync::atomic::AtomicU8 = std::sync::atomic::AtomicU8::new(0);
}
