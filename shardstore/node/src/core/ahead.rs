//! A look ahead at frames that have arrived together, so that what they ask for is waited for together.
//!
//! A look-up in a shard that is larger than the caches waits for memory twice, for the bucket and for the item. An edge that has much
//! to ask sends it in one piece; then all of it is asked of the memory before the first frame is answered.
//!
//! **Not**: checking frames; bytes that are no frame are skipped here, and refused when they are served.
//!
//! **Invariants**: of no effect but on time.
//!
//! **Source**: docs/engine.md has what it saves.

use std::iter;

use shardstore::cache::LOOKAHEAD;
use shardstore::wire::frame;

use super::NodeCore;

/// Asks for the memory of the first frames of `bytes`, if there are at least two. Returns how many bytes they are.
#[inline]
pub(super) fn prefetch(core: &NodeCore, bytes: &[u8]) -> usize {
    let Some((first_bytes, _)) = frame::glance(bytes) else { return 0 };
    if first_bytes == bytes.len() {
        return first_bytes;
    }
    let mut rest = bytes;
    let keys = iter::from_fn(|| {
        let (frame_bytes, key) = frame::glance(rest)?;
        rest = &rest[frame_bytes..];
        Some(key)
    });
    let hashes = &mut *core.hashes_ahead.borrow_mut();
    hashes.clear();
    // Of keys that another core owns, the memory is not ours to ask for.
    let owned = keys.take(LOOKAHEAD).map(|key| core.hasher.hash(key)).filter(|hash| core.store.cores().owns(*hash));
    hashes.extend(owned);
    core.store.shard().prefetch(hashes);
    bytes.len() - rest.len()
}
