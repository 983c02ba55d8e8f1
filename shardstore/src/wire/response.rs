//! Responses as a node and an edge work with them.
//!
//! ```text
//!  to        status         value section         header               ext
//!  GET       OK             the value             version, ttl_ms, crc METADATA
//!  READ      OK             a part of the value   version, ttl_ms, crc METADATA, PART
//!  READ      NOT_APPLIED    -                     -                    PREVIOUS_VERSION = what is there instead
//!  SET       OK             -                     version (new)        PREVIOUS_VERSION when one was replaced
//!  DELETE    OK             -                     version (of removal) PREVIOUS_VERSION
//!  SET, DEL  NOT_APPLIED    -                     -                    PREVIOUS_VERSION = what is there, if anything
//!  TOUCH     OK             -                     version              -
//!  MGET/MSET OK             answers (BATCH)       -                    -
//!  STATS     OK             stats                 -                    -
//!  TOPOLOGY  OK             epoch and text        -                    -
//!  any       MOVED          -                     slot_epoch           MOVED
//!  any       BUSY, UNAVAILABLE  -                 -                    RETRY_AFTER
//! ```
//!
//! **Not**: which request it answers beyond its id.
//!
//! **Invariants**: every response grants credits, whatever its status; what is parsed encodes to the same bytes.
//!
//! **Source**: docs/wire.md, "Responses".

use super::code::{Kind, Status};
use super::error::FrameError;
use super::ext::{CarriedPart, Ext, Moved};
use super::flags::Flags;
use super::frame::{self, Frame};
use super::header::CORE_ANY;
use super::reassembly::ValuePart;
use super::request::Dialect;
use crate::key::SlotId;

/// An answer with what surrounds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response<'a> {
    /// Id of the request it answers.
    pub id: u64,
    /// How the request ended.
    pub status: Status,
    /// Slot of the request.
    pub slot: SlotId,
    /// Epoch of the slot as the node knows it.
    pub slot_epoch: u32,
    /// The core that served it, or [`CORE_ANY`].
    pub core: u8,
    /// Request credits granted; 1 keeps the window as it is.
    pub credits: u16,
    /// Time spent in the server in microseconds.
    pub server_us: u32,
    /// Of MAP_HINT and BATCH; the flags that belong to the encoding are set by it.
    pub flags: Flags,
    /// Version of the item, 0 for none.
    pub version: u64,
    /// Time to live left in milliseconds, 0 for none.
    pub ttl_ms: u32,
    /// CRC-32C of the value, as stored, or of the part that is carried; `None` when the answer has no value at all.
    pub value_crc32c: Option<u32>,
    /// What is stored beside the value.
    pub metadata: &'a [u8],
    /// The version replaced, or the one that stood in the way.
    pub previous_version: Option<u64>,
    /// How long to wait before trying again, in microseconds.
    pub retry_after_us: Option<u32>,
    /// Who owns the slot.
    pub moved: Option<Moved>,
    /// Which part of the value it carries, where a part was asked for.
    pub part: Option<CarriedPart>,
    /// The value section.
    pub value: &'a [u8],
}

/// Flags that the answerer chooses; the others follow from the sections.
const CHOSEN: Flags = Flags::MAP_HINT.with(Flags::BATCH);

impl<'a> Response<'a> {
    /// An answer with this status to the request with this id, granting one credit, everything else empty.
    #[inline]
    #[must_use]
    pub const fn new(id: u64, status: Status) -> Self {
        Self {
            id,
            status,
            slot: SlotId::ZERO,
            slot_epoch: 0,
            core: CORE_ANY,
            credits: 1,
            server_us: 0,
            flags: Flags::NONE,
            version: 0,
            ttl_ms: 0,
            value_crc32c: None,
            metadata: &[],
            previous_version: None,
            retry_after_us: None,
            moved: None,
            part: None,
            value: &[],
        }
    }

    /// This answer with a payload of the protocol's own (a batch, stats, a topology), whose checksum is made here.
    #[must_use]
    pub fn with_payload(mut self, payload: &'a [u8]) -> Self {
        self.value = payload;
        self.value_crc32c = Some(super::checksum(payload));
        self
    }

