//! `foyer`'s memory cache (`foyer-memory`, the half of foyer without its disk tier).
//!
//! **Invariants**: one shard, since there is one thread; S3-FIFO, which is nearest to what the product's cache does.

use foyer_memory::{Cache, CacheBuilder, S3FifoConfig};

use crate::engine::store::{LoadKey, MeasuredStore, weight};

/// The cache.
pub(crate) struct Foyer {
    cache: Cache<Box<[u8]>, Box<[u8]>>,
}

impl Foyer {
    /// An empty one; the budget is for keys and values.
    pub(crate) fn new(budget_bytes: u64) -> Self {
        let builder = CacheBuilder::new(budget_bytes as usize)
            .with_shards(1)
            .with_eviction_config(S3FifoConfig::default())
            .with_weighter(weigh);
        Self { cache: builder.build() }
    }
}

#[expect(clippy::borrowed_box, reason = "this is what the builder calls it with")]
fn weigh(key: &Box<[u8]>, value: &Box<[u8]>) -> usize {
    weight(key, value) as usize
}

impl MeasuredStore for Foyer {
    #[inline]
    fn find(&mut self, key: &LoadKey, sink: &mut [u8]) -> Option<usize> {
        let entry = self.cache.get(key.as_slice())?;
        let value = entry.value();
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
        self.cache.entries() as u64
    }
}
