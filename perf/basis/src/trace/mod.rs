//! A trace in memory: which key every request asks for, and how large its value is.
//!
//! Keys are numbered in the order of their first request, so that engines keep what they know of a key in arrays.
//!
//! **Not**: reading files (that is `format`).
//!
//! **Invariants**: ids are below `unique()`, and every id below it occurs; a trace has at most [`REQUESTS_MAX`]
//! requests, so that a position fits 32 bits and [`NEVER`] is none.

pub mod format;

use std::collections::HashMap;

use anyhow::{Result, ensure};
use shardstore::key::KeyHasher;

/// Most requests of a trace; 4 to 8 bytes of memory each, and as many again for Belady.
pub const REQUESTS_MAX: usize = 2_000_000_000;

/// The position of a request that never comes.
pub const NEVER: u32 = u32::MAX;

/// Bytes of every key as the engines see it.
pub const KEY_BYTES: usize = 16;

/// Any seed does; a fixed one makes runs repeat.
const HASH_SEED: u64 = 0x636f_7265_6c61_6e65;

const _: () = assert!(REQUESTS_MAX < NEVER as usize);

/// The hash function of all replays.
pub const fn hasher() -> KeyHasher {
    KeyHasher::new(HASH_SEED)
}

/// The key of a name: 16 hexadecimal digits, so that no key has a hash tag.
pub fn key_of(name: u32) -> [u8; KEY_BYTES] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    std::array::from_fn(|at| DIGITS[(u64::from(name) >> (4 * (KEY_BYTES - 1 - at))) as usize & 15])
}

/// One request, as engines see it.
#[derive(Clone, Copy, Debug)]
pub struct TraceRequest {
    /// Position in the trace.
    pub at: u32,
    /// Which key.
    pub id: u32,
    /// What [`key_of`] makes the key of; differs from `id` in a part of a trace.
    pub name: u32,
    /// Bytes of the value.
    pub value_bytes: u32,
}

/// All requests in order.
#[derive(Debug, Default)]
pub struct Trace {
    ids: Vec<u32>,
    /// By id.
    names: Vec<u32>,
    /// By position; empty when all values are alike.
    value_bytes: Vec<u32>,
    /// Bytes of every value when they are alike.
    item_bytes: u32,
}

impl Trace {
    /// Count of requests.
    pub fn request_count(&self) -> usize {
        self.ids.len()
    }

    /// Count of different keys.
    pub fn unique(&self) -> usize {
        self.names.len()
    }

    /// The id of every request in order; what else is known is dropped.
    pub fn into_ids(self) -> Vec<u32> {
        self.ids
    }

    /// All requests in order.
    pub fn requests(&self) -> impl Iterator<Item = TraceRequest> {
        self.ids.iter().enumerate().map(|(at, &id)| {
            let value_bytes = self.value_bytes.get(at).copied().unwrap_or(self.item_bytes);
            TraceRequest { at: at as u32, id, name: self.names[id as usize], value_bytes }
        })
    }

    /// For every request, the position of the next one for the same key, or [`NEVER`].
    pub fn next_uses(&self) -> Vec<u32> {
        let mut upcoming = vec![NEVER; self.unique()];
        let mut next = vec![NEVER; self.request_count()];
        for (at, &id) in self.ids.iter().enumerate().rev() {
            next[at] = std::mem::replace(&mut upcoming[id as usize], at as u32);
        }
        next
    }

    /// The requests of each of `shards` shards, as the key hash spreads them.
    pub fn split(&self, shards: u16) -> Vec<Self> {
        let hasher = hasher();
        let empty = || Self { item_bytes: self.item_bytes, ..Self::default() };
        let mut parts: Vec<Self> = (0..shards).map(|_| empty()).collect();
        let mut places = Vec::with_capacity(self.unique());
        for &name in &self.names {
            let shard = usize::from(hasher.hash(&key_of(name)).shard(shards).0);
            places.push((shard, parts[shard].names.len() as u32));
            parts[shard].names.push(name);
        }
        for (at, &id) in self.ids.iter().enumerate() {
            let (shard, local) = places[id as usize];
            parts[shard].ids.push(local);
            if let Some(&bytes) = self.value_bytes.get(at) {
                parts[shard].value_bytes.push(bytes);
            }
        }
        parts
    }
}

/// How much of a trace there is room for.
#[derive(Clone, Copy, Debug)]
pub struct TraceBounds {
    /// Requests, up to [`REQUESTS_MAX`].
    pub requests: usize,
    /// Different keys.
    pub keys: usize,
    /// Bytes of all different keys together, when they are text.
    pub text_bytes: usize,
}

impl Default for TraceBounds {
    /// What the numbers of a trace allow.
    fn default() -> Self {
        Self { requests: REQUESTS_MAX, keys: REQUESTS_MAX, text_bytes: usize::MAX }
    }
}

/// Makes a trace, request by request.
#[derive(Debug, Default)]
pub struct Builder {
    trace: Trace,
    bounds: TraceBounds,
    text_bytes: usize,
    numbers: HashMap<u64, u32>,
    texts: HashMap<Box<[u8]>, u32>,
}

impl Builder {
    /// A trace without requests, whose values have `item_bytes` each unless the trace tells.
    pub fn new(item_bytes: u32) -> Self {
        Self { trace: Trace { item_bytes, ..Trace::default() }, ..Self::default() }
    }

