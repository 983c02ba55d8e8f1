//! The hash index: from a key's hash to the place of its item.
//!
//! ```text
//!  slot (64 bits)
//!   63       48 47  46 45  44 43     40 39                                   0
//!  ├───────────┼──────┼──────┼─────────┼──────────────────────────────────────┤
//!  │ tag 16    │freq 2│flag 2│ hint 4  │ location 40, in 8-byte units         │
//!  └───────────┴──────┴──────┴─────────┴──────────────────────────────────────┘
//!   0 = empty. flag and hint are 0 for now.
//!
//!  bucket = one cache line of 8 slots; a key lives in its home bucket or in the buddy (home ^ 1), the other half of an
//!  aligned pair of lines, which the hardware fetches together.
//! ```
//!
//! The table has a fixed size and lies at the front of the arena, inside the shard's memory limit. When both buckets of a
//! key are full, the caller evicts one of their items: the table degrades by eviction, never by failure or by a pause.
//!
//! **Not**: keys (the caller compares them), growth (the next step of the engine brings pages that split alone).
//!
//! **Invariants**: a slot that is not 0 points to an item that is not dead, and every item that is not dead has exactly one
//! slot, in one of its two buckets; what a slot leads to changes under its page's version (`versions`), uses do not.
//!
//! **Source**: Fan, Andersen, Kaminsky, "MemC3", NSDI 2013 (tags in the bucket line); Lemire, "Fast random integer
//! generation in an interval" (multiply-shift).

use std::sync::Arc;

use super::arena::{Arena, LINE_WORDS, Mapping, WORD_BYTES};
use super::item::Location;
use super::versions::Versions;

const BUCKET_BYTES: usize = LINE_WORDS * WORD_BYTES;
const TAG_SHIFT: u32 = 48;
const FREQUENCY_SHIFT: u32 = 46;
const FREQUENCY_MAX: u64 = 3;
const LOCATION_MASK: u64 = (1 << Location::BITS) - 1;

const _: () = assert!(BUCKET_BYTES == 64, "a bucket is one cache line");
const _: () = assert!(Location::BITS + 4 + 2 + 2 + 16 == 64, "a slot is one word");
const _: () = assert!(FREQUENCY_SHIFT as u64 + 2 == TAG_SHIFT as u64);

/// Where a slot lies: its byte offset in the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SlotAt(usize);

/// Buckets of a page, the unit that has a version: 4 KiB.
const BUCKETS_PER_PAGE: u64 = 64;

/// The table's shape; its content lies in the arena from offset 0.
#[derive(Debug)]
pub(super) struct Index {
    /// Count of buckets, even.
    buckets: u64,
    /// Slots in use.
    items: u64,
    versions: Arc<Versions>,
    /// The page whose version is odd while several of its slots change.
    begun: Option<usize>,
}

/// Home bucket and tag of a hash. All 64 bits of an index hash are good: the top 32 choose the bucket, the low 16 the tag, which
/// is never 0: no empty slot has it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) home: u64,
    tag: u64,
}

impl Place {
    /// The page of both buckets.
    #[inline]
    pub(super) const fn page(self) -> usize {
        (self.home / BUCKETS_PER_PAGE) as usize
    }

    #[inline]
    pub(super) const fn is_tag_of(self, slot: u64) -> bool {
        slot >> TAG_SHIFT == self.tag
    }
}

/// Where a hash belongs in a table of so many buckets.
#[inline]
pub(super) const fn place(hash: u64, buckets: u64) -> Place {
    let tag = if hash & 0xffff == 0 { 1 } else { hash & 0xffff };
    Place { home: ((hash >> 32) * buckets) >> 32, tag }
}

impl SlotAt {
    const fn page(self) -> usize {
        self.0 / (BUCKETS_PER_PAGE as usize * BUCKET_BYTES)
    }
}

impl Index {
    /// A table over the first `bytes` bytes of the arena, which read as zeros.
    pub(super) fn new(bytes: usize) -> Self {
        let page_bytes = BUCKETS_PER_PAGE as usize * BUCKET_BYTES;
        assert!(bytes >= page_bytes && bytes.is_multiple_of(page_bytes), "buckets come in pages");
        let versions = Arc::new(Versions::new(bytes / page_bytes));
        Self { buckets: (bytes / BUCKET_BYTES) as u64, items: 0, versions, begun: None }
    }

    /// The versions of its pages, for readers.
    pub(super) const fn versions(&self) -> &Arc<Versions> {
        &self.versions
    }

    /// Count of buckets.
    pub(super) const fn buckets(&self) -> u64 {
        self.buckets
    }

    /// Begins a change of several slots of a hash's page, which readers see as one.
    pub(super) fn begin(&mut self, hash: u64) {
        debug_assert!(self.begun.is_none(), "changes of several slots do not nest");
        let page = self.place(hash).page();
        self.versions.begin(page);
        self.begun = Some(page);
    }

    /// Ends the change.
    pub(super) fn end(&mut self) {
        let page = self.begun.take().expect("a change was begun");
        self.versions.end(page);
    }

    /// Changes what a slot leads to.
    #[inline]
    fn change(&self, arena: &mut Arena, at: SlotAt, slot: u64) {
        let page = at.page();
        if self.begun == Some(page) {
            arena.store(at.0, slot);
            return;
        }
        self.versions.begin(page);
        arena.store(at.0, slot);
        self.versions.end(page);
    }