    /// Understands a frame as a response.
    ///
    /// # Errors
    ///
    /// [`FrameError`]: where it is not fatal, the request has ended in a way this release cannot read and is reported as
    /// UNSUPPORTED; else the connection ends. The peer is at fault.
    #[inline]
    pub fn parse(frame: &Frame<'a>) -> Result<Self, FrameError> {
        let header = &frame.header;
        if header.kind != Kind::Response {
            return Err(FrameError::Unexpected);
        }
        let status = header.status().ok_or(FrameError::UnknownStatus(header.code))?;
        let unknown = header.flags.not_understood(Flags::UNDERSTOOD);
        if !unknown.is_empty() {
            return Err(FrameError::UnknownFlags(unknown.bits()));
        }
        let ext = Ext::parse(frame.ext)?;
        let is_whole = ext.chunk.is_none_or(|chunk| chunk.offset == 0 && chunk.total as usize == frame.value.len());
        if !frame.key.is_empty() {
            return Err(FrameError::BadKey);
        }
        let is_whole = is_whole && !header.flags.contains(Flags::MORE);
        if !is_whole || ext.wanted.is_some() || (status == Status::Moved) != ext.moved.is_some() {
            return Err(FrameError::BadPayload);
        }
        Ok(Self {
            id: header.request_id,
            status,
            slot: header.slot,
            slot_epoch: header.slot_epoch,
            core: header.core,
            credits: header.credits,
            server_us: header.deadline_us,
            flags: header.flags & CHOSEN,
            version: header.version,
            ttl_ms: header.ttl_ms,
            value_crc32c: header.flags.contains(Flags::VALUE_CRC).then_some(header.value_crc32c),
            metadata: ext.metadata,
            previous_version: ext.previous_version,
            retry_after_us: ext.retry_after_us,
            moved: ext.moved,
            part: ext.part,
            value: frame.value,
        })
    }

    /// Appends the response as one frame to `out`; allocates only when `out` has no room. Returns its length in bytes.
    ///
    /// # Panics
    ///
    /// When there is a value without a checksum: the engine stores it with the value. And as [`frame::encode_head`].
    #[inline]
    pub fn encode(&self, dialect: Dialect, out: &mut Vec<u8>) -> usize {
        let total = u32::try_from(self.value.len()).expect("a value is at most VALUE_BYTES_MAX long");
        let head_bytes = self.encode_head(dialect, ValuePart::whole(total), out);
        out.extend_from_slice(self.value);
        head_bytes + self.value.len()
    }

    /// Appends the head of the frame that carries one part of the value; the part itself is sent after it, from wherever
    /// it lies (`self.value` may be empty). The first part's head carries the details, a later one only what names the
    /// part; only the last one grants the credits.
    ///
    /// # Panics
    ///
    /// As [`Response::encode`].
    #[inline]
    pub fn encode_head(&self, dialect: Dialect, part: ValuePart, out: &mut Vec<u8>) -> usize {
        assert!(part.total == 0 || self.value_crc32c.is_some(), "a value is stored with its checksum");
        let mut header = dialect.header(Kind::Response, self.status.number());
        header.flags = self.flags & CHOSEN;
        header.request_id = self.id;
        header.slot = self.slot;
        header.core = self.core;
        header.slot_epoch = self.slot_epoch;
        header.deadline_us = self.server_us;
        header.version = self.version;
        header.ttl_ms = self.ttl_ms;
        header.value_len = part.length;
        if let Some(crc) = self.value_crc32c {
            header.flags |= Flags::VALUE_CRC;
            header.value_crc32c = crc;
        }
        if part.has_more() {
            header.flags |= Flags::MORE;
        } else {
            header.credits = self.credits;
        }
        let chunk = part.chunk();
        if part.offset > 0 {
            return frame::encode_head(out, &header, &Ext { chunk, ..Ext::default() }, &[]);
        }
        let ext = Ext {
            metadata: self.metadata,
            previous_version: self.previous_version,
            retry_after_us: self.retry_after_us,
            moved: self.moved,
            part: self.part,
            chunk,
            ..Ext::default()
        };
        frame::encode_head(out, &header, &ext, &[])
    }
}
