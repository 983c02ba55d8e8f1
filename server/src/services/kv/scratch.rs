//! Memory in which the key of the request at hand lies.

use shardstore::key::{KEY_BYTES_MAX, STORED_KEY_BYTES_MAX};

/// Buffers that are reused for every request, so that the hit path allocates nothing.
pub(super) struct Scratch {
    /// The stored key of the request at hand.
    pub(super) key: Vec<u8>,
    /// A percent-decoded key.
    pub(super) decoded: Vec<u8>,
}

impl Scratch {
    pub(super) fn new() -> Self {
        Scratch { key: Vec::with_capacity(STORED_KEY_BYTES_MAX), decoded: Vec::with_capacity(KEY_BYTES_MAX) }
    }
}
