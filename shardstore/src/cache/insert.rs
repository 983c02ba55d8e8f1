//! Storing an item: what is handed in, the order of the steps, the way into the index.
//!
//! **Not**: how the bytes get into segments (that is `append`), making room (that is `reclaim`).
//!
//! **Invariants**: a refused insert changes nothing a reader can see of its key; the record is written completely before the
//! index points to it.
//!
//! **Source**: docs/engine.md.

use super::item::{FLAGS_MAX, ItemHead, Location, METADATA_BYTES_MAX};
use super::{Cache, CacheError, Reason};
use crate::key::{KeyHash, STORED_KEY_BYTES_MAX};
use crate::version::Version;

/// Notes of hits taken into account per insert: as many as a cache gets that is read from elsewhere and hit nearly always.
const NOTES_PER_INSERT: usize = 32;

/// Times a page grows for one item: once is enough but for the smallest pages.
const GROWTHS_MAX: u32 = 3;

/// A value as it is handed in: in one piece, or in the pieces it was received in.
#[derive(Clone, Copy, Debug)]
pub enum ValueParts<'a> {
    /// One piece.
    One(&'a [u8]),
    /// Pieces in order; any of them may be empty.
    Many(&'a [&'a [u8]]),
}

impl<'a> ValueParts<'a> {
    /// Bytes of all pieces.
    #[must_use]
    pub fn len(&self) -> usize {
        self.as_slices().iter().map(|part| part.len()).sum()
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The pieces in order.
    #[must_use]
    pub fn as_slices(&self) -> &[&'a [u8]] {
        match self {
            Self::One(part) => std::slice::from_ref(part),
            Self::Many(parts) => parts,
        }
    }
}

impl<'a> ValueParts<'a> {
    /// The bytes from an offset on, to the end of the piece that it lies in; none where it lies behind the end.
    #[must_use]
    pub fn piece_from(&self, offset: usize) -> &'a [u8] {
        let mut skip = offset;
        for part in self.as_slices() {
            match part.get(skip..) {
                Some(rest) if !rest.is_empty() => return rest,
                _ => skip -= part.len(),
            }
        }
        &[]
    }
}

impl<'a> From<&'a [u8]> for ValueParts<'a> {
    fn from(value: &'a [u8]) -> Self {
        Self::One(value)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for ValueParts<'a> {
    fn from(value: &'a [u8; N]) -> Self {
        Self::One(value)
    }
}

impl<'a> From<&'a [&'a [u8]]> for ValueParts<'a> {
    fn from(parts: &'a [&'a [u8]]) -> Self {
        Self::Many(parts)
    }
}

/// An item to be stored.
#[derive(Clone, Copy, Debug)]
pub struct Insert<'a> {
    /// The value, 0 bytes to [`Cache::value_bytes_max`].
    pub value: ValueParts<'a>,
    /// Opaque bytes kept beside the value (a content type), 0 to [`METADATA_BYTES_MAX`].
    pub metadata: &'a [u8],
    /// The write this is.
    pub version: Version,
    /// Instant from which it is not served any more, steady milliseconds; 0 for never; cut to [`super::EXPIRE_MS_MAX`].
    pub expire_ms: u64,
    /// CRC-32C of the value; stored and handed back, not checked here.
    pub value_crc32c: u32,
    /// Opaque to the cache, 0 to [`FLAGS_MAX`].
    pub flags: u8,
}

impl<'a> Insert<'a> {
    /// An item without metadata, expiry and flags.
    pub fn new(value: impl Into<ValueParts<'a>>, version: Version, value_crc32c: u32) -> Self {
        Self { value: value.into(), metadata: &[], version, expire_ms: 0, value_crc32c, flags: 0 }
    }
}

/// What an insert did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inserted {
    /// The version that was in the place, if there was one that had not expired.
    pub replaced: Option<Version>,
}

impl Cache {
    /// Stores an item in place of the one with the same key. Other items may be evicted.
    ///
    /// The work done is proportional to the item's bytes.
    ///
    /// # Errors
    ///
    /// [`CacheError::ValueTooLarge`], [`CacheError::KeyTooLong`], [`CacheError::MetadataTooLong`]: the client is at fault.
    /// [`CacheError::NoRoom`]: too much is pinned. An item stored before stays then, unless it was evicted.
    ///
    /// # Panics
    ///
    /// When the flags exceed [`FLAGS_MAX`].
    pub fn insert(
        &mut self,
        hash: KeyHash,
        key: &[u8],
        insert: &Insert<'_>,
        now_ms: u64,
    ) -> Result<Inserted, CacheError> {
        debug_assert_eq!(hash, self.hasher.hash(key), "the hash is the cluster's, over the whole key");
        let head = self.head_of(key, insert)?;
        self.latest_ms = now_ms;
        self.take_notes(NOTES_PER_INSERT);
        let before = self.find(hash, key);
        let replaced = before.and_then(|(_, item)| (!item.is_expired(now_ms)).then_some(item.version));
        let changes = self.changes();
        let admission = self.admission(hash, before.as_ref());
        let plan = self.plan(&head, admission.queue, now_ms);
        self.make_room(&plan, now_ms)?;
        let location = self.append(&plan, &head, insert.value.as_slices());
        // Making room may have evicted or moved the old item; look again only if it did anything.
        let old = if changes == self.changes() { before } else { self.find(hash, key) };
        // For readers the key is never absent in between.
        self.index.begin(hash.index());
        if let Some((slot, item)) = old {
            let reason = if item.is_expired(now_ms) { Reason::Expired } else { Reason::Replaced };
            self.remove_item(slot, &item, reason);
        }
        self.link(hash, location, admission.frequency);
        self.index.end();
        self.counters.inserts += 1;
        self.pace(plan.record_bytes(), now_ms);
        self.pace_upkeep(plan.record_bytes());
        Ok(Inserted { replaced })
    }

    pub(super) fn head_of<'a>(&self, key: &'a [u8], insert: &Insert<'a>) -> Result<ItemHead<'a>, CacheError> {
        assert!(insert.flags <= FLAGS_MAX, "the caller has four flags");
        if key.len() > STORED_KEY_BYTES_MAX {
            return Err(CacheError::KeyTooLong(key.len()));
        }
        if insert.metadata.len() > METADATA_BYTES_MAX {
            return Err(CacheError::MetadataTooLong(insert.metadata.len()));
        }
        let (value_bytes, value_bytes_max) = (insert.value.len(), self.value_bytes_max());
        if value_bytes > value_bytes_max {
            return Err(CacheError::ValueTooLarge { value_bytes, value_bytes_max });
        }
        Ok(ItemHead {
            key,
            metadata: insert.metadata,
            value_len: value_bytes as u32,
            value_crc32c: insert.value_crc32c,
            version: insert.version,
            expire_ms: insert.expire_ms,
            flags: insert.flags,
        })
    }

    /// How often an item was removed or moved, or a slot: while it stays, everything is where it was.
    const fn changes(&self) -> u64 {
        self.counters.changes() + self.index.moves()
    }

    /// Points the index to a new item. When there is no place for it, its page grows; when that cannot be, one item of its two
    /// buckets goes.
    pub(super) fn link(&mut self, hash: KeyHash, location: Location, frequency: u64) {
        let item = (location, frequency);
        for _ in 0..GROWTHS_MAX {
            if self.index.put(&mut self.arena, hash.index(), item) {
                return;
            }
            if !self.grow_page(hash.index()) {
                break;
            }
        }
        self.evict_for_slot(hash);
        let done = self.index.put(&mut self.arena, hash.index(), item);
        assert!(done, "the slot of the item that went is empty");
    }
}
