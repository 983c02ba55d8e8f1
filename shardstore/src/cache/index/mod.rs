//! The hash index: from a key's hash to the place of its item.
//!
//! ```text
//!  hash ── top 32 bits ──▶ root ──▶ page ── tag, low 20 bits ──▶ home bucket, other bucket ──▶ slot ──▶ location
//!                          root.rs  page.rs                                                   slot.rs
//!
//!  roots, as many as ever        pages, in segments that come and go
//!  ├ root ┼ root ┼ root ┼ … ┤    ├ page ┼ dead ┼ page ┼ page ┼ dead ┼ …      space.rs: memory    upkeep.rs: what is done
//! ```
//!
//! A page that has no place for a slot is laid out anew with an eighth more buckets, elsewhere; one that has become too
//! large for its items, with fewer. So the index has the size that its items need, however many there are, and each change
//! is that of one page, of some KiB. Only a page that cannot grow, because no memory is free or it is as large as
//! can be, gives up an item: the index degrades by eviction, never by failure or by a pause.
//!
//! **Not**: keys (the caller compares them).
//!
//! **Invariants**: a slot that is not 0 points to an item that is not dead, and every item that is not dead has exactly one
//! slot, in one of its two buckets; what a slot leads to, where slots lie and where pages lie changes under the version of
//! the root (`versions`), uses do not. A [`SlotAt`] holds until something is put into the index, or its upkeep is done.
//!
//! **Source**: docs/adr/0009-index-pages.md.

mod page;
mod root;
mod slot;
mod space;
#[cfg(test)]
mod tests;
mod upkeep;

use std::sync::Arc;

use super::arena::{Arena, LINE_WORDS, Mapping, WORD_BYTES};
use super::item::Location;
use super::versions::Versions;
use page::{BUCKET_BYTES, BUCKETS_MIN, Page, SLOTS_PER_BUCKET};
use root::root_of;
pub(super) use root::{ROOT_BYTES, Root, RootId, root_at};
pub(super) use slot::Slot;
use slot::{matches, matches_in_two, tag_of};
pub(super) use space::Space;
use upkeep::Sweep;
pub(super) use upkeep::{LOOKS_PER_UNIT, Upkeep};

/// Memory of the limit per root. A page is then some KiB for usual items: small enough to be laid out anew at once, and large
/// enough that the counts of items of its pages are near each other, so that all can be nearly full.
const BYTES_PER_ROOT: u64 = 64 << 10;

/// Bytes of a root's first page.
pub(super) const PAGE_BYTES_MIN: usize = BUCKETS_MIN * BUCKET_BYTES;

/// Where a slot lies: its root, and its byte offset in the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SlotAt {
    root: RootId,
    at: usize,
}

/// What a reader needs of a hash: its root, and its tag.
#[derive(Clone, Copy, Debug)]
pub(super) struct IndexAddress {
    pub(super) root: RootId,
    pub(super) tag: u64,
}

/// Where a hash belongs in an index of so many roots.
#[inline]
pub(super) const fn place(hash: u64, roots: u64) -> IndexAddress {
    IndexAddress { root: root_of(hash, roots), tag: tag_of(hash) }
}

/// How many roots the index of a shard has.
pub(super) const fn roots_for(limit_bytes: u64) -> u64 {
    limit_bytes / BYTES_PER_ROOT
}

/// The index; roots and pages lie in the arena.
#[derive(Debug)]
pub(super) struct Index {
    roots: u64,
    /// Slots in use.
    items: u64,
    versions: Arc<Versions>,
    /// The root whose version is odd while several of its slots change.
    begun: Option<RootId>,
    space: Space,
    sweep: Sweep,
    /// Changes of where slots lie.
    moves: u64,
}

impl Index {
    /// An index without pages: see [`super::Cache::make_pages`].
    pub(super) fn new(roots: u64, space: Space) -> Self {
        let versions = Arc::new(Versions::new(roots as usize));
        Self { roots, items: 0, versions, begun: None, space, sweep: Sweep::default(), moves: 0 }
    }

