//! Removing the items of slots that this node no longer owns, page by page of the index.
//!
//! **Not**: which slots those are, or when the next page is looked at; the caller decides.
//!
//! **Invariants**: an item stays below the same root as long as it lives, however often its page is laid out anew; so whoever
//! goes through all pages once has met every item that was there when it began.
//!
//! **Source**: docs/engine.md, "Dropping slots".

use super::item::Item;
use super::{Cache, Reason};
use crate::key::KeyHash;
use crate::version::Version;

/// What one page had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageSweep {
    /// Items looked at.
    pub items: u32,
    /// Of these, removed; those that had expired are not counted.
    pub removed: u32,
}

impl Cache {
    /// Count of the index's pages; constant.
    #[must_use]
    pub const fn pages(&self) -> u64 {
        self.index.roots()
    }

    /// Removes the items of one page of which `is_doomed` says so. The work is that of at most 4096 items; usually some hundred.
    ///
    /// # Panics
    ///
    /// When `page` is not below [`Cache::pages`].
    pub fn remove_from_page(
        &mut self,
        page: u64,
        now_ms: u64,
        is_doomed: impl Fn(KeyHash, Version) -> bool,
    ) -> PageSweep {
        assert!(page < self.pages(), "the caller counts pages");
        let mut sweep = PageSweep::default();
        // Removing leaves every other slot of the page where it is.
        for index in 0..self.index.slots_of(&self.arena, page) {
            let Some((slot, location)) = self.index.slot_of_page(&self.arena, page, index) else { continue };
            sweep.items += 1;
            let item = Item::load(&self.arena, location);
            if !is_doomed(self.hasher.hash(item.key(&self.arena)), item.version) {
                continue;
            }
            let is_expired = item.is_expired(now_ms);
            self.remove_item(slot, &item, if is_expired { Reason::Expired } else { Reason::Disowned });
            sweep.removed += u32::from(!is_expired);
        }
        sweep
    }

    /// Removes a key if its item is not newer than `version`; whether it did.
    pub fn disown(&mut self, hash: KeyHash, key: &[u8], version: Version, now_ms: u64) -> bool {
        let Some((slot, item)) = self.find(hash, key).filter(|(_, item)| item.version <= version) else { return false };
        let is_expired = item.is_expired(now_ms);
        self.remove_item(slot, &item, if is_expired { Reason::Expired } else { Reason::Disowned });
        !is_expired
    }
}
