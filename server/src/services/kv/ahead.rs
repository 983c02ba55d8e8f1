//! A look ahead at reads that have come at once, so that what they look up is waited for together.
//!
//! A look-up in a shard that is larger than the caches waits for memory twice, for the bucket and for the item.
//!
//! **Not** answering or refusing: that is for `hit`, when it is the request's turn.
//!
//! **Invariants**: of no effect but on time; nothing is allocated.
//!
//! **Source**: docs/adr/0010-look-ups-together.md.

use corelane_http::h1::server::HEADS_AHEAD_MAX;
use corelane_http::request::RequestHead;
use shardstore::cache::LOOKAHEAD;

use super::KvService;
use super::key::KeyEncoding;

const _: () = assert!(HEADS_AHEAD_MAX <= LOOKAHEAD, "a round's look-ups are asked for at once");

impl KvService {
    /// Whether look-ups wait for memory.
    #[inline(always)]
    pub(crate) fn pays_look_ahead(&self) -> bool {
        self.store.shard().pays_prefetch()
    }

    /// Notes the key that a read is about to look up, if this core owns it.
    #[inline(always)]
    pub(crate) fn look_ahead(&self, head: &RequestHead<'_>, (keyspace, raw_key): (&[u8], &[u8])) {
        if let Ok(hash) = self.stored_key(keyspace, raw_key, KeyEncoding::of(head))
            && self.store.is_own(hash)
        {
            self.hashes_ahead.borrow_mut().push(hash);
        }
    }

    /// Asks for the memory of all keys that were noted.
    #[inline]
    pub(crate) fn prefetch(&self) {
        let mut hashes = self.hashes_ahead.borrow_mut();
        debug_assert!(hashes.len() <= HEADS_AHEAD_MAX, "they are asked for in each round");
        if hashes.len() > 1 {
            self.store.shard().prefetch(&hashes);
        }
        hashes.clear();
    }
}