    /// A trace without requests that takes no more than this; values have no bytes unless the trace tells.
    pub fn within(bounds: TraceBounds) -> Self {
        assert!(bounds.requests <= REQUESTS_MAX, "positions fit 32 bits");
        Self { bounds, ..Self::default() }
    }

    /// Count of requests so far.
    pub fn request_count(&self) -> usize {
        self.trace.request_count()
    }

    /// Adds a request for a key that is a number.
    ///
    /// # Errors
    /// The trace is full.
    pub fn add(&mut self, key: u64) -> Result<()> {
        let fresh = self.trace.names.len() as u32;
        let id = *self.numbers.entry(key).or_insert(fresh);
        self.push(id)
    }

    /// Adds a request for a key that is a number, with its value's size.
    ///
    /// # Errors
    /// The trace is full.
    pub fn add_sized(&mut self, key: u64, value_bytes: u32) -> Result<()> {
        self.trace.value_bytes.push(value_bytes);
        self.add(key)
    }

    /// Adds a request for a key that is text.
    ///
    /// # Errors
    /// The trace is full.
    pub fn add_text(&mut self, key: &[u8]) -> Result<()> {
        let fresh = self.trace.names.len() as u32;
        let id = match self.texts.get(key) {
            Some(&id) => id,
            None => {
                self.text_bytes += key.len();
                *self.texts.entry(key.into()).or_insert(fresh)
            }
        };
        let most = self.bounds.text_bytes;
        ensure!(self.text_bytes <= most, "its different keys have more than {most} bytes together; cut the trace");
        self.push(id)
    }

    /// The trace.
    pub fn finish(self) -> Trace {
        let sizes = self.trace.value_bytes.len();
        assert!(sizes == 0 || sizes == self.trace.request_count(), "a format tells the size of all values or of none");
        self.trace
    }

    fn push(&mut self, id: u32) -> Result<()> {
        let TraceBounds { requests, keys, .. } = self.bounds;
        ensure!(self.trace.request_count() < requests, "more than {requests} requests; cut the trace");
        if id as usize == self.trace.names.len() {
            ensure!(self.trace.names.len() < keys, "more than {keys} different keys; cut the trace");
            self.trace.names.push(id);
        }
        self.trace.ids.push(id);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(keys: &[u64]) -> Trace {
        let mut builder = Builder::new(7);
        keys.iter().for_each(|&key| builder.add(key).unwrap());
        builder.finish()
    }

    #[test]
    fn keys_are_numbered_in_the_order_they_come() {
        let trace = trace(&[9, 4, 9, 2]);
        assert_eq!((trace.request_count(), trace.unique()), (4, 3));
        assert_eq!(trace.requests().map(|request| request.id).collect::<Vec<_>>(), [0, 1, 0, 2]);
        assert!(
            trace.requests().enumerate().all(|(at, request)| request.at as usize == at && request.value_bytes == 7)
        );
        assert_eq!(trace.next_uses(), [2, NEVER, NEVER, NEVER]);
    }

    #[test]
    fn keys_are_hexadecimal() {
        assert_eq!(&key_of(0xbeef), b"000000000000beef");
    }

    #[test]
    fn a_trace_that_is_too_long_is_refused_at_the_bound() {
        let bounds = TraceBounds { requests: 5, keys: 2, text_bytes: 6 };
        let refused = |keys: &[u64]| {
            let mut builder = Builder::within(bounds);
            let at = keys.iter().position(|&key| builder.add(key).is_err());
            (at, builder.add(keys[0]).err().map_or_else(String::new, |error| error.to_string()))
        };
        assert_eq!(refused(&[1, 2, 1, 2]), (None, String::new()));
        assert_eq!(refused(&[1, 2, 1, 2, 2, 1]), (Some(5), "more than 5 requests; cut the trace".to_owned()));
        assert_eq!(refused(&[1, 2, 3]).0, Some(2), "a third key");
        let mut builder = Builder::within(bounds);
        assert!(builder.add_text(b"abcdef").is_ok() && builder.add_text(b"abcdef").is_ok());
        assert!(builder.add_text(b"g").unwrap_err().to_string().contains("more than 6 bytes"));
    }

    #[test]
    fn a_split_keeps_every_request_its_order_and_its_size() {
        let mut builder = Builder::new(0);
        (0..3000u64).for_each(|n| builder.add_sized(n * n % 701, n as u32).unwrap());
        let whole = builder.finish();
        let parts = whole.split(8);
        assert_eq!(parts.iter().map(Trace::request_count).sum::<usize>(), whole.request_count());
        assert_eq!(parts.iter().map(Trace::unique).sum::<usize>(), whole.unique());
        let hasher = hasher();
        for (shard, part) in parts.iter().enumerate() {
            let expected =
                whole.requests().filter(|request| usize::from(hasher.hash(&key_of(request.name)).shard(8).0) == shard);
            let expected: Vec<_> = expected.map(|request| (request.name, request.value_bytes)).collect();
            let found: Vec<_> = part.requests().map(|request| (request.name, request.value_bytes)).collect();
            assert_eq!(found, expected);
            assert!(!part.names.is_empty());
        }
    }
}
