//! The clock that reactors tell time by, for threads that have no reactor.
//!
//! **Source**: clock_gettime(2), `CLOCK_MONOTONIC`.

use reactor::Instant;
use rustix::time::{ClockId, clock_gettime};

/// Now, comparable with every reactor's instants of this process.
pub(crate) fn now() -> Instant {
    let time = clock_gettime(ClockId::Monotonic);
    // The clock starts with the host and never shows less than zero.
    Instant::from_nanos(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}