    /// The versions of its roots, for readers.
    pub(super) const fn versions(&self) -> &Arc<Versions> {
        &self.versions
    }

    /// Count of roots.
    pub(super) const fn roots(&self) -> u64 {
        self.roots
    }

    /// Slots in use: the count of items.
    pub(super) const fn items(&self) -> u64 {
        self.items
    }

    /// The memory of pages.
    pub(super) const fn space(&self) -> &Space {
        &self.space
    }

    /// While it stays, every slot is where it was.
    pub(super) const fn moves(&self) -> u64 {
        self.moves
    }

    /// Begins a change of several slots of a hash's root, which readers see as one.
    pub(super) fn begin(&mut self, hash: u64) {
        debug_assert!(self.begun.is_none(), "changes of several slots do not nest");
        let root = root_of(hash, self.roots);
        self.versions.begin(root as usize);
        self.begun = Some(root);
    }

    /// Ends the change.
    pub(super) fn end(&mut self) {
        let root = self.begun.take().expect("a change was begun");
        self.versions.end(root as usize);
    }

    /// Changes something that readers see of a root.
    #[inline]
    fn change<T>(&self, root: RootId, change: impl FnOnce() -> T) -> T {
        let alone = self.begun != Some(root);
        if alone {
            self.versions.begin(root as usize);
        }
        let result = change();
        if alone {
            self.versions.end(root as usize);
        }
        result
    }