    /// Slots in use: the count of items.
    pub(super) const fn items(&self) -> u64 {
        self.items
    }

    /// The slots whose tag is that of a hash, home bucket first.
    #[inline(always)]
    pub(super) fn probe<'a>(&self, arena: &'a Mapping, hash: u64) -> Probe<'a> {
        let Place { home, tag } = self.place(hash);
        let line = arena.line(home as usize * BUCKET_BYTES);
        Probe { arena, bucket: home, buddy: Some(home ^ 1), tag, line, matches: matches(&line, tag) }
    }

    /// An empty slot for a hash, in its home bucket if there is one.
    #[inline]
    pub(super) fn vacancy(&self, arena: &Mapping, hash: u64) -> Option<SlotAt> {
        self.candidates(arena, hash).find(|(_, slot)| *slot == 0).map(|(at, _)| at)
    }

    /// The locations in the two buckets of a hash, with their slots.
    pub(super) fn residents(&self, arena: &Mapping, hash: u64) -> impl Iterator<Item = (SlotAt, Location)> {
        self.candidates(arena, hash).filter(|(_, slot)| *slot != 0).map(|(at, slot)| (at, location(slot)))
    }

    /// Fills an empty slot; the item was used `frequency` times, 0 to 3.
    ///
    /// # Panics
    ///
    /// When the slot is in use.
    #[inline]
    pub(super) fn fill(&mut self, arena: &mut Arena, at: SlotAt, hash: u64, (location, frequency): (Location, u64)) {
        debug_assert!(frequency <= FREQUENCY_MAX);
        assert!(arena.load(at.0) == 0, "only an empty slot is filled");
        let slot = self.place(hash).tag << TAG_SHIFT | frequency << FREQUENCY_SHIFT | location.units();
        self.change(arena, at, slot);
        self.items += 1;
    }

    /// Empties a slot.
    #[inline]
    pub(super) fn clear(&mut self, arena: &mut Arena, at: SlotAt) {
        debug_assert_ne!(arena.load(at.0), 0, "only a slot in use is emptied");
        self.change(arena, at, 0);
        self.items -= 1;
    }

    /// Points a slot to where its item has moved; tag and frequency stay.
    pub(super) fn relocate(&mut self, arena: &mut Arena, at: SlotAt, to: Location) {
        let slot = arena.load(at.0);
        self.change(arena, at, slot & !LOCATION_MASK | to.units());
    }

    /// Sets how often the item of a slot counts as used, 0 to 3.
    pub(super) fn set_frequency(arena: &mut Arena, at: SlotAt, frequency: u64) {
        debug_assert!(frequency <= FREQUENCY_MAX);
        let slot = arena.load(at.0);
        arena.store(at.0, slot & !(FREQUENCY_MAX << FREQUENCY_SHIFT) | frequency << FREQUENCY_SHIFT);
    }

    /// Counts a use, up to 3.
    #[inline]
    pub(super) fn bump(arena: &mut Arena, at: SlotAt) {
        let slot = arena.load(at.0);
        if slot >> FREQUENCY_SHIFT & FREQUENCY_MAX < FREQUENCY_MAX {
            arena.store(at.0, slot + (1 << FREQUENCY_SHIFT));
        }
    }

    /// How often the item of a slot was used since it came into its queue, 0 to 3.
    pub(super) fn frequency(arena: &Mapping, at: SlotAt) -> u64 {
        frequency_of(arena.load(at.0))
    }

    fn candidates(&self, arena: &Mapping, hash: u64) -> impl Iterator<Item = (SlotAt, u64)> {
        let home = self.place(hash).home;
        [home, home ^ 1].into_iter().flat_map(move |bucket| {
            let at = bucket as usize * BUCKET_BYTES;
            arena.line(at).into_iter().enumerate().map(move |(n, slot)| (SlotAt(at + n * WORD_BYTES), slot))
        })
    }

    #[inline]
    const fn place(&self, hash: u64) -> Place {
        place(hash, self.buckets)
    }
}

/// A look-up under way; see [`Index::probe`].
pub(super) struct Probe<'a> {
    arena: &'a Mapping,
    bucket: u64,
    /// The bucket that has not been looked at.
    buddy: Option<u64>,
    tag: u64,
    line: [u64; LINE_WORDS],
    /// One bit for each slot of the bucket that is still to be handed out.
    matches: u32,
}

impl Iterator for Probe<'_> {
    type Item = (SlotAt, Location);

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        while self.matches == 0 {
            self.bucket = self.buddy.take()?;
            self.line = self.arena.line(self.bucket as usize * BUCKET_BYTES);
            self.matches = matches(&self.line, self.tag);
        }
        let n = self.matches.trailing_zeros() as usize;
        self.matches &= self.matches - 1;
        Some((SlotAt(self.bucket as usize * BUCKET_BYTES + n * WORD_BYTES), location(self.line[n])))
    }
}

/// One bit for each slot that has this tag.
#[inline]
fn matches(line: &[u64; LINE_WORDS], tag: u64) -> u32 {
    line.iter().enumerate().fold(0, |bits, (n, &slot)| bits | u32::from(slot >> TAG_SHIFT == tag) << n)
}

/// Uses that a slot counts, 0 to 3.
#[inline]
pub(super) const fn frequency_of(slot: u64) -> u64 {
    slot >> FREQUENCY_SHIFT & FREQUENCY_MAX
}

#[inline]
pub(super) const fn location(slot: u64) -> Location {
    Location::from_units(slot & LOCATION_MASK)
}
