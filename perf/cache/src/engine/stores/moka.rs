//! `moka::sync::Cache`.
//!
//! Its values are cloned when they are found, so that they are shared (`Arc`), as its documentation advises.
//!
//! **Invariants**: its housekeeping runs within its users' calls; there is no thread of its own.

use std::sync::Arc;

use moka::sync::Cache;

use crate::engine::store::{LoadKey, MeasuredStore, weight};

/// The cache.
pub(crate) struct Moka {
    cache: Cache<Box<[u8]>, Arc<[u8]>>,
}

impl Moka {
    /// An empty one; the budget is for keys and values.
    pub(crate) fn new(budget_bytes: u64) -> Self {
        Self { cache: Cache::builder().max_capacity(budget_bytes).weigher(weigh).build() }
    }
}

#[expect(clippy::borrowed_box, reason = "this is what the cache calls it with")]
fn weigh(key: &Box<[u8]>, value: &Arc<[u8]>) -> u32 {
    u32::try_from(weight(key, value)).unwrap_or(u32::MAX)
}

impl MeasuredStore for Moka {
    #[inline]
    fn find(&mut self, key: &LoadKey, sink: &mut [u8]) -> Option<usize> {
        let value = self.cache.get(key.as_slice())?;
        sink[..value.len()].copy_from_slice(&value);
        Some(value.len())
    }

    #[inline]
    fn store(&mut self, key: &LoadKey, value: &[u8]) {
        self.cache.insert(key.as_slice().into(), value.into());
    }

    #[inline]
    fn remove(&mut self, key: &LoadKey) -> bool {
        self.cache.remove(key.as_slice()).is_some()
    }

    fn items(&mut self) -> u64 {
        self.cache.run_pending_tasks();
        self.cache.entry_count()
    }
}
