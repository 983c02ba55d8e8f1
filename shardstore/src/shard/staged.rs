//! Writing a large value slice by slice: begun, copied, and applied at the end or not at all.
//!
//! **Not**: when the next slice is due, and whether anybody still waits for the write; the caller knows.
//!
//! **Invariants**: a write is judged (condition, version, checksum) by the state its key has when it is applied; one that cannot be
//! applied in the state that its key has when it begins costs no copy; until it is applied nobody sees anything of it.

use super::{ClockReadings, NewValue, SetOutcome, Shard, Stored, insert_of};
use crate::cache::StagedItem;
use crate::key::KeyHash;
use crate::version::Version;

/// A write that is under way. Hand it back to its shard: [`Shard::apply_staged`] or [`Shard::abandon_staged`]; its memory is lost
/// otherwise.
#[derive(Debug)]
#[must_use = "the memory of a staged write comes back only if it is applied or abandoned"]
pub struct StagedSet {
    item: StagedItem,
    /// Over what has been copied.
    crc32c: u32,
}

impl Shard {
    /// Begins a write whose value is copied slice by slice: longer than [`crate::cache::SLICE_BYTES_MAX`], so that it does not lie in
    /// one piece.
    ///
    /// # Errors
    ///
    /// The outcome, where the write fails at once.
    pub fn stage(
        &mut self,
        hash: KeyHash,
        key: &[u8],
        set: &NewValue<'_>,
        now: ClockReadings,
    ) -> Result<StagedSet, SetOutcome> {
        if let Some(outcome) = self.refuse(hash, key, set, now) {
            return Err(outcome);
        }
        let insert = insert_of(set, Version::default(), 0, now);
        let item = self.cache.stage(hash, key, &insert, now.steady_ms).map_err(|error| SetOutcome::refused(&error))?;
        Ok(StagedSet { item, crc32c: 0 })
    }

    /// Copies the next slice of a write's value, or reclaims memory for it; true when all of the value has been copied.
    ///
    /// # Errors
    ///
    /// The outcome, where there is no room; the write is to be abandoned.
    pub fn stage_slice(&mut self, staged: &mut StagedSet, set: &NewValue<'_>, now_ms: u64) -> Result<bool, SetOutcome> {
        let rest = set.value.piece_from(staged.item.copied_bytes());
        let copied = self.cache.stage_slice(&mut staged.item, rest, now_ms);
        let copied = copied.map_err(|error| SetOutcome::refused(&error))?;
        if !set.has_checked_crc() {
            staged.crc32c = crc32c::crc32c_append(staged.crc32c, &rest[..copied]);
        }
        Ok(staged.item.is_whole())
    }

    /// Applies a write whose value has been copied, as [`Shard::set`] would apply it now.
    ///
    /// # Panics
    ///
    /// When `key` or `set` are others than it was begun with.
    pub fn apply_staged(
        &mut self,
        staged: StagedSet,
        (hash, key): (KeyHash, &[u8]),
        set: &NewValue<'_>,
        now: ClockReadings,
    ) -> SetOutcome {
        let computed = if set.has_checked_crc() { set.value_crc32c.unwrap_or_default() } else { staged.crc32c };
        let refused = match set.value_crc32c {
            Some(given) if given != computed => Some(SetOutcome::Corrupt { given, computed }),
            _ => self.refuse(hash, key, set, now),
        };
        if let Some(outcome) = refused {
            self.abandon_staged(staged);
            return outcome;
        }
        let version = set.version.unwrap_or_else(|| self.clock.tick(now.wall_ms));
        let insert = insert_of(set, version, computed, now);
        let inserted = self.cache.link_staged(staged.item, key, &insert, now.steady_ms);
        SetOutcome::Stored(Stored { version, replaced: inserted.replaced })
    }

    /// Gives a write up.
    pub fn abandon_staged(&mut self, staged: StagedSet) {
        self.cache.abandon_staged(staged.item);
    }
}
