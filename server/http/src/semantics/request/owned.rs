//! A request head that outlives the buffer it came in.
//!
//! **Not**: reading the head again; its offsets hold in any copy of its bytes.
//! **Invariants**: the borrowed head says what the head it was made from says.

use super::{HeadOffsets, RequestHead};

/// A head with bytes of its own; made by [`RequestHead::into_owned`].
#[derive(Debug, Clone)]
pub struct OwnedHead {
    bytes: Box<[u8]>,
    offsets: HeadOffsets,
}

impl OwnedHead {
    pub(super) fn new(bytes: &[u8], offsets: &HeadOffsets) -> Self {
        Self { bytes: bytes.into(), offsets: *offsets }
    }

    /// The head, as if it had just been read.
    #[inline]
    #[must_use]
    pub fn head(&self) -> RequestHead<'_> {
        RequestHead::new(&self.bytes, &self.offsets)
    }
}
