//! What a core says to a request, apart from the connection it goes out on.
//!
//! **Not**: ids, epochs, credits and frames; those are the connection's ([`super::respond`]).
//!
//! **Invariants**: an answer owns its bytes, so that it can go to another core; one without value and metadata owns no heap
//! memory.

use shardstore::wire::ext::{CarriedPart, Moved};
use shardstore::wire::{Flags, Response, Status, checksum};
use store_runtime::shared_budget::SharedLease;

/// An answer that owns its bytes.
#[derive(Debug)]
pub(crate) struct OwnedResponse {
    pub(crate) status: Status,
    /// BATCH and MAP_HINT.
    pub(crate) flags: Flags,
    pub(crate) version: u64,
    pub(crate) ttl_ms: u32,
    pub(crate) value_crc32c: Option<u32>,
    pub(crate) previous_version: Option<u64>,
    pub(crate) retry_after_us: Option<u32>,
    pub(crate) moved: Option<Moved>,
    pub(crate) part: Option<CarriedPart>,
    pub(crate) metadata: Vec<u8>,
    pub(crate) value: Vec<u8>,
    /// For the value of a part of a batch, while it goes to another core.
    pub(crate) lease: Option<SharedLease>,
}

impl OwnedResponse {
    /// A status and nothing else.
    pub(crate) const fn status(status: Status) -> Self {
        OwnedResponse {
            status,
            flags: Flags::NONE,
            version: 0,
            ttl_ms: 0,
            value_crc32c: None,
            previous_version: None,
            retry_after_us: None,
            moved: None,
            part: None,
            metadata: Vec::new(),
            value: Vec::new(),
            lease: None,
        }
    }

    /// A status with the time after which another try makes sense.
    pub(crate) fn retry(status: Status, retry_after_us: u32) -> Self {
        OwnedResponse { retry_after_us: Some(retry_after_us), ..OwnedResponse::status(status) }
    }

    /// OK with a payload of the protocol's own.
    pub(crate) fn payload(payload: Vec<u8>) -> Self {
        OwnedResponse { value_crc32c: Some(checksum(&payload)), value: payload, ..OwnedResponse::status(Status::Ok) }
    }

    /// Copies what it says into a response; the rest of that stays.
    pub(crate) fn describe<'a>(&'a self, response: &mut Response<'a>) {
        response.status = self.status;
        response.flags |= self.flags;
        response.version = self.version;
        response.ttl_ms = self.ttl_ms;
        response.value_crc32c = self.value_crc32c;
        response.previous_version = self.previous_version;
        response.retry_after_us = self.retry_after_us;
        response.moved = self.moved;
        response.part = self.part;
        response.metadata = &self.metadata;
        response.value = &self.value;
    }
}
