//! A shard: cache, clock and the meaning of the operations; used unchanged by the node and by the edge in embedded mode.
//!
//! ```text
//!  get     Some(hit)                  None
//!  set     Stored    NotApplied   Corrupt   VersionAhead   ValueTooLarge   KeyTooLong   MetadataTooLong   NoRoom
//!  delete  Deleted   NotApplied   VersionAhead   NotFound
//!  touch   Touched   NotFound
//! ```
//!
//! **Not**: placement (the caller has checked that the key belongs here), clocks (their readings are handed in), replication.
//!
//! **Invariants**: every version this shard makes is greater than every one it made or was handed before; a write that brings
//! its version along never replaces anything as new; an operation that is not
//! applied changes nothing; a stored value has the checksum that is stored with it.
//!
//! **Source**: docs/wire.md (operations, statuses), RFC 9110 section 13 (conditions, as versions are ETags).

mod clock_readings;
mod disowned;
mod outcome;
mod set;
mod staged;
#[cfg(test)]
mod tests;

pub use clock_readings::ClockReadings;
pub use disowned::SweepSlice;
pub use outcome::{Deleted, SetOutcome, Stored, Touched};
pub use set::{Delete, NewValue};
pub use staged::StagedSet;

use crate::cache::{Cache, CacheError, CacheOptions, CacheStats, Hit, Insert, SharedCache};
use crate::key::KeyHash;
use crate::version::{Clock, Condition, Version};
use disowned::Disowned;

/// What one core owns of the key space.
#[derive(Debug)]
pub struct Shard {
    cache: Cache,
    clock: Clock,
    /// Slots that have left, while items of theirs may still be there.
    disowned: Option<Box<Disowned>>,
}

impl Shard {
    /// An empty shard whose versions carry `region`.
    ///
    /// # Errors
    ///
    /// As [`Cache::new`].
    ///
    /// # Panics
    ///
    /// When `region` is above [`crate::version::REGION_MAX`].
    pub fn new(options: &CacheOptions, region: u8) -> Result<Self, CacheError> {
        Ok(Self { cache: Cache::new(options)?, clock: Clock::new(region), disowned: None })
    }

    /// A handle with which other threads read this shard in place.
    #[must_use]
    pub fn share(&self) -> SharedCache {
        self.cache.share()
    }

