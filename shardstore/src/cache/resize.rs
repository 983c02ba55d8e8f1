//! Growing and shrinking while in use, chunk by chunk, in the slices of [`Cache::maintain`].
//!
//! ```text
//!   0        front     data, pages of the index  target     present          ceiling
//!   ├──────────┼───────────────────────────────────┼───────────┼─────────────────┤
//!                                                  │ vacating  │  reserved address space
//!   shrink: target falls by a chunk; its free segments go at once, its sealed ones are drained, pages of the index move
//!           elsewhere, then its memory is returned
//!   grow:   target rises by a chunk, whose segments become free
//! ```
//!
//! **Not**: roots and ghost, which keep the size they were made with.
//!
//! **Invariants**: `target <= present <= target + one chunk`; committed memory is what lies below `present`; a segment at or
//! above `target` is never opened.
//!
//! **Source**: docs/engine.md.

use super::arena::CHUNK_BYTES;
use super::segments::State;
use super::{Cache, CacheError};

/// Work units of moving `target` by a chunk: at most 32 entries of the segment table.
const CHUNK_UNITS: u64 = 4;

/// Work units of returning a chunk's memory: a system call that frees 512 pages.
const DISCARD_UNITS: u64 = 64;

impl Cache {
    /// Sets a new limit for index and data together, in bytes, rounded down to whole chunks of 2 MiB.
    ///
    /// Returns at once; [`Cache::maintain`] carries it out. A shrink evicts what lies in the chunks that go; one that holds
    /// pinned values waits for them.
    ///
    /// # Errors
    ///
    /// [`CacheError::LimitTooSmall`] below ghost, an empty index and the least data segments, [`CacheError::LimitAboveCeiling`] above the
    /// ceiling of [`Cache::new`]; the operator is at fault, and the limit is unchanged.
    pub fn resize(&mut self, limit_bytes: u64) -> Result<(), CacheError> {
        self.geometry.goal = self.geometry.goal_of(limit_bytes)?;
        Ok(())
    }

    /// Whether a resize is still being carried out.
    #[must_use]
    pub fn resize_pending(&self) -> bool {
        self.geometry.goal != self.geometry.target || self.geometry.present != self.geometry.target
    }

    /// Sets the bound on pins that follows from the size.
    pub(super) fn limit_pins(&mut self) {
        self.arena.limit_holds(self.geometry.pinned_max());
    }

    /// One step of a resize, while nothing is being drained; `false` when it has to wait for pins or for values that are being
    /// written.
    pub(super) fn resize_once(&mut self, now_ms: u64) -> bool {
        debug_assert!(self.drain.is_none() && self.resize_pending());
        if self.geometry.goal > self.geometry.target {
            self.grow_chunk();
            true
        } else if self.geometry.present > self.geometry.target {
            self.vacate_once(now_ms)
        } else {
            self.shrink_chunk();
            true
        }
    }

    fn grow_chunk(&mut self) {
        self.counters.work_units += CHUNK_UNITS;
        let (start, end) = (self.geometry.target, self.geometry.target + self.geometry.segments_per_chunk());
        // Those that are not absent are still in use, from a shrink that was called off.
        for id in (start..end).rev() {
            if self.segments.at(id).state == State::Absent {
                self.segments.set_state(id, State::Free);
            }
        }
        self.geometry.target = end;
        self.geometry.present = self.geometry.present.max(end);
        self.limit_pins();
    }

    fn shrink_chunk(&mut self) {
        self.counters.work_units += CHUNK_UNITS;
        let (start, end) = (self.geometry.target - self.geometry.segments_per_chunk(), self.geometry.target);
        for id in start..end {
            if self.segments.at(id).state == State::Free {
                self.segments.set_state(id, State::Absent);
            }
        }
        self.geometry.target = start;
        self.limit_pins();
    }

    /// Empties the chunk above `target`, and returns its memory once it is empty.
    fn vacate_once(&mut self, now_ms: u64) -> bool {
        let mut waiting = false;
        for id in self.geometry.target..self.geometry.present {
            match self.segments.at(id).state {
                State::Absent => {}
                State::Held | State::Filling => waiting = true,
                State::Sealed => {
                    self.evict_segment(id);
                    return true;
                }
                // Appending must go on below `target`; for that a segment must be free there.
                State::Open if self.free() > 0 => {
                    self.close(id);
                    return true;
                }
                State::Open => return self.drain_once(now_ms).is_some(),
                State::Index => {
                    self.empty_index_segment(id);
                    return true;
                }
                // The sweep has emptied it by now, unless there was no memory to move pages to.
                State::Emptying => return self.drain_once(now_ms).is_some(),
                State::Free | State::Draining | State::Front => {
                    unreachable!("nothing is drained, and nothing here is free")
                }
            }
        }
        if waiting {
            return false;
        }
        self.counters.work_units += DISCARD_UNITS;
        self.arena.discard(self.geometry.bytes_of(self.geometry.target) as usize / CHUNK_BYTES);
        self.geometry.present = self.geometry.target;
        true
    }
}
