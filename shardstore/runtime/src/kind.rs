//! What an item is, as its header says.
//!
//! ```text
//!  the caller's flags of an item   3     2          1..=0
//!                                ├ 0 ─┼ edge copy ┼ content: 00 a value of a keyspace; the rest is kept for later ┤
//! ```
//!
//! **Not**: the kind of a key (docs/adr/0014-item-kinds.md).
//!
//! **Invariants**: an item is read by what it says it is, never by how the process was started.

use shardstore::cache::FLAGS_MAX;

/// What an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemKind(u8);

const EDGE_COPY_BIT: u8 = 1 << 2;

const _: () = assert!(EDGE_COPY_BIT <= FLAGS_MAX, "the kind fits the flags that an item carries for its caller");

impl ItemKind {
    /// A value; this process is its keeper.
    pub const VALUE: Self = ItemKind(0);
    /// A copy of a node's value, kept by an edge for a short time.
    pub const EDGE_COPY: Self = ItemKind(EDGE_COPY_BIT);

    /// The kind that an item's flags say.
    #[inline(always)]
    #[must_use]
    pub const fn of_flags(flags: u8) -> Self {
        ItemKind(flags)
    }

    /// As the flags of an item.
    #[inline(always)]
    #[must_use]
    pub const fn flags(self) -> u8 {
        self.0
    }

    /// Whether it is a copy of what a node owns.
    #[inline(always)]
    #[must_use]
    pub const fn is_edge_copy(self) -> bool {
        self.0 & EDGE_COPY_BIT != 0
    }
}
