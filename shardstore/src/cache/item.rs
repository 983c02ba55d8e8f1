//! Records: how an item lies in a segment, and in several when its value is large.
//!
//! ```text
//!  item                 63                    21 20     8 7      0
//!   word 0             ├─ expire_ms (43) ───────┼ key (13)┼ flags ┤   the word that is rewritten in place
//!   word 1             ├─ value_crc32c (32) ─────┼ value_len (32) ─┤
//!   word 2             ├─ version (64) ────────────────────────────┤
//!   link, if CHAINED   ├─ bytes here (24) ─┼─ next location (40) ──┤
//!   then key | metadata_len (1) and metadata, if METADATA | value, or its first part if CHAINED | padding to 8
//!
//!  extent
//!   word 0             ├ 0 (16) ┼─ head location (40) ─────┼ flags ┤
//!   link               ├─ bytes here (24) ─┼─ next location (40) ──┤
//!   then that part of the value | padding to 8
//!
//!  flags: 0 DEAD, 1 EXTENT, 2 CHAINED, 3 METADATA, 4..=7 the caller's
//! ```
//!
//! The order of the fields keeps exact milliseconds of expiry in one word with the flags (docs/adr/0003-expiry-resolution.md).
//!
//! **Not**: finding room, counting what is alive.
//!
//! **Invariants**: records are 8-byte aligned and their lengths follow from their headers, so that a segment can be walked
//! from its start; only word 0 changes once the index points to a record; a chain's extents are in different segments.
//!
//! **Source**: ADR 3; TTL comparison is `now >= expire`, so nothing is served at its expiry instant.

use super::arena::{Arena, Mapping, WORD_BYTES};
use crate::key::STORED_KEY_BYTES_MAX;
use crate::version::Version;

const HEADER_WORDS: usize = 3;
/// Bytes of an item's header.
pub(super) const ITEM_HEADER_BYTES: usize = HEADER_WORDS * WORD_BYTES;
/// Bytes of the link word of a chained item.
pub(super) const LINK_BYTES: usize = WORD_BYTES;
/// Bytes of an extent's header.
pub(super) const EXTENT_HEADER_BYTES: usize = 2 * WORD_BYTES;

/// The latest instant an item can expire at, in steady milliseconds: 278 years after the clock's zero. Later ones are cut to it.
pub const EXPIRE_MS_MAX: u64 = (1 << EXPIRE_BITS) - 1;
/// Longest metadata in bytes; the length is stored in one byte.
pub const METADATA_BYTES_MAX: usize = u8::MAX as usize;
/// Largest value of the caller's flags.
pub const FLAGS_MAX: u8 = 0xf;

/// Most bytes of a key and its metadata.
pub(super) const KEY_AND_METADATA_BYTES_MAX: usize = STORED_KEY_BYTES_MAX + METADATA_BYTES_MAX;

const DEAD: u64 = 1 << 0;
const EXTENT: u64 = 1 << 1;
const CHAINED: u64 = 1 << 2;
const METADATA: u64 = 1 << 3;
const CALLER_SHIFT: u32 = 4;
const KEY_SHIFT: u32 = 8;
const KEY_BITS: u32 = 13;
const EXPIRE_SHIFT: u32 = KEY_SHIFT + KEY_BITS;
const EXPIRE_BITS: u32 = 43;
const LINK_LEN_SHIFT: u32 = Location::BITS;

const _: () = assert!(EXPIRE_SHIFT + EXPIRE_BITS == 64, "word 0 is full");
const _: () = assert!(STORED_KEY_BYTES_MAX < 1 << KEY_BITS, "a key's length fits its field");
const _: () = assert!(ITEM_HEADER_BYTES == 24, "the header the memory budget was computed with");
const _: () = assert!(Location::BITS + 24 == 64, "a link is one word");

/// The place of a record, in units of 8 bytes from the start of the arena. 40 bits reach 8 TiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Location(u64);

impl Location {
    pub(super) const BITS: u32 = 40;
    /// No record: offset 0 belongs to the index.
    pub(super) const NONE: Self = Self(0);

    #[inline]
    pub(super) const fn of(at: usize) -> Self {
        debug_assert!(at.is_multiple_of(WORD_BYTES));
        Self((at / WORD_BYTES) as u64)
    }

    #[inline]
    pub(super) const fn from_units(units: u64) -> Self {
        debug_assert!(units < 1 << Self::BITS);
        Self(units)
    }

