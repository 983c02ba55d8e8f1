//! Reading another thread's cache in place: without a message, a lock, or a write to memory that is shared.
//!
//! ```text
//!  version ─▶ root ─▶ home bucket, the other ─▶ record, copied word by word ─▶ version as before? ─▶ key, expiry
//!     └──────────────── changed: once more, then the owner is asked by message ◀─┘
//! ```
//!
//! **Not** for the bytes of large values: of what is chained, or longer than the room it is copied to, only the header are read
//! (version, expiry, metadata, length); the value is the owner's to hand out.
//!
//! **Invariants**: nothing that was read is believed, but for being a word, before the version has been looked at again; so
//! every offset is checked; readers write nothing but their own notes.
//!
//! **Source**: ADR 8 (one writer, many optimistic readers).

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::arena::{Memory, WORD_BYTES};
use super::index::{self, IndexAddress, Root, Slot, root_at};
use super::item::{ITEM_HEADER_BYTES, ItemHeader, LINK_BYTES};
use super::notes::Notes;
use super::versions::{Seen, Versions};
use crate::key::KeyHash;
use crate::version::Version;

/// Tries before the owner is asked.
const TRIES: usize = 2;

/// Tries when a person waits.
const INSPECTIONS: usize = 1000;

/// What the owner of a cache and the readers of other threads have in common.
#[derive(Clone, Debug)]
pub struct SharedCache {
    pub(super) common: Arc<Common>,
}

#[derive(Debug)]
pub(super) struct Common {
    pub(super) memory: Arc<Memory>,
    pub(super) versions: Arc<Versions>,
    /// Count of roots of the index.
    pub(super) roots: u64,
    /// One for each reader.
    pub(super) notes: Box<[Notes]>,
    /// Of each segment, when it was opened, and its queue: for people who look at a key.
    pub(super) marks: Box<[AtomicU64]>,
    pub(super) segment_shift: u32,
}

/// What a cache knows of a key, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// The version the item was stored with.
    pub version: Version,
    /// Steady milliseconds; 0 for never. It may have passed: nothing has met the item since.
    pub expire_ms: u64,
    /// Bytes of the value.
    pub value_bytes: usize,
    /// The caller's flags, as they were handed in.
    pub flags: u8,
    /// Whether the value lies in several segments.
    pub is_chained: bool,
    /// Uses since it came into its queue, 0 to 3.
    pub frequency: u8,
    /// Whether it is in the main queue; in the small one otherwise.
    pub is_main: bool,
    /// When its segment was opened, steady milliseconds.
    pub segment_opened_ms: u64,
}

/// What came of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// The item is in the buffer.
    Found(Found),
    /// There is none, or it has expired.
    Absent,
    /// It is too large to be copied: key and metadata are in the buffer, the value is to be asked of its owner.
    Large(Found),
    /// It was being changed, or the buffer has no room for key and metadata: ask its owner.
    Contended,
}

/// An item that was copied, or all of it but the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The version the item was stored with.
    pub version: Version,
    /// Steady milliseconds; 0 for never.
    pub expire_ms: u64,
    /// CRC-32C of the value, as it was handed in.
    pub value_crc32c: u32,
    /// The caller's flags, as they were handed in.
    pub flags: u8,
    /// Bytes of the whole value, also where it was not copied.
    pub value_bytes: u32,
    metadata: (u32, u32),
    value: (u32, u32),
}

impl Found {
    /// Where the metadata is in the buffer.
    #[must_use]
    pub const fn metadata(&self) -> Range<usize> {
        self.metadata.0 as usize..self.metadata.1 as usize
    }

    /// Where the value is in the buffer; nowhere where it was not copied.
    #[must_use]
    pub const fn value(&self) -> Range<usize> {
        self.value.0 as usize..self.value.1 as usize
    }
}

/// The key's page was being changed whenever it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

/// The record under way was changed, or was none.
struct Changed;

impl SharedCache {
    /// The reader of this number, to be used by one thread.
    ///
    /// # Panics
    ///
    /// When the number is not below [`super::CacheOptions::readers`].
    #[must_use]
    pub fn reader(&self, number: usize) -> Reader {
        assert!(number < self.common.notes.len(), "the cache was made for fewer readers");
        Reader { common: Arc::clone(&self.common), number }
    }

    /// Looks at a key without counting a use: what the cache knows of it, `None` when it does not hold it. `Err` when it was
    /// being changed each time: try again.
    ///
    /// # Errors
    ///
    /// [`Busy`]; nobody's fault.
    pub fn inspect(&self, hash: KeyHash, key: &[u8]) -> Result<Option<Inspection>, Busy> {
        for _ in 0..INSPECTIONS {
            if let Ok(inspection) = self.common.inspect(hash, key) {
                return Ok(inspection);
            }
        }
        Err(Busy)
    }
}

/// One thread's way to read another's cache. Two readers of one number lose notes of hits, nothing worse.
#[derive(Debug)]
pub struct Reader {
    common: Arc<Common>,
    number: usize,
}

impl Reader {
    /// Looks a key up and copies its item into `into`, which is emptied; the use is noted for the owner.
    ///
    /// `hash` is the cluster's [`crate::key::KeyHasher`] over `key`; `now_ms` is in steady milliseconds. Of an item of more bytes
    /// than `into` has room for, everything but the value is copied ([`Read::Large`]), and no use is noted: nothing is
    /// allocated.
    pub fn read(&self, hash: KeyHash, key: &[u8], now_ms: u64, into: &mut Vec<u8>) -> Read {
        for _ in 0..TRIES {
            let Ok(read) = self.common.attempt(hash, key, into) else { continue };
            match read {
                Read::Found(found) | Read::Large(found) if found.expire_ms != 0 && now_ms >= found.expire_ms => {
                    return Read::Absent;
                }
                Read::Found(_) => self.common.notes[self.number].leave(hash.index()),
                _ => false,
            };
            return read;
        }
        Read::Contended
    }
}

