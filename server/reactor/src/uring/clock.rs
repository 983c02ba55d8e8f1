//! The kernel's clocks.
//!
//! **Not** for code that decides: it is handed instants.
//!
//! **Source**: clock_gettime(2).

/// Nanoseconds on this clock.
pub(super) fn nanoseconds(id: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec to write to; the driver's clocks exist on every Linux.
    unsafe { libc::clock_gettime(id, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