    #[inline]
    pub(super) const fn units(self) -> u64 {
        self.0
    }

    /// Byte offset in the arena.
    #[inline]
    pub(super) const fn at(self) -> usize {
        self.0 as usize * WORD_BYTES
    }
}

/// A part of a value: where its bytes are, and the record that holds the next part.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) at: usize,
    pub(super) len: usize,
    pub(super) next: Location,
}

impl Run {
    /// The run after this one.
    #[inline]
    pub(super) fn following(&self, arena: &Mapping) -> Option<Self> {
        (self.next != Location::NONE).then(|| Extent::load(arena, self.next).run)
    }
}

/// An item's header, decoded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    pub(super) location: Location,
    word: u64,
    pub(super) value_len: u32,
    pub(super) value_crc32c: u32,
    pub(super) version: Version,
    link: u64,
}

impl Item {
    /// Decodes the header at a location.
    #[inline]
    pub(super) fn load(arena: &Mapping, location: Location) -> Self {
        Self::decode(arena, location, arena.words(location.at()))
    }

    #[inline(always)]
    fn decode(arena: &Mapping, location: Location, [word, lengths, version]: [u64; HEADER_WORDS]) -> Self {
        debug_assert_eq!(word & EXTENT, 0, "an extent is not an item");
        let version = Version::from_bits(version);
        let link = if word & CHAINED == 0 { 0 } else { arena.load(location.at() + ITEM_HEADER_BYTES) };
        Self { location, word, value_len: lengths as u32, value_crc32c: (lengths >> 32) as u32, version, link }
    }

    /// Decodes the header at a location if the item's key is `key`.
    #[inline(always)]
    pub(super) fn load_if(arena: &Mapping, location: Location, key: &[u8]) -> Option<Self> {
        let at = location.at();
        arena.prefetch_behind(at);
        let header: [u64; HEADER_WORDS] = arena.words(at);
        let word = header[0];
        let key_at = at + ITEM_HEADER_BYTES + if word & CHAINED == 0 { 0 } else { LINK_BYTES };
        let same = key_bytes(word) == key.len() && arena.bytes(key_at, key.len()) == key;
        same.then(|| Self::decode(arena, location, header))
    }

    #[inline]
    pub(super) const fn is_chained(&self) -> bool {
        self.word & CHAINED != 0
    }

    #[inline]
    pub(super) const fn caller_flags(&self) -> u8 {
        (self.word as u8) >> CALLER_SHIFT
    }

    /// Steady milliseconds, 0 when it never expires.
    #[inline]
    pub(super) const fn expire_ms(&self) -> u64 {
        self.word >> EXPIRE_SHIFT
    }

    #[inline]
    pub(super) const fn is_expired(&self, now_ms: u64) -> bool {
        let expire_ms = self.expire_ms();
        expire_ms != 0 && now_ms >= expire_ms
    }

    #[inline]
    pub(super) fn key<'a>(&self, arena: &'a Mapping) -> &'a [u8] {
        arena.bytes(self.key_at(), key_bytes(self.word))
    }

    #[inline]
    pub(super) fn metadata<'a>(&self, arena: &'a Mapping) -> &'a [u8] {
        if self.word & METADATA == 0 {
            return &[];
        }
        let at = self.key_at() + key_bytes(self.word);
        arena.bytes(at + 1, usize::from(arena.bytes(at, 1)[0]))
    }

    /// The value, or its first part.
    #[inline]
    pub(super) fn run(&self, arena: &Mapping) -> Run {
        let mut at = self.key_at() + key_bytes(self.word);
        if self.word & METADATA != 0 {
            at += 1 + usize::from(arena.bytes(at, 1)[0]);
        }
        if self.is_chained() {
            let (len, next) = split_link(self.link);
            Run { at, len, next }
        } else {
            Run { at, len: self.value_len as usize, next: Location::NONE }
        }
    }

    /// What the item's header is written from again, somewhere else; key and metadata are copied to `front`.
    pub(super) fn head<'a>(&self, arena: &Mapping, front: &'a mut [u8; KEY_AND_METADATA_BYTES_MAX]) -> ItemHead<'a> {
        let (key, metadata) = (self.key(arena), self.metadata(arena));
        let (key_room, metadata_room) = front.split_at_mut(key.len());
        key_room.copy_from_slice(key);
        metadata_room[..metadata.len()].copy_from_slice(metadata);
        ItemHead {
            key: key_room,
            metadata: &metadata_room[..metadata.len()],
            value_len: self.value_len,
            value_crc32c: self.value_crc32c,
            version: self.version,
            expire_ms: self.expire_ms(),
            flags: self.caller_flags(),
        }
    }

    /// Bytes of the item's record, without its extents.
    #[inline]
    pub(super) fn record_bytes(&self, arena: &Mapping) -> usize {
        let run = self.run(arena);
        padded(run.at + run.len - self.location.at())
    }

    /// Rewrites the expiry in place.
    pub(super) fn set_expire_ms(&self, arena: &mut Arena, expire_ms: u64) {
        let rest = self.word & ((1 << EXPIRE_SHIFT) - 1);
        arena.store(self.location.at(), rest | stored_expiry(expire_ms) << EXPIRE_SHIFT);
    }

    #[inline]
    const fn key_at(&self) -> usize {
        self.location.at() + ITEM_HEADER_BYTES + if self.is_chained() { LINK_BYTES } else { 0 }
    }
}

