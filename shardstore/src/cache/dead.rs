//! How much of a segment is dead, or has expired and is dead but for the walk.
//!
//! **Not**: which segment is next (that is `reclaim`); this says of one segment whether it is worth while.
//!
//! **Source**: log-structured memory (Rumble, Kejriwal, Ousterhout, FAST 2014): what is freed against what is copied.

use super::segments::{Segment, State};

/// A shorter wait for the last item of a segment to expire is waited for: maintenance looks at segments four times a second.
const WAIT_MS_MIN: u64 = 2_000;

/// A wait for the last item to expire that is a smaller part of the segment's age (one in so many) is waited for.
const WAIT_SHARE: u64 = 32;

/// A segment is sparse if at most so many eighths of it are alive: moving them writes three bytes for each that is freed.
const SPARSE_EIGHTHS: u32 = 6;

impl Segment {
    /// Takes the expiry (unix ms, 0 for never) of a new record of `bytes` into account.
    pub(super) fn note_expiry(&mut self, expire_ms: u64, bytes: usize) {
        let expire_ms = or_never(expire_ms);
        self.expire_ms_max = self.expire_ms_max.max(expire_ms);
        self.add_weight(expire_ms, bytes);
    }

    /// Takes into account that a record of about `bytes` expires at another instant than it did.
    pub(super) fn change_expiry(&mut self, before_ms: u64, expire_ms: u64, bytes: usize) {
        let (before_ms, expire_ms) = (or_never(before_ms), or_never(expire_ms));
        self.expire_ms_max = self.expire_ms_max.max(expire_ms);
        // One that expires earlier than it did waits for the others: what is known of the segment may say too late, not too early.
        self.add_weight(expire_ms.saturating_sub(before_ms), bytes);
    }

    fn add_weight(&mut self, span_ms: u64, bytes: usize) {
        self.expire_weight = self.expire_weight.saturating_add(span_ms.saturating_mul(bytes as u64));
    }

    /// Whether all that lives here has expired.
    pub(super) fn has_expired(&self, now_ms: u64) -> bool {
        self.used > 0 && self.expire_ms_max <= now_ms
    }

    /// How many eighths of what was written here are alive, if so much is dead that moving the living is worth its while.
    pub(super) fn sparseness(&self) -> Option<u32> {
        let eighths = (self.live_bytes * 8).div_ceil(self.used.max(1));
        (self.state == State::Sealed && self.live_fixed == 0 && eighths <= SPARSE_EIGHTHS).then_some(eighths)
    }

    /// Whether about half of what was written here has expired, and the rest would hold its place for long enough to be worth moving:
    /// for a 32nd of the time since `opened_ms`.
    pub(super) fn has_half_expired(&self, now_ms: u64, opened_ms: u64) -> bool {
        let wait_ms = self.expire_ms_max.saturating_sub(now_ms);
        self.used > 0
            && self.live_fixed == 0
            && self.expire_weight <= now_ms.saturating_mul(self.used.into())
            && wait_ms >= WAIT_MS_MIN
            && wait_ms >= now_ms.saturating_sub(opened_ms) / WAIT_SHARE
    }
}

/// 0 stands for never.
const fn or_never(expire_ms: u64) -> u64 {
    if expire_ms == 0 { u64::MAX } else { expire_ms }
}
