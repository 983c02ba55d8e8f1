//! The shards of this process's other cores, read in place.
//!
//! ```text
//!  start of a core:  its shard ──▶ published        first read of another's key:  published ──▶ a reader of one's own
//! ```
//!
//! **Not** for writes, large values, or what is being changed: those are asked of the owner by message.
//!
//! **Invariants**: a core's readers are used by that core only; a shard that is not published yet is asked by message.

use std::cell::OnceCell;
use std::sync::{Arc, OnceLock};

use crate::cache::{Reader, SharedCache};

/// Where each core puts its shard's handle when it starts.
pub type Published = Arc<[OnceLock<SharedCache>]>;

/// Room for the handles of so many cores.
#[must_use]
pub fn unpublished(cores: u16) -> Published {
    (0..cores).map(|_| OnceLock::new()).collect()
}

/// One core's readers of the others.
#[derive(Debug)]
pub struct Others {
    published: Published,
    readers: Box<[OnceCell<Reader>]>,
    own: usize,
}

impl Others {
    /// The readers of core `own`.
    #[must_use]
    pub fn new(published: Published, own: u16) -> Self {
        let readers = published.iter().map(|_| OnceCell::new()).collect();
        Others { published, readers, own: usize::from(own) }
    }

    /// The reader of a core's shard; none while that core starts.
    ///
    /// # Panics
    ///
    /// When there is no such core.
    #[inline]
    pub fn reader(&self, owner: u16) -> Option<&Reader> {
        let owner = usize::from(owner);
        if let Some(reader) = self.readers[owner].get() {
            return Some(reader);
        }
        let shared = self.published[owner].get()?;
        Some(self.readers[owner].get_or_init(|| shared.reader(self.own)))
    }
}