/// An item's header as another thread reads it: not to be believed before the root's version has been looked at again.
#[derive(Clone, Copy, Debug)]
pub(super) struct ItemHeader {
    word: u64,
    lengths: u64,
    pub(super) version: Version,
}

impl ItemHeader {
    #[inline]
    pub(super) const fn of([word, lengths, version]: [u64; HEADER_WORDS]) -> Self {
        Self { word, lengths, version: Version::from_bits(version) }
    }

    #[inline]
    pub(super) const fn key_bytes(&self) -> usize {
        key_bytes(self.word)
    }

    #[inline]
    pub(super) const fn value_bytes(&self) -> usize {
        self.lengths as u32 as usize
    }

    #[inline]
    pub(super) const fn value_crc32c(&self) -> u32 {
        (self.lengths >> 32) as u32
    }

    #[inline]
    pub(super) const fn expire_ms(&self) -> u64 {
        self.word >> EXPIRE_SHIFT
    }

    #[inline]
    pub(super) const fn caller_flags(&self) -> u8 {
        (self.word as u8) >> CALLER_SHIFT
    }

    #[inline]
    pub(super) const fn is_chained(&self) -> bool {
        self.word & CHAINED != 0
    }

    #[inline]
    pub(super) const fn has_metadata(&self) -> bool {
        self.word & METADATA != 0
    }
}

/// An extent's header, decoded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    pub(super) head: Location,
    pub(super) run: Run,
}

impl Extent {
    #[inline]
    pub(super) fn load(arena: &Mapping, location: Location) -> Self {
        let at = location.at();
        let word = arena.load(at);
        debug_assert_ne!(word & EXTENT, 0, "a link leads to an extent");
        let (len, next) = split_link(arena.load(at + WORD_BYTES));
        let run = Run { at: at + EXTENT_HEADER_BYTES, len, next };
        Self { head: Location::from_units((word >> KEY_SHIFT) & ((1 << Location::BITS) - 1)), run }
    }

    /// Bytes of the extent's record.
    #[inline]
    pub(super) const fn record_bytes(&self) -> usize {
        padded(EXTENT_HEADER_BYTES + self.run.len)
    }

    /// The extent whose bytes start at `run.at`.
    #[inline]
    pub(super) const fn location_of(run: &Run) -> Location {
        Location::of(run.at - EXTENT_HEADER_BYTES)
    }
}

/// What a walk over a segment meets.
#[derive(Clone, Copy, Debug)]
pub(super) enum Record {
    /// A record that was overwritten, removed, expired or moved, of this many bytes.
    Dead(usize),
    /// A live item.
    Item(Item),
    /// A part of a live item's value.
    Extent(Extent),
}

impl Record {
    /// Decodes the record at a location.
    pub(super) fn load(arena: &Mapping, location: Location) -> Self {
        let word = arena.load(location.at());
        if word & EXTENT != 0 {
            let extent = Extent::load(arena, location);
            return if word & DEAD == 0 { Self::Extent(extent) } else { Self::Dead(extent.record_bytes()) };
        }
        let item = Item::load(arena, location);
        if word & DEAD == 0 { Self::Item(item) } else { Self::Dead(item.record_bytes(arena)) }
    }
}

/// Marks a record as dead.
#[inline]
pub(super) fn mark_dead(arena: &mut Arena, location: Location) {
    let word = arena.load(location.at());
    debug_assert_eq!(word & DEAD, 0, "a record dies once");
    arena.store(location.at(), word | DEAD);
}

