//! Slots that have gone to another node: their items are dropped in slices, and are never shown again.
//!
//! ```text
//!  disown ──▶ each slot gets a fence: the newest version so far
//!             sweep, slice by slice, page by page:  items at or below their slot's fence go
//!             purge: the same for one key, for a slot that came back before the sweep was over
//!  all pages seen ──▶ no fence is left
//! ```
//!
//! **Not**: who owns what, or when a slice is due; the node's core decides.
//!
//! **Invariants**: what is written after a slot has come back is above its fence, and stays; nothing of what was there before
//! outlives the sweep; without a sweep under way this costs an operation nothing.
//!
//! **Source**: docs/engine.md, "Dropping slots".

use super::Shard;
use crate::key::{KeyHash, SLOT_COUNT, SlotId};
use crate::version::Version;

/// Items after which a slice ends with the page it is at: some tens of microseconds.
const SLICE_ITEMS: u32 = 256;

/// Pages after which a slice ends although it met few items.
const SLICE_PAGES: u32 = 1024;

/// A sweep that is under way.
#[derive(Debug)]
pub(super) struct Disowned {
    /// By slot: versions up to this one are gone; 0 for slots that have not left.
    fences: Box<[Version]>,
    next_page: u64,
    /// Pages to look at until every page has been since the last slot left.
    pages_left: u64,
}

/// What one slice did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SweepSlice {
    /// Items dropped.
    pub dropped: u64,
    /// Nothing is left to drop.
    pub is_done: bool,
}

impl Shard {
    /// Slots have gone to another node: what they hold is not to be shown again, not even when they come back at once.
    pub fn disown(&mut self, slots: impl IntoIterator<Item = SlotId>) {
        let (pages, fence) = (self.cache.pages(), self.clock.latest());
        for slot in slots {
            let disowned = self.disowned.get_or_insert_with(|| {
                let fences = vec![Version::default(); usize::from(SLOT_COUNT)].into_boxed_slice();
                Box::new(Disowned { fences, next_page: 0, pages_left: 0 })
            });
            disowned.fences[slot.index()] = fence;
            disowned.pages_left = pages;
        }
    }

    /// Whether items of slots that have left may still be there.
    #[must_use]
    pub const fn is_sweeping(&self) -> bool {
        self.disowned.is_some()
    }

    /// Whether a version of a slot's key was made before the slot left.
    pub(super) fn is_disowned(&self, slot: SlotId, version: Version) -> bool {
        self.disowned.as_ref().is_some_and(|disowned| version <= disowned.fences[slot.index()])
    }

    /// Drops a part of what is to be dropped: some hundred items are looked at.
    pub fn sweep(&mut self, now_ms: u64) -> SweepSlice {
        let Some(mut disowned) = self.disowned.take() else { return SweepSlice { dropped: 0, is_done: true } };
        let (mut items, mut pages, mut dropped) = (0, 0, 0);
        while items < SLICE_ITEMS && pages < SLICE_PAGES && disowned.pages_left > 0 {
            let fences = &disowned.fences;
            let is_doomed = |hash: KeyHash, version| version <= fences[hash.slot().index()];
            let page = self.cache.remove_from_page(disowned.next_page, now_ms, is_doomed);
            (items, pages, dropped) = (items + page.items, pages + 1, dropped + u64::from(page.removed));
            disowned.next_page = (disowned.next_page + 1) % self.cache.pages();
            disowned.pages_left -= 1;
        }
        let is_done = disowned.pages_left == 0;
        if !is_done {
            self.disowned = Some(disowned);
        }
        SweepSlice { dropped, is_done }
    }

    /// Drops a key's item if it was there before its slot left; whether it did. For use before any operation on the key while
    /// a sweep is under way.
    pub fn purge(&mut self, hash: KeyHash, key: &[u8], now_ms: u64) -> bool {
        let Some(fence) = self.disowned.as_ref().map(|disowned| disowned.fences[hash.slot().index()]) else {
            return false;
        };
        self.cache.disown(hash, key, fence, now_ms)
    }
}
