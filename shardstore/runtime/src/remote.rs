//! The shards of this process's other cores, read in place.
//!
//! ```text
//!  start of a core:  its shard ──▶ published        first read of another's key:  published ──▶ a reader of one's own
//! ```
//!
//! **Not** for writes, the bytes of large values, or what is being changed: those are asked of the owner by message. What is
//! known of a large value beside its bytes is read here like anything else.
//!
//! **Invariants**: a core's readers are used by that core only; a shard that is not published yet is asked by message;
//! nothing of another core's memory is written, and nothing of it is lent; a read allocates nothing.

use std::cell::{OnceCell, RefCell};
use std::sync::{Arc, OnceLock};

use reactor::CoreId;
use shardstore::cache::{Found, METADATA_BYTES_MAX, Read, Reader, SharedCache};
use shardstore::key::{KeyHash, STORED_KEY_BYTES_MAX};
use shardstore::version::Version;

use crate::cores::CoreOwners;
use crate::kind::ItemKind;

/// Where each core puts its shard's handle when it starts.
pub type Published = Arc<[OnceLock<SharedCache>]>;

/// Room for the handles of so many cores.
#[must_use]
pub fn unpublished(cores: u16) -> Published {
    (0..cores).map(|_| OnceLock::new()).collect()
}

/// Longest item, with its key and metadata, that is copied out of another core's shard: copying more costs as much as asking
/// its owner.
const ITEM_BYTES_MAX: usize = 16 * 1024 + STORED_KEY_BYTES_MAX + METADATA_BYTES_MAX + 16;

/// One core's readers of the others.
#[derive(Debug)]
pub struct RemoteShards {
    published: Published,
    readers: Box<[OnceCell<Reader>]>,
    own: CoreId,
    /// The item that was read last.
    item: RefCell<Vec<u8>>,
}

/// What came of a read in place.
#[derive(Clone, Copy, Debug)]
pub enum RemoteRead<'a> {
    /// The item was copied.
    Found(RemoteItem<'a>),
    /// All of the item but its value, which is large, was copied; the value is to be asked of the owner.
    Large(RemoteItem<'a>),
    /// There is none, or it has expired.
    Absent,
    /// It was being changed, or its owner is starting: ask the owner.
    AskOwner,
}

/// An item of another core's shard.
#[derive(Clone, Copy, Debug)]
pub struct RemoteItem<'a> {
    /// The version it was stored with.
    pub version: Version,
    /// Steady milliseconds; 0 for never.
    pub expire_ms: u64,
    /// CRC-32C of the value.
    pub value_crc32c: u32,
    /// What it is.
    pub kind: ItemKind,
    /// What is stored beside the value.
    pub metadata: &'a [u8],
    /// Bytes of the value.
    pub value_bytes: usize,
    /// The value; empty where it is large.
    pub value: &'a [u8],
}

impl<'a> RemoteItem<'a> {
    fn of(found: &Found, copied: &'a [u8]) -> Self {
        RemoteItem {
            version: found.version,
            expire_ms: found.expire_ms,
            value_crc32c: found.value_crc32c,
            kind: ItemKind::of_flags(found.flags),
            metadata: &copied[found.metadata()],
            value_bytes: found.value_bytes as usize,
            value: &copied[found.value()],
        }
    }
}

impl RemoteShards {
    /// The readers of core `own`.
    #[must_use]
    pub fn new(published: Published, own: CoreId) -> Self {
        let readers = published.iter().map(|_| OnceCell::new()).collect();
        RemoteShards { published, readers, own, item: RefCell::new(Vec::with_capacity(ITEM_BYTES_MAX)) }
    }

    /// Reads a key of another core's shard and hands what came of it to `then`, which must not read in place itself.
    #[inline]
    pub fn read<R>(
        &self,
        cores: CoreOwners,
        (hash, key): (KeyHash, &[u8]),
        now_ms: u64,
        then: impl FnOnce(RemoteRead<'_>) -> R,
    ) -> R {
        let owner = cores.owner(hash);
        debug_assert_ne!(owner, self.own, "a core has its own shard at hand");
        let Some(reader) = self.reader(owner) else { return then(RemoteRead::AskOwner) };
        let mut item = self.item.borrow_mut();
        match reader.read(hash, key, now_ms, &mut item) {
            Read::Found(found) => then(RemoteRead::Found(RemoteItem::of(&found, &item))),
            Read::Large(found) => then(RemoteRead::Large(RemoteItem::of(&found, &item))),
            Read::Absent => then(RemoteRead::Absent),
            Read::Contended => then(RemoteRead::AskOwner),
        }
    }

    /// The reader of a core's shard; none while that core starts.
    #[inline]
    fn reader(&self, owner: CoreId) -> Option<&Reader> {
        if let Some(reader) = self.readers[owner.index()].get() {
            return Some(reader);
        }
        let shared = self.published[owner.index()].get()?;
        Some(self.readers[owner.index()].get_or_init(|| shared.reader(self.own.index())))
    }
}