    /// Looks a key up. `now_ms`: milliseconds of a steady clock, here and below.
    #[inline(always)]
    pub fn get(&mut self, hash: KeyHash, key: &[u8], now_ms: u64) -> Option<Hit<'_>> {
        self.cache.get(hash, key, now_ms)
    }

    /// Looks a key up without counting a use.
    #[must_use]
    pub fn peek(&self, hash: KeyHash, key: &[u8], now_ms: u64) -> Option<Hit<'_>> {
        self.cache.peek(hash, key, now_ms)
    }

    /// Asks for the memory of look-ups that are about to come; as [`Cache::prefetch`].
    #[inline]
    pub fn prefetch(&self, hashes: &[KeyHash]) {
        self.cache.prefetch(hashes);
    }

    /// Whether asking ahead saves more than it costs; as [`Cache::pays_prefetch`].
    #[inline]
    #[must_use]
    pub const fn pays_prefetch(&self) -> bool {
        self.cache.pays_prefetch()
    }

    /// Stores a value, if the condition holds and the checksum matches: under a new version, or under the one it brings along, and
    /// then only over something older.
    pub fn set(&mut self, hash: KeyHash, key: &[u8], set: &NewValue<'_>, now: ClockReadings) -> SetOutcome {
        let computed = match set.value_crc32c {
            Some(given) if set.is_checked => given,
            _ => set.computed_crc32c(),
        };
        if let Some(given) = set.value_crc32c
            && given != computed
        {
            return SetOutcome::Corrupt { given, computed };
        }
        if let Some(outcome) = self.refuse(hash, key, set, now) {
            return outcome;
        }
        let version = set.version.unwrap_or_else(|| self.clock.tick(now.wall_ms));
        match self.cache.insert(hash, key, &insert_of(set, version, computed, now), now.steady_ms) {
            Ok(inserted) => SetOutcome::Stored(Stored { version, replaced: inserted.replaced }),
            Err(error) => SetOutcome::refused(&error),
        }
    }

    /// Why a write is not applied in the state in which its key is now, if so.
    fn refuse(&mut self, hash: KeyHash, key: &[u8], set: &NewValue<'_>, now: ClockReadings) -> Option<SetOutcome> {
        if set.version.is_some_and(|version| self.clock.observe(version, now.wall_ms).is_err()) {
            return Some(SetOutcome::VersionAhead);
        }
        if set.version.is_some_and(|version| self.is_disowned(hash.slot(), version)) {
            return Some(SetOutcome::NotApplied { current: None });
        }
        if set.condition != Condition::Any || set.version.is_some() {
            let current = self.current(hash, key, now.steady_ms);
            if !may_replace(current, set.condition, set.version) {
                return Some(SetOutcome::NotApplied { current });
            }
        }
        None
    }

    /// Removes a key, if the condition holds. The removal has a version of its own, newer than what it removes: the shard's next
    /// one, or `delete.version`.
    pub fn delete(&mut self, hash: KeyHash, key: &[u8], delete: Delete, now: ClockReadings) -> Deleted {
        if delete.version.is_some_and(|version| self.clock.observe(version, now.wall_ms).is_err()) {
            return Deleted::VersionAhead;
        }
        let current = self.current(hash, key, now.steady_ms);
        if !may_replace(current, delete.condition, delete.version) {
            return Deleted::NotApplied { current };
        }
        match self.cache.remove(hash, key, now.steady_ms) {
            Some(removed) => {
                Deleted::Deleted { version: delete.version.unwrap_or_else(|| self.clock.tick(now.wall_ms)), removed }
            }
            None => Deleted::NotFound,
        }
    }

    /// Gives a key a new time to live in milliseconds from now, 0 for ever. The version stays.
    pub fn touch(&mut self, hash: KeyHash, key: &[u8], ttl_ms: u64, now_ms: u64) -> Touched {
        match self.cache.touch(hash, key, expire_ms(now_ms, ttl_ms), now_ms) {
            Some(version) => Touched::Touched { version },
            None => Touched::NotFound,
        }
    }

    /// Does background work; as [`Cache::maintain`].
    pub fn maintain(&mut self, now_ms: u64, budget_units: u32) -> u32 {
        self.cache.maintain(now_ms, budget_units)
    }

    /// Sets a new memory limit in bytes; as [`Cache::resize`].
    ///
    /// # Errors
    ///
    /// As [`Cache::resize`].
    pub fn resize(&mut self, limit_bytes: u64) -> Result<(), CacheError> {
        self.cache.resize(limit_bytes)
    }

    /// The largest value the shard takes, in bytes.
    #[must_use]
    pub fn value_bytes_max(&self) -> usize {
        self.cache.value_bytes_max()
    }

    /// The cache's counters and gauges.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        self.cache.stats()
    }

    /// The cache, for copies of values that other shards own (an edge's edge copies keep their owner's version).
    pub const fn cache_mut(&mut self) -> &mut Cache {
        &mut self.cache
    }

    fn current(&self, hash: KeyHash, key: &[u8], now_ms: u64) -> Option<Version> {
        self.cache.peek(hash, key, now_ms).map(|hit| hit.version())
    }
}

/// Whether a write may replace what is there: its condition holds, and nothing as new as the version it brings is there.
fn may_replace(current: Option<Version>, condition: Condition, version: Option<Version>) -> bool {
    let is_newer = version.is_none_or(|version| current.is_none_or(|current| current < version));
    condition.holds(current) && is_newer
}

/// What the cache is handed of a write.
const fn insert_of<'a>(set: &NewValue<'a>, version: Version, value_crc32c: u32, now: ClockReadings) -> Insert<'a> {
    Insert {
        value: set.value,
        metadata: set.metadata,
        version,
        expire_ms: expire_ms(now.steady_ms, set.ttl_ms),
        value_crc32c,
        flags: set.flags,
    }
}

/// The instant a time to live ends: 0 (never) for 0.
const fn expire_ms(now_ms: u64, ttl_ms: u64) -> u64 {
    if ttl_ms == 0 { 0 } else { now_ms.saturating_add(ttl_ms) }
}