impl Common {
    fn attempt(&self, hash: KeyHash, key: &[u8], into: &mut Vec<u8>) -> Result<Read, Changed> {
        let place = index::place(hash.index(), self.roots);
        let seen = self.versions.read(place.root as usize).ok_or(Changed)?;
        for bucket in self.buckets(place) {
            for slot in self.slots(bucket, place) {
                let read = self.copy(slot.location().at(), key, into)?;
                if let Some(read) = read {
                    return self.vouch(place, seen, read);
                }
            }
        }
        self.vouch(place, seen, Read::Absent)
    }

    fn vouch(&self, place: IndexAddress, seen: Seen, read: Read) -> Result<Read, Changed> {
        if self.versions.is_unchanged(place.root as usize, seen) { Ok(read) } else { Err(Changed) }
    }

    /// Where the two buckets of a place are at this moment. A root's word always leads into the arena, if not to the page of
    /// the version that was seen.
    #[inline]
    fn buckets(&self, place: IndexAddress) -> [usize; 2] {
        Root::from_word(self.memory.load(root_at(place.root))).page().candidates(place.tag)
    }

    /// The slots of a bucket that have the tag of a place.
    #[inline]
    fn slots(&self, bucket: usize, place: IndexAddress) -> impl Iterator<Item = Slot> {
        self.memory.line(bucket).into_iter().map(Slot::from_word).filter(move |slot| slot.tag() == place.tag)
    }

    /// Copies the record at `at`, if it seems to be of `key`: all of it, or all but its value.
    fn copy(&self, at: usize, key: &[u8], into: &mut Vec<u8>) -> Result<Option<Read>, Changed> {
        let header = self.header(at)?;
        if header.key_bytes() != key.len() {
            return Ok(None);
        }
        let key_at = at + ITEM_HEADER_BYTES + if header.is_chained() { LINK_BYTES } else { 0 };
        // The metadata's length is in the record, behind the key.
        let key_end = key.len();
        let metadata_bytes = if header.has_metadata() { 1 + self.byte(key_at + key_end)? } else { 0 };
        let value_start = key_end + metadata_bytes;
        let whole = value_start + header.value_bytes();
        let is_large = header.is_chained() || whole.next_multiple_of(WORD_BYTES) > into.capacity();
        let end = if is_large { value_start } else { whole };
        if key_at + end > self.memory.bytes() {
            return Err(Changed);
        }
        if end.next_multiple_of(WORD_BYTES) > into.capacity() {
            return Ok(Some(Read::Contended));
        }
        into.clear();
        for offset in (0..end).step_by(WORD_BYTES) {
            into.extend_from_slice(&self.memory.load(key_at + offset).to_le_bytes());
        }
        if into[..key_end] != *key {
            return Ok(None);
        }
        let metadata_start = if header.has_metadata() { key_end + 1 } else { key_end };
        let found = Found {
            version: header.version,
            expire_ms: header.expire_ms(),
            value_crc32c: header.value_crc32c(),
            flags: header.caller_flags(),
            value_bytes: header.value_bytes() as u32,
            metadata: (metadata_start as u32, value_start as u32),
            value: (value_start as u32, end as u32),
        };
        Ok(Some(if is_large { Read::Large(found) } else { Read::Found(found) }))
    }

    fn inspect(&self, hash: KeyHash, key: &[u8]) -> Result<Option<Inspection>, Changed> {
        let place = index::place(hash.index(), self.roots);
        let seen = self.versions.read(place.root as usize).ok_or(Changed)?;
        let mut found = None;
        for bucket in self.buckets(place) {
            for slot in self.slots(bucket, place) {
                let at = slot.location().at();
                let header = self.header(at)?;
                if found.is_none() && self.is_key_of(at, &header, key)? {
                    found = Some(self.inspection(slot, at, &header));
                }
            }
        }
        if self.versions.is_unchanged(place.root as usize, seen) { Ok(found) } else { Err(Changed) }
    }

    fn inspection(&self, slot: Slot, at: usize, header: &ItemHeader) -> Inspection {
        let mark = self.marks[at >> self.segment_shift].load(Ordering::Relaxed);
        Inspection {
            version: header.version,
            expire_ms: header.expire_ms(),
            value_bytes: header.value_bytes(),
            flags: header.caller_flags(),
            is_chained: header.is_chained(),
            frequency: slot.frequency() as u8,
            is_main: mark & 1 != 0,
            segment_opened_ms: mark >> 1,
        }
    }

    fn header(&self, at: usize) -> Result<ItemHeader, Changed> {
        if at + ITEM_HEADER_BYTES > self.memory.bytes() {
            return Err(Changed);
        }
        Ok(ItemHeader::of(std::array::from_fn(|n| self.memory.load(at + n * WORD_BYTES))))
    }

    fn is_key_of(&self, at: usize, header: &ItemHeader, key: &[u8]) -> Result<bool, Changed> {
        let key_at = at + ITEM_HEADER_BYTES + if header.is_chained() { LINK_BYTES } else { 0 };
        if header.key_bytes() != key.len() {
            return Ok(false);
        }
        for (offset, byte) in key.iter().enumerate() {
            if self.byte(key_at + offset)? != usize::from(*byte) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn byte(&self, at: usize) -> Result<usize, Changed> {
        if at >= self.memory.bytes() {
            return Err(Changed);
        }
        let word = self.memory.load(at - at % WORD_BYTES).to_le_bytes();
        Ok(usize::from(word[at % WORD_BYTES]))
    }
}
