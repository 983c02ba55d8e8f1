//! Identifiers: plain numbers with a type each, so that one cannot be passed for another.
//!
//! **Invariants**: a slab identifier carries the generation of its slot; a stale one never reaches a newer occupant.

use std::fmt;

/// The index of a core within its process: 0 for the first data core.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct CoreId(pub u16);

impl fmt::Display for CoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "core {}", self.0)
    }
}

impl CoreId {
    /// The identifier as an index into per-core tables.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A slot index with the generation that was current when it was handed out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct SlabKey {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

macro_rules! slab_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub(crate) struct $name(pub(crate) SlabKey);

        impl From<SlabKey> for $name {
            fn from(key: SlabKey) -> Self {
                $name(key)
            }
        }

        impl From<$name> for SlabKey {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    };
}

slab_id!(
    /// A task of one core's executor.
    TaskId
);
slab_id!(
    /// A connection of one core.
    ConnectionId
);
slab_id!(
    /// A listening socket of one core.
    ListenerId
);
slab_id!(
    /// A pending timer of one core's wheel.
    TimerId
);