    /// The slots whose tag is that of a hash, home bucket first.
    #[inline(always)]
    pub(super) fn probe<'a>(&self, arena: &'a Mapping, hash: u64) -> Probe<'a> {
        let IndexAddress { root, tag } = place(hash, self.roots);
        let [home, other] = root_in(arena, root).page().candidates(tag);
        let line = arena.line(home);
        Probe { arena, root, bucket: home, other: Some(other), tag, line, matches: matches(&line, tag) }
    }

    /// Asks for the cache lines of a hash's two buckets.
    #[inline]
    pub(super) fn prefetch_buckets(&self, arena: &Mapping, hash: u64) {
        let IndexAddress { root, tag } = place(hash, self.roots);
        root_in(arena, root).page().candidates(tag).into_iter().for_each(|bucket| arena.prefetch(bucket));
    }

    /// Asks for the cache lines of the items that may have a hash, whose buckets should be there by now.
    #[inline]
    pub(super) fn prefetch_items(&self, arena: &Mapping, hash: u64) {
        let IndexAddress { root, tag } = place(hash, self.roots);
        let lines = root_in(arena, root).page().candidates(tag).map(|bucket| arena.line(bucket));
        // Of both at once: a branch on whether it is in the home bucket would be wrong for every third item, and keep the core from
        // going on to the next hash until this one's bucket has come.
        let mut matches = matches_in_two(&lines, tag);
        while matches != 0 {
            let n = matches.trailing_zeros() as usize;
            matches &= matches - 1;
            let slot = Slot(lines[n / SLOTS_PER_BUCKET][n % SLOTS_PER_BUCKET]);
            arena.prefetch_item(slot.location().at());
        }
    }

    /// Puts a new item into a place that is empty, or that can be emptied by moving another slot to its other bucket. `false`
    /// when there is none: the page must grow.
    #[inline]
    pub(super) fn put(&mut self, arena: &mut Arena, hash: u64, (location, frequency): (Location, u64)) -> bool {
        let IndexAddress { root, tag } = place(hash, self.roots);
        let word = root_in(arena, root);
        let page = word.page();
        let slot = Slot::new(tag, location, frequency);
        let vacancy = page.vacancy(arena, tag);
        self.moves += u64::from(vacancy.is_none());
        let done = self.change(root, || {
            let Some(at) = vacancy.or_else(|| page.displace(arena, tag, page.displaced_max(word.items()))) else {
                return false;
            };
            arena.store(at, slot.0);
            arena.store(root_at(root), word.with_one_more().0);
            true
        });
        self.items += u64::from(done);
        done
    }

    /// The items in the two buckets of a hash.
    pub(super) fn residents(&self, arena: &Mapping, hash: u64) -> impl Iterator<Item = (SlotAt, Slot)> {
        let IndexAddress { root, tag } = place(hash, self.roots);
        let buckets = root_in(arena, root).page().candidates(tag);
        let slots = buckets.into_iter().flat_map(move |bucket| {
            let slot_at = move |n| SlotAt { root, at: bucket + n * WORD_BYTES };
            arena.line(bucket).into_iter().enumerate().map(move |(n, slot)| (slot_at(n), Slot(slot)))
        });
        slots.filter(|(_, slot)| slot.0 != 0)
    }

    /// How many slots, empty ones too, the page of a root has.
    pub(super) fn slots_of(&self, arena: &Mapping, root: u64) -> u64 {
        debug_assert!(root < self.roots, "there is no such root");
        root_in(arena, root as RootId).page().slots()
    }

    /// The slot at a position in the page of a root, and where its item lies; `None` for an empty one.
    pub(super) fn slot_of_page(&self, arena: &Mapping, root: u64, index: u64) -> Option<(SlotAt, Location)> {
        debug_assert!(root < self.roots, "there is no such root");
        let root = root as RootId;
        let at = root_in(arena, root).page().at + index as usize * WORD_BYTES;
        let slot = Slot(arena.load(at));
        (slot.0 != 0).then(|| (SlotAt { root, at }, slot.location()))
    }

    /// Empties a slot.
    #[inline]
    pub(super) fn clear(&mut self, arena: &mut Arena, SlotAt { root, at }: SlotAt) {
        debug_assert_ne!(arena.load(at), 0, "only a slot in use is emptied");
        self.change(root, || {
            arena.store(at, 0);
            arena.store(root_at(root), root_in(arena, root).with_one_less().0);
        });
        self.items -= 1;
    }

    /// Points a slot to where its item has moved; tag and frequency stay.
    pub(super) fn relocate(&mut self, arena: &mut Arena, SlotAt { root, at }: SlotAt, to: Location) {
        let slot = Slot(arena.load(at)).with_location(to);
        self.change(root, || arena.store(at, slot.0));
    }

    /// Sets how often the item of a slot counts as used, 0 to 3.
    pub(super) fn set_frequency(arena: &mut Arena, SlotAt { at, .. }: SlotAt, frequency: u64) {
        let slot = Slot(arena.load(at));
        arena.store(at, slot.with_frequency(frequency).0);
    }

    /// Counts a use, up to 3.
    #[inline]
    pub(super) fn bump(arena: &mut Arena, SlotAt { at, .. }: SlotAt) {
        let slot = Slot(arena.load(at));
        if slot.frequency() < slot::FREQUENCY_MAX {
            arena.store(at, slot.with_frequency(slot.frequency() + 1).0);
        }
    }

    /// How often the item of a slot was used since it came into its queue, 0 to 3.
    pub(super) fn frequency(arena: &Mapping, SlotAt { at, .. }: SlotAt) -> u64 {
        Slot(arena.load(at)).frequency()
    }

    /// Gives a root a page, which readers find from now on.
    fn publish(&mut self, arena: &mut Arena, root: RootId, page: Page) {
        let items = root_in(arena, root).items();
        self.moves += 1;
        self.change(root, || arena.store(root_at(root), Root::new(page, items).0));
    }
}

/// The word of a root.
#[inline(always)]
fn root_in(arena: &Mapping, root: RootId) -> Root {
    Root(arena.load(root_at(root)))
}

/// A look-up under way; see [`Index::probe`].
pub(super) struct Probe<'a> {
    arena: &'a Mapping,
    root: RootId,
    bucket: usize,
    /// The bucket that has not been looked at.
    other: Option<usize>,
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
            self.bucket = self.other.take()?;
            self.line = self.arena.line(self.bucket);
            self.matches = matches(&self.line, self.tag);
        }
        let n = self.matches.trailing_zeros() as usize;
        self.matches &= self.matches - 1;
        Some((SlotAt { root: self.root, at: self.bucket + n * WORD_BYTES }, Slot(self.line[n]).location()))
    }
}
