//! Values that readers take part by part, kept as they were when the first part was read.
//!
//! ```text
//!  first part ──▶ pinned ──▶ part ──▶ … ──▶ the last reader's last part: gone      nobody asked for a while: gone
//! ```
//!
//! A reader is a client, of this core, of another or of an edge; a value that is overwritten or evicted meanwhile is still
//! there for it. Without room for one more, a value is read from the shard part by part, and a reader whose version is gone
//! learns that.
//!
//! **Not** a promise: a reader that comes back too late finds what is there by then.
//!
//! **Invariants**: at most [`HOLDS_MAX`] values are held, within what the cache lets be pinned; memory stays the owner core's,
//! and what is handed out are copies; a hold that nobody has used for [`HOLD_TIME`] ends.

use std::sync::Arc;
use std::time::Duration;

use reactor::Instant;
use shardstore::cache::Hit;
use shardstore::cache::Pinned;
use shardstore::key::{KeyHash, SlotId};
use shardstore::version::Version;

use crate::request::{ReadPart, StoredValue};

/// Values of a core that are held at once.
pub const HOLDS_MAX: usize = 64;

/// How long a value is held for readers that ask for nothing: a reader that takes its parts has some 128 KiB to send in this
/// time, and a slower one can be told that the value has changed.
pub const HOLD_TIME: Duration = Duration::from_secs(10);

#[derive(Debug)]
struct Hold {
    hash: KeyHash,
    key: Box<[u8]>,
    /// All of the value but its bytes.
    described: StoredValue,
    pinned: Pinned,
    readers: u32,
    until: Instant,
}

/// The held values of a core.
#[derive(Debug, Default)]
pub(crate) struct Holds(Vec<Hold>);

impl Holds {
    /// Holds a value of which the first part is being read, for one more reader; not where there is no room.
    pub(crate) fn begin(
        &mut self,
        (hash, key): (KeyHash, &[u8]),
        hit: &Hit<'_>,
        described: &StoredValue,
        now: Instant,
    ) {
        let until = now + HOLD_TIME;
        if let Some(hold) = self.find((hash, key), hit.version()) {
            hold.readers = hold.readers.saturating_add(1);
            hold.until = until;
            return;
        }
        self.expire(now);
        if self.0.len() >= HOLDS_MAX {
            return;
        }
        if let Some(pinned) = hit.pin() {
            let described = StoredValue { part: Arc::default(), offset: 0, ..described.clone() };
            self.0.push(Hold { hash, key: key.into(), described, pinned, readers: 1, until });
        }
    }

    /// A part of a value of this version, if it is held.
    pub(crate) fn read(&mut self, key: (KeyHash, &[u8]), part: &ReadPart, now: Instant) -> Option<StoredValue> {
        let hold = self.find(key, part.version?)?;
        hold.until = now + HOLD_TIME;
        let range = part.range(hold.described.value_bytes);
        let mut bytes = Vec::with_capacity(range.len());
        hold.pinned.value().copy_range_to(range.clone(), &mut bytes);
        Some(StoredValue { offset: range.start, part: Arc::new(bytes), ..hold.described.clone() })
    }

    /// A reader has all that it wants.
    pub(crate) fn end(&mut self, (hash, key): (KeyHash, &[u8]), version: Version) {
        let Some(hold) = self.find((hash, key), version) else { return };
        hold.readers = hold.readers.saturating_sub(1);
        if hold.readers == 0 {
            self.0.retain(|hold| !hold.is_of((hash, key), version));
        }
    }

    /// Ends what nobody has asked for.
    pub(crate) fn expire(&mut self, now: Instant) {
        self.0.retain(|hold| hold.until > now);
    }

    /// Ends what is held of slots that have gone to another process.
    pub(crate) fn release(&mut self, has_left: impl Fn(SlotId) -> bool) {
        self.0.retain(|hold| !has_left(hold.hash.slot()));
    }

    /// How many values are held.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    fn find(&mut self, key: (KeyHash, &[u8]), version: Version) -> Option<&mut Hold> {
        self.0.iter_mut().find(|hold| hold.is_of(key, version))
    }
}

impl Hold {
    fn is_of(&self, (hash, key): (KeyHash, &[u8]), version: Version) -> bool {
        self.hash == hash && self.described.version == version && *self.key == *key
    }
}
