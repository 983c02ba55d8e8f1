//! Large values on their way into the shard, slice by slice, so that every other request of the core gets its turn in between.
//!
//! ```text
//!  wait for room ──▶ begin ──▶ slice ──▶ (other tasks) ──▶ slice ──▶ … ──▶ StagedWrite ──▶ apply ──▶ stored, or refused
//!       │              │         └─ no room, too late, nobody waits: abandoned
//!       └──────────────┴─ refused, before anything is copied
//! ```
//!
//! **Not** for values up to [`STAGED_BYTES_MIN`], which are copied at once.
//!
//! **Invariants**: at most [`STAGED_MAX`] values are on their way, within an eighth of the shard, or one alone; each has a deadline,
//! [`STAGING_TIME_MAX`] at most; nothing of a value is shown before it is applied, and that happens in one turn with the judgement of
//! its condition; a value that is not applied, in whatever way its task ends, gives its memory back.
//!
//! **Source**: docs/engine.md, "Large values".

use std::rc::Rc;
use std::time::Duration;

use reactor::{Instant, Reactor};
use shardstore::cache::SLICE_BYTES_MAX;
use shardstore::key::KeyHash;
use shardstore::shard::{NewValue, StagedSet};

use crate::budget::{Budget, Lease, Oversize};
use crate::owner::{Written, set_outcome};
use crate::store::{Store, readings};

/// Values longer than this are written slice by slice.
pub const STAGED_BYTES_MIN: usize = SLICE_BYTES_MAX;

/// Values that are on their way at once: so many slices are copied between two turns of another task.
pub const STAGED_MAX: usize = 4;

/// How long a value may be on its way. Copying 64 MiB takes some hundredths of a second, and more where much has to be reclaimed or
/// others keep the core busy; what takes longer than this is not going to be there in time.
pub const STAGING_TIME_MAX: Duration = Duration::from_secs(10);

/// Share of the shard that values on their way may take together: one in so many.
const SHARD_SHARE: u64 = 8;

/// Room for the values that are on their way on one core.
pub(crate) struct StagingRoom(Rc<Budget>);

impl StagingRoom {
    /// Room in a shard of so many bytes.
    pub(crate) fn new(shard_bytes: u64) -> Self {
        let bytes = usize::try_from(shard_bytes / SHARD_SHARE).unwrap_or(usize::MAX);
        StagingRoom(Budget::new(bytes, Oversize::Refuse))
    }

    /// Waits for room for a value, behind all who wait already.
    async fn enter(&self, reactor: &Reactor, value_bytes: usize, deadline: Instant) -> Option<Lease> {
        let bytes_max = self.0.bytes_max();
        // The largest ones go alone; of the smallest no more than may be on their way.
        let bytes = value_bytes.clamp(bytes_max.div_ceil(STAGED_MAX), bytes_max);
        self.0.wait(reactor, bytes, deadline).await
    }

    /// Room for a value that nobody has to store, if there is some now.
    pub(crate) fn try_enter(&self, value_bytes: usize) -> Option<Lease> {
        let bytes_max = self.0.bytes_max();
        self.0.lease(value_bytes.clamp(bytes_max.div_ceil(STAGED_MAX), bytes_max))
    }
}

/// Why a value is not there to be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotStaged {
    /// The write was refused.
    Refused(Written),
    /// Its time is over, or nobody waits for it.
    GivenUp,
}

/// A value that has been copied and is not shown yet. Given up when it is dropped.
pub struct StagedWrite<'s> {
    store: &'s Store,
    staged: Option<StagedSet>,
    _room: Lease,
}

impl StagedWrite<'_> {
    /// Applies the write, if its condition holds now. `key` and `set` as it was begun with.
    #[must_use]
    pub fn apply(mut self, key: (KeyHash, &[u8]), set: &NewValue<'_>) -> Written {
        let staged = self.staged.take().expect("a write is applied once");
        set_outcome(&self.store.shard().apply_staged(staged, key, set, readings(self.store.reactor())))
    }
}

impl Drop for StagedWrite<'_> {
    fn drop(&mut self) {
        if let Some(staged) = self.staged.take() {
            self.store.shard().abandon_staged(staged);
        }
    }
}

impl Store {
    /// Copies a large value into the shard of this core, for a write that is applied by [`StagedWrite::apply`]: to be called in the
    /// same turn, so that what was true when this returns is still true.
    ///
    /// `is_wanted` is asked before each slice whether anybody still waits for the write.
    ///
    /// # Errors
    ///
    /// [`NotStaged`]; nothing was written.
    pub async fn stage(
        &self,
        (hash, key): (KeyHash, &[u8]),
        set: &NewValue<'_>,
        deadline: Instant,
        is_wanted: impl Fn() -> bool,
    ) -> Result<StagedWrite<'_>, NotStaged> {
        debug_assert!(self.cores().owns(hash), "a key is written by its owner");
        debug_assert!(set.value.len() > STAGED_BYTES_MIN, "smaller values are copied at once");
        let reactor = self.reactor();
        let deadline = deadline.min(reactor.now() + STAGING_TIME_MAX);
        let room = self.staging().enter(reactor, set.value.len(), deadline).await;
        let room = room.ok_or(NotStaged::Refused(Written::NoRoom))?;
        let begun = self.shard().stage(hash, key, set, readings(reactor));
        let staged = begun.map_err(|outcome| NotStaged::Refused(set_outcome(&outcome)))?;
        let mut write = StagedWrite { store: self, staged: Some(staged), _room: room };
        loop {
            // The clock, not the time of the turn: the process may have stood still since.
            if reactor.read_clock() > deadline || !is_wanted() {
                return Err(NotStaged::GivenUp);
            }
            let staged = write.staged.as_mut().expect("it is not applied yet");
            // The shard is not borrowed while others have their turn.
            let copied = self.shard().stage_slice(staged, set, reactor.steady_ms());
            match copied {
                Ok(true) => return Ok(write),
                Ok(false) => reactor.yield_now().await,
                Err(outcome) => return Err(NotStaged::Refused(set_outcome(&outcome))),
            }
        }
    }
}

#[cfg(test)]
mod tests;
