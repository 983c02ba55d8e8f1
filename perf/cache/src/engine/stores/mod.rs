//! The caches that are compared, each behind the same small interface.
//!
//! **Not**: part of the product, but for the first.
//!
//! **Invariants**: every comparator is made as its documentation tells a single-threaded user to make it.

pub(crate) mod foyer;
pub(crate) mod lru;
pub(crate) mod moka;
pub(crate) mod quick;
pub(crate) mod shardstore;
#[cfg(test)]
mod tests;
