//! What is compared: a cache that is asked one thing at a time, through the interface its users have.
//!
//! ```text
//!  load ─▶ batch of calls, made beforehand ─▶ Runner::run  (one clock reading around all of them)
//!                                           └▶ Runner::time (one around each)  ─▶ Store
//! ```
//!
//! **Not**: several threads; every store is used by one.
//!
//! **Invariants**: a value that is found is copied out, the same way for all stores; a store is reached through static
//! calls within a batch, so that no store pays for an indirection.

use std::time::Instant;

use ::shardstore::cache::Commit;
use clap::ValueEnum;
use serde::Serialize;

use super::latency::Latencies;
use super::stores::{foyer, lru, moka, quick, shardstore};

/// Bytes of every key: those of a UUID in its usual form.
pub(crate) const KEY_BYTES: usize = 36;

/// A key.
pub(crate) type LoadKey = [u8; KEY_BYTES];

/// What is compared, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// The product's cache, hashing with the cluster's hash (rapidhash)
    Shardstore,
    /// A `hashbrown` table (its default foldhash) with an LRU list linked through indices
    Hashbrown,
    /// `moka::sync` (W-TinyLFU; its default SipHash)
    Moka,
    /// `quick_cache::unsync` (CLOCK-Pro/S3-FIFO hybrid; its default foldhash)
    #[value(name = "quick_cache")]
    QuickCache,
    /// `foyer`'s memory cache (S3-FIFO; its default hash), one shard
    Foyer,
}

impl Kind {
    /// What it is called on the command line and in reports.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Shardstore => "shardstore",
            Self::Hashbrown => "hashbrown",
            Self::Moka => "moka",
            Self::QuickCache => "quick_cache",
            Self::Foyer => "foyer",
        }
    }

    /// An empty one that may hold `budget_bytes`, made for items of about `item_bytes`. `commit` is the product's cache's.
    ///
    /// # Errors
    /// The product's cache cannot be made this small or this large.
    pub(crate) fn make(
        self,
        budget_bytes: u64,
        item_bytes: f64,
        commit: Commit,
    ) -> anyhow::Result<Box<dyn StoreRunner>> {
        let items = (budget_bytes as f64 / item_bytes) as usize;
        Ok(match self {
            Self::Shardstore => Box::new(shardstore::ShardstoreStore::new(budget_bytes, commit)?),
            Self::Hashbrown => Box::new(lru::LruStore::new(budget_bytes)),
            Self::Moka => Box::new(moka::Moka::new(budget_bytes)),
            Self::QuickCache => Box::new(quick::Quick::new(budget_bytes, items)),
            Self::Foyer => Box::new(foyer::Foyer::new(budget_bytes)),
        })
    }
}

/// What a call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallKind {
    /// Look the key up and copy the value out.
    Get,
    /// Store a value under the key.
    Set,
    /// Remove the key.
    Delete,
}

/// One call, made before the clock is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    /// What it does.
    pub(crate) verb: CallKind,
    /// To which key.
    pub(crate) key: LoadKey,
    /// Of a value that is set.
    pub(crate) value_bytes: u32,
}

/// Where values come from and go to; the same for all stores.
#[derive(Clone, Debug)]
pub(crate) struct Buffers {
    /// What values that are set are cut from.
    source: Vec<u8>,
    /// What values that are found are copied to.
    sink: Vec<u8>,
}

impl Buffers {
    /// For values up to `largest` bytes.
    pub(crate) fn new(largest: u32) -> Self {
        let byte = |at: u32| at.wrapping_mul(31) as u8;
        Self { source: (0..largest).map(byte).collect(), sink: vec![0; largest as usize] }
    }
}

/// A cache. Keys and values are copied in.
pub(crate) trait MeasuredStore {
    /// Copies the value to the front of `sink` if the key is there; returns its length.
    fn find(&mut self, key: &LoadKey, sink: &mut [u8]) -> Option<usize>;

    /// Hears of calls that are about to come, if it can make use of that.
    fn expect(&mut self, _calls: &[Call]) {}

    /// Stores a value.
    fn store(&mut self, key: &LoadKey, value: &[u8]);

    /// Work that its user is to let it do after a write. Returns whether there is such a thing.
    fn tend(&mut self) -> bool {
        false
    }

    /// Removes the key; returns whether it was there.
    fn remove(&mut self, key: &LoadKey) -> bool;

    /// Count of items held.
    fn items(&mut self) -> u64;
}

/// A store under load.
pub(crate) trait StoreRunner {
    /// Makes all calls, of which `ahead` (1 or more) are known at once, as from requests that arrive together; returns how many found
    /// their key, of the gets and deletes.
    fn run(&mut self, calls: &[Call], ahead: u16, buffers: &mut Buffers) -> u64;

    /// Makes all calls, and stores what a get did not find, as a user who has the value from elsewhere does.
    fn run_filling(&mut self, calls: &[Call], buffers: &mut Buffers);

    /// Makes all calls and times every single one.
    fn time(&mut self, calls: &[Call], buffers: &mut Buffers, latencies: &mut Latencies);

    /// Count of items held.
    fn items(&mut self) -> u64;
}

impl<S: MeasuredStore> StoreRunner for S {
    fn run(&mut self, calls: &[Call], ahead: u16, buffers: &mut Buffers) -> u64 {
        let mut found = 0;
        for group in calls.chunks(usize::from(ahead)) {
            if group.len() > 1 {
                self.expect(group);
            }
            for call in group {
                found += u64::from(call_once(self, call, buffers));
                if call.verb != CallKind::Get {
                    self.tend();
                }
            }
        }
        std::hint::black_box(&buffers.sink);
        found
    }

    fn run_filling(&mut self, calls: &[Call], buffers: &mut Buffers) {
        for call in calls {
            let found = call_once(self, call, buffers);
            if call.verb == CallKind::Get && !found {
                call_once(self, &Call { verb: CallKind::Set, ..*call }, buffers);
            }
            if call.verb != CallKind::Get || !found {
                self.tend();
            }
        }
    }

    fn time(&mut self, calls: &[Call], buffers: &mut Buffers, latencies: &mut Latencies) {
        for call in calls {
            let began = Instant::now();
            call_once(self, call, buffers);
            let ended = Instant::now();
            latencies.of(call.verb).note(ended - began);
            if call.verb != CallKind::Get && self.tend() {
                latencies.maintain.note(ended.elapsed());
            }
        }
    }

    fn items(&mut self) -> u64 {
        MeasuredStore::items(self)
    }
}

#[inline(always)]
fn call_once<S: MeasuredStore>(store: &mut S, call: &Call, buffers: &mut Buffers) -> bool {
    match call.verb {
        CallKind::Get => store.find(&call.key, &mut buffers.sink).is_some(),
        CallKind::Set => {
            store.store(&call.key, &buffers.source[..call.value_bytes as usize]);
            false
        }
        CallKind::Delete => store.remove(&call.key),
    }
}

/// What an item counts against the budget of a store that counts what its user tells it: key and value, as users of these
/// caches weigh them. What the store itself takes beside comes on top; the product's cache has all of it within the budget.
#[inline]
pub(crate) const fn weight(key: &[u8], value: &[u8]) -> u64 {
    key.len() as u64 + value.len() as u64
}
