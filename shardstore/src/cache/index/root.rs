//! Roots: the fixed table, at the front of the arena, that says where each page lies.
//!
//! ```text
//!  root (64 bits)                    one for every 64 KiB of the limit a shard was made with
//!   63          48 47          34 33                             0
//!  ├──────────────┼──────────────┼────────────────────────────────┤
//!  │ items 16     │ buckets 14   │ place of the page 34, in lines │
//!  └──────────────┴──────────────┴────────────────────────────────┘
//! ```
//!
//! **Not**: what a page holds (that is `page`).
//!
//! **Invariants**: a root always has a page; its word changes under its version.

use super::super::arena::WORD_BYTES;
use super::page::{BUCKET_BYTES, BUCKETS_MAX, Page, SLOTS_PER_BUCKET};

const LINE_BITS: u32 = 34;
const BUCKETS_SHIFT: u32 = LINE_BITS;
const BUCKET_BITS: u32 = 14;
const ITEMS_SHIFT: u32 = BUCKETS_SHIFT + BUCKET_BITS;

const _: () = assert!(BUCKETS_MAX < 1 << BUCKET_BITS, "a page's buckets fit their field");
const _: () = assert!(BUCKETS_MAX * SLOTS_PER_BUCKET < 1 << (64 - ITEMS_SHIFT), "so do its items");

/// The number of a root.
pub(in crate::cache) type RootId = u32;

/// Bytes of a root.
pub(in crate::cache) const ROOT_BYTES: usize = WORD_BYTES;

/// A root's word.
#[derive(Clone, Copy, Debug)]
pub(in crate::cache) struct Root(pub(super) u64);

impl Root {
    pub(super) const fn new(page: Page, items: u64) -> Self {
        let lines = (page.at / BUCKET_BYTES) as u64;
        debug_assert!(lines < 1 << LINE_BITS);
        Self(items << ITEMS_SHIFT | (page.buckets as u64) << BUCKETS_SHIFT | lines)
    }

    #[inline(always)]
    pub(in crate::cache) const fn page(self) -> Page {
        Page {
            at: (self.0 & ((1 << LINE_BITS) - 1)) as usize * BUCKET_BYTES,
            buckets: (self.0 >> BUCKETS_SHIFT) as u32 & ((1 << BUCKET_BITS) - 1),
        }
    }

    #[inline]
    pub(in crate::cache) const fn from_word(word: u64) -> Self {
        Self(word)
    }

    /// Slots in use.
    #[inline]
    pub(super) const fn items(self) -> u64 {
        self.0 >> ITEMS_SHIFT
    }

    /// The root with one item more.
    #[inline]
    pub(super) const fn with_one_more(self) -> Self {
        Self(self.0 + (1 << ITEMS_SHIFT))
    }

    /// The root with one item less.
    #[inline]
    pub(super) const fn with_one_less(self) -> Self {
        Self(self.0 - (1 << ITEMS_SHIFT))
    }
}

/// The root of an index hash in a table of so many. All 64 bits of an index hash are good: the top 32 choose.
#[inline(always)]
pub(in crate::cache) const fn root_of(hash: u64, roots: u64) -> RootId {
    (((hash >> 32) * roots) >> 32) as RootId
}

/// Where a root lies in the arena.
#[inline(always)]
pub(in crate::cache) const fn root_at(root: RootId) -> usize {
    root as usize * ROOT_BYTES
}