/// What an item's header is written from.
#[derive(Clone, Copy, Debug)]
pub(super) struct ItemHead<'a> {
    pub(super) key: &'a [u8],
    pub(super) metadata: &'a [u8],
    pub(super) value_len: u32,
    pub(super) value_crc32c: u32,
    pub(super) version: Version,
    pub(super) expire_ms: u64,
    pub(super) flags: u8,
}

impl ItemHead<'_> {
    /// Bytes of everything in front of the value.
    #[inline]
    pub(super) const fn bytes(&self, chained: bool) -> usize {
        let metadata = if self.metadata.is_empty() { 0 } else { 1 + self.metadata.len() };
        ITEM_HEADER_BYTES + if chained { LINK_BYTES } else { 0 } + self.key.len() + metadata
    }

    /// Writes everything in front of the value; returns where the value goes. `link` makes it a chained item.
    #[inline]
    pub(super) fn write(&self, arena: &mut Arena, location: Location, link: Option<u64>) -> usize {
        debug_assert!(self.flags <= FLAGS_MAX && self.key.len() <= STORED_KEY_BYTES_MAX);
        let at = location.at();
        let chained = if link.is_some() { CHAINED } else { 0 };
        let metadata = if self.metadata.is_empty() { 0 } else { METADATA };
        let flags = chained | metadata | u64::from(self.flags) << CALLER_SHIFT;
        let word = flags | (self.key.len() as u64) << KEY_SHIFT | stored_expiry(self.expire_ms) << EXPIRE_SHIFT;
        arena.store(at, word);
        arena.store(at + 8, u64::from(self.value_len) | u64::from(self.value_crc32c) << 32);
        arena.store(at + 16, self.version.bits());
        let mut next = at + ITEM_HEADER_BYTES;
        if let Some(link) = link {
            arena.store(next, link);
            next += LINK_BYTES;
        }
        arena.write(next, self.key);
        next += self.key.len();
        if !self.metadata.is_empty() {
            arena.write(next, &[self.metadata.len() as u8]);
            arena.write(next + 1, self.metadata);
            next += 1 + self.metadata.len();
        }
        next
    }
}

/// Writes an extent's header; returns where its bytes go.
pub(super) fn write_extent(arena: &mut Arena, location: Location, head: Location, len: usize) -> usize {
    arena.store(location.at(), EXTENT | head.units() << KEY_SHIFT);
    arena.store(location.at() + WORD_BYTES, link(len, Location::NONE));
    location.at() + EXTENT_HEADER_BYTES
}

/// Points the record at `from` (an item when it is the chain's head, else an extent) to its next extent.
pub(super) fn set_next(arena: &mut Arena, from: Location, is_head: bool, next: Location) {
    let at = if is_head { link_at(from) } else { from.at() + WORD_BYTES };
    let (len, _) = split_link(arena.load(at));
    arena.store(at, link(len, next));
}

/// Where the link word of a chain's head lies.
pub(super) const fn link_at(head: Location) -> usize {
    head.at() + ITEM_HEADER_BYTES
}

/// Writes a dead record of so many bytes, in place of one that was never finished.
pub(super) fn write_dead(arena: &mut Arena, location: Location, bytes: usize) {
    arena.store(location.at(), EXTENT | DEAD);
    arena.store(location.at() + WORD_BYTES, link(bytes - EXTENT_HEADER_BYTES, Location::NONE));
}

/// A link word: `len` bytes of the value here, the rest from `next` on.
#[inline]
pub(super) const fn link(len: usize, next: Location) -> u64 {
    debug_assert!(len < 1 << 24);
    (len as u64) << LINK_LEN_SHIFT | next.units()
}

#[inline]
pub(super) const fn split_link(link: u64) -> (usize, Location) {
    ((link >> LINK_LEN_SHIFT) as usize, Location::from_units(link & ((1 << LINK_LEN_SHIFT) - 1)))
}

/// Rounds up to the alignment of records.
#[inline]
pub(super) const fn padded(bytes: usize) -> usize {
    bytes.next_multiple_of(WORD_BYTES)
}

#[inline]
const fn key_bytes(word: u64) -> usize {
    (word >> KEY_SHIFT) as usize & ((1 << KEY_BITS) - 1)
}

#[inline]
const fn stored_expiry(expire_ms: u64) -> u64 {
    if expire_ms > EXPIRE_MS_MAX { EXPIRE_MS_MAX } else { expire_ms }
}
