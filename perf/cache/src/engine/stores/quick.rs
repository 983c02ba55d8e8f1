//! `quick_cache::unsync::Cache`: the variant for one thread.
//!
//! **Invariants**: values are borrowed when they are found; nothing is counted or cloned for it.

use quick_cache::Weighter;
use quick_cache::unsync::Cache;

use crate::engine::store::{LoadKey, MeasuredStore, weight};

#[derive(Clone, Debug)]
struct KeyAndValue;

impl Weighter<Box<[u8]>, Box<[u8]>> for KeyAndValue {
    fn weight(&self, key: &Box<[u8]>, value: &Box<[u8]>) -> u64 {
        weight(key, value)
    }
}

/// The cache.
pub(crate) struct Quick {
    cache: Cache<Box<[u8]>, Box<[u8]>, KeyAndValue>,
}

impl Quick {
    /// An empty one; the budget is for keys and values. It wants to know how many items that will be.
    pub(crate) fn new(budget_bytes: u64, items: usize) -> Self {
        Self { cache: Cache::with_weighter(items, budget_bytes, KeyAndValue) }
    }
}

impl MeasuredStore for Quick {
    #[inline]
    fn find(&mut self, key: &LoadKey, sink: &mut [u8]) -> Option<usize> {
        let value = self.cache.get(key.as_slice())?;
        sink[..value.len()].copy_from_slice(value);
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
        self.cache.len() as u64
    }
}
