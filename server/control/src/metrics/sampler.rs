//! One round in so many, for what costs more than it may cost every time.
//!
//! **Not** random: the rounds of a core are of many connections, in the order of their events.

use std::cell::Cell;

/// Says yes once in so many times, the first time among them.
#[derive(Debug)]
pub struct Sampler {
    left: Cell<u32>,
    skipped: u32,
}

impl Sampler {
    /// Yes one time in `one_in`, and at least at once.
    #[must_use]
    pub const fn new(one_in: u32) -> Self {
        Self { left: Cell::new(0), skipped: one_in.saturating_sub(1) }
    }

    /// Whether this time is one of them.
    #[inline]
    pub fn take(&self) -> bool {
        let left = self.left.get();
        self.left.set(if left == 0 { self.skipped } else { left - 1 });
        left == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_so_many() {
        let taken = |one_in, times: usize| {
            let sampler = Sampler::new(one_in);
            (0..times).filter(|_| sampler.take()).collect::<Vec<_>>()
        };
        assert_eq!(taken(3, 8), [0, 3, 6]);
        assert_eq!(taken(1, 3), [0, 1, 2]);
        assert_eq!(taken(0, 2), [0, 1]);
    }
}
