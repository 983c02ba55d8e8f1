//! When memory that was freed is given back to the kernel.
//!
//! **Not** how: [`reactor::release_free_memory`]. It holds up threads that allocate meanwhile, so that it is done when much has
//! become free, and not while a process is under steady load.
//!
//! **Invariants**: at least [`RELEASE_BYTES_MIN`] are expected to be free, and [`RELEASE_TIME`] lies between two releases.

use std::time::Duration;

use reactor::Instant;

/// What must have become free: a hundredth of a small host.
const RELEASE_BYTES_MIN: u64 = 16 << 20;

/// Time between two releases. What is free is with the kernel within this and a tick.
const RELEASE_TIME: Duration = Duration::from_secs(15);

/// Decides by what the clients of a process make it hold.
#[derive(Debug)]
pub struct ReleaseRule {
    /// The most that was held since the last release.
    peak_bytes: u64,
    next: Instant,
}

impl ReleaseRule {
    /// Nothing is held yet.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { peak_bytes: 0, next: now + RELEASE_TIME }
    }

    /// Notes what is held now; whether free memory is to be released.
    pub fn is_due(&mut self, now: Instant, held_bytes: u64) -> bool {
        self.peak_bytes = self.peak_bytes.max(held_bytes);
        if self.peak_bytes - held_bytes < RELEASE_BYTES_MIN || now < self.next {
            return false;
        }
        (self.peak_bytes, self.next) = (held_bytes, now + RELEASE_TIME);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_become_free_is_released_once() {
        let start = Instant::from_nanos(0);
        let at = |second| start + Duration::from_secs(second);
        let mut rule = ReleaseRule::new(start);
        let mib = |count: u64| count << 20;
        // Second, MiB held, and whether it is due.
        let cases = [
            (1, 100, false),
            (2, 90, false),
            (3, 10, false),
            (15, 85, false),
            (16, 84, true),
            (17, 10, false),
            (31, 10, true),
            (50, 10, false),
            (51, 25, false),
            (52, 10, false),
            (53, 26, false),
            (54, 10, true),
        ];
        for (second, held, due) in cases {
            assert_eq!(rule.is_due(at(second), mib(held)), due, "second {second}");
        }
    }
}
