//! A node's response, out of the receive buffer, and what it means to the asker.
//!
//! **Not** retried here: the cluster decides.
//!
//! **Invariants**: a value that does not match its checksum is never handed on.

use std::sync::Arc;

use shardstore::session::ReceivedAnswer;
use shardstore::version::Version;
use shardstore::wire::code::Status;
use shardstore::wire::ext::{CarriedPart, Moved};
use shardstore::wire::{FrameError, Response, VALUE_BYTES_MAX};

use store_runtime::request::{Outcome, Refusal, StoredValue};

/// A response that was received.
#[derive(Debug)]
pub(crate) struct NodeResponse {
    pub(crate) status: Status,
    /// Of the item; of a PING, the node's clock in microseconds.
    pub(crate) version: u64,
    ttl_ms: u32,
    metadata: Box<[u8]>,
    pub(crate) value: Vec<u8>,
    /// Which part of the value it is, where a part was asked for.
    part: Option<CarriedPart>,
    /// What came of the value matches its checksum.
    is_sound: bool,
    value_crc32c: u32,
    replaced: bool,
    pub(crate) moved: Option<Moved>,
    /// The slot's epoch as the node knows it.
    pub(crate) slot_epoch: u32,
    /// The node's map is newer than the epoch that was sent.
    pub(crate) map_hint: bool,
}

impl NodeResponse {
    /// Takes what is needed out of a response, its value checked; `None` when this release cannot read it.
    ///
    /// # Errors
    /// A fatal [`FrameError`]; the node's fault.
    pub(crate) fn of(answer: ReceivedAnswer<'_>) -> Result<Option<Self>, FrameError> {
        let Some(response) = answer.response()? else { return Ok(None) };
        let is_sound = answer.is_checked() || response.value_crc32c == Some(shardstore::wire::checksum(response.value));
        let parsed = NodeResponse { is_sound, ..NodeResponse::without_value(&response) };
        Ok(Some(NodeResponse { value: answer.into_value(), ..parsed }))
    }

    /// The same but its value.
    fn without_value(response: &Response<'_>) -> Self {
        NodeResponse {
            status: response.status,
            version: response.version,
            ttl_ms: response.ttl_ms,
            metadata: response.metadata.into(),
            value: Vec::new(),
            part: response.part,
            is_sound: false,
            value_crc32c: response.value_crc32c.unwrap_or_default(),
            replaced: response.previous_version.is_some(),
            moved: response.moved,
            slot_epoch: response.slot_epoch,
            map_hint: response.flags.contains(shardstore::wire::Flags::MAP_HINT),
        }
    }

    /// The outcome for a read that was asked at `asked_ms`, in steady milliseconds.
    ///
    /// The node reports the time left as of its response. Counted from the request, which is earlier, a copy never outlives
    /// its value, however long the response took.
    pub(crate) fn into_read(self, asked_ms: u64) -> Outcome {
        match self.status {
            Status::Ok => self.into_found(asked_ms).map_or(Outcome::Refused(Refusal::Corrupt), Outcome::Found),
            Status::NotFound => Outcome::Absent,
            Status::NotApplied => Outcome::NotApplied,
            other => Outcome::Refused(refusal(other)),
        }
    }

    /// The value, or the part of it that came; `None` when it does not match its checksum, or contradicts itself.
    fn into_found(self, asked_ms: u64) -> Option<StoredValue> {
        // A node that does not know parts sends the whole value.
        let (total, value_crc32c) = (self.value.len() as u32, self.value_crc32c);
        let part = self.part.unwrap_or(CarriedPart { total, offset: 0, value_crc32c });
        let end = u64::from(part.offset) + self.value.len() as u64;
        if !self.is_sound || end > u64::from(part.total) || part.total > VALUE_BYTES_MAX {
            return None;
        }
        Some(StoredValue {
            version: Version::from_bits(self.version),
            expire_ms: if self.ttl_ms == 0 { 0 } else { asked_ms + u64::from(self.ttl_ms) },
            metadata: self.metadata.into(),
            value_bytes: part.total as usize,
            value_crc32c: part.value_crc32c,
            offset: part.offset as usize,
            part: Arc::new(self.value),
        })
    }

    /// The outcome for a write.
    pub(crate) fn into_set(self) -> Outcome {
        match self.status {
            Status::Ok => Outcome::Stored { version: Version::from_bits(self.version), replaced: self.replaced },
            Status::NotApplied => Outcome::NotApplied,
            other => Outcome::Refused(refusal(other)),
        }
    }

    /// The outcome for a removal.
    pub(crate) fn into_delete(self) -> Outcome {
        match self.status {
            Status::Ok => Outcome::Deleted,
            Status::NotFound => Outcome::Absent,
            Status::NotApplied => Outcome::NotApplied,
            other => Outcome::Refused(refusal(other)),
        }
    }
}

fn refusal(status: Status) -> Refusal {
    match status {
        Status::Busy => Refusal::Busy,
        Status::Unknown => Refusal::Unknown,
        Status::TooLarge => Refusal::TooLarge,
        Status::Corrupt => Refusal::Corrupt,
        _ => Refusal::Unavailable,
    }
}
