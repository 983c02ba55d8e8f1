//! The 64-byte header of every frame.
//!
//! ```text
//!   0 ┌─────────────────────────────────┬──────────┬──────────┬──────────────────┐
//!     │ magic F5 'C' 'L', major version │ kind     │ class    │ opcode / status  │
//!   8 ├─────────────────────────────────┼──────────┴──────────┴──────────────────┤
//!     │ flags                           │ header_crc32c                          │
//!  16 ├─────────────────────────────────┴────────────────────────────────────────┤
//!     │ request_id                                                               │
//!  24 ├────────────────┬───────┬────────┬────────────────────────────────────────┤
//!     │ slot           │ ext/8 │ core   │ slot_epoch                             │
//!  32 ├────────────────┼───────┴────────┼────────────────────────────────────────┤
//!     │ key_len        │ credits        │ value_len                              │
//!  40 ├────────────────┴────────────────┴────────────────────────────────────────┤
//!     │ version                                                                  │
//!  48 ├─────────────────────────────────┬────────────────────────────────────────┤
//!     │ ttl_ms                          │ deadline_us                            │
//!  56 ├─────────────────────────────────┼────────────────────────────────────────┤
//!     │ value_crc32c                    │ cluster_tag                            │
//!  64 └─────────────────────────────────┴────────────────────────────────────────┘
//! ```
//!
//! **Not**: the sections after it, and the checks that need them (that is `frame`).
//!
//! **Invariants**: little-endian; a [`Header`] that was read has a known kind, a slot in range and no reserved bit set.
//!
//! **Source**: docs/wire.md.

use std::mem::{offset_of, size_of};

use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::code::{Kind, Opcode, Status};
use super::error::FrameError;
use super::flags::{Flags, SchedulingClass};
use super::{VERSION_MAX, VERSION_MIN};
use crate::key::SlotId;

/// Size of a header in bytes: one cache line.
pub const HEADER_BYTES: usize = 64;

/// The first three bytes of every frame. The first is neither ASCII nor the start of TLS, HTTP or RESP, so that a client on
/// the wrong port is seen at its first byte.
pub const MAGIC: [u8; 3] = [0xf5, b'C', b'L'];

/// `core` when any core of the server will do, or none has been named.
pub const CORE_ANY: u8 = 0xff;

/// Bytes in one unit of `ext_len`.
pub const EXT_UNIT_BYTES: usize = 8;

/// Longest ext section in bytes: 255 units.
pub const EXT_BYTES_MAX: usize = u8::MAX as usize * EXT_UNIT_BYTES;

/// The header as it lies in a buffer.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawHeader {
    magic: [u8; 3],
    major: u8,
    kind: u8,
    class: u8,
    code: U16,
    flags: U32,
    header_crc32c: U32,
    request_id: U64,
    slot: U16,
    ext_len: u8,
    core: u8,
    slot_epoch: U32,
    key_len: U16,
    credits: U16,
    value_len: U32,
    version: U64,
    ttl_ms: U32,
    deadline_us: U32,
    value_crc32c: U32,
    cluster_tag: U32,
}

const _: () = assert!(size_of::<RawHeader>() == HEADER_BYTES);
const _: () = assert!(offset_of!(RawHeader, magic) == 0);
const _: () = assert!(offset_of!(RawHeader, major) == 3);
const _: () = assert!(offset_of!(RawHeader, kind) == 4);
const _: () = assert!(offset_of!(RawHeader, class) == 5);
const _: () = assert!(offset_of!(RawHeader, code) == 6);
const _: () = assert!(offset_of!(RawHeader, flags) == 8);
const _: () = assert!(offset_of!(RawHeader, header_crc32c) == 12);
const _: () = assert!(offset_of!(RawHeader, request_id) == 16);
const _: () = assert!(offset_of!(RawHeader, slot) == 24);
const _: () = assert!(offset_of!(RawHeader, ext_len) == 26);
const _: () = assert!(offset_of!(RawHeader, core) == 27);
const _: () = assert!(offset_of!(RawHeader, slot_epoch) == 28);
const _: () = assert!(offset_of!(RawHeader, key_len) == 32);
const _: () = assert!(offset_of!(RawHeader, credits) == 34);
const _: () = assert!(offset_of!(RawHeader, value_len) == 36);
const _: () = assert!(offset_of!(RawHeader, version) == 40);
const _: () = assert!(offset_of!(RawHeader, ttl_ms) == 48);
const _: () = assert!(offset_of!(RawHeader, deadline_us) == 52);
const _: () = assert!(offset_of!(RawHeader, value_crc32c) == 56);
const _: () = assert!(offset_of!(RawHeader, cluster_tag) == 60);

/// The header, field by field. The lengths of ext and key and the checksum of the head are not here: they belong to the
/// sections, and `frame` writes and checks them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Major version of the protocol this frame is written in.
    pub major: u8,
    /// What the frame is within the conversation.
    pub kind: Kind,
    /// Scheduling class.
    pub class: SchedulingClass,
    /// Opcode of a request, push or control frame; status of a response; see [`Header::opcode`] and [`Header::status`].
    pub code: u16,
    /// The flags, unknown ones included.
    pub flags: Flags,
    /// The asker's id for this request: its slab index and generation. Answers come in any order.
    pub request_id: u64,
    /// The slot of the key; 0 in frames without one.
    pub slot: SlotId,
    /// Request: the core wanted. Response: the core that served. [`CORE_ANY`] when open.
    pub core: u8,
    /// The epoch of the slot as the sender knows it: a fencing token.
    pub slot_epoch: u32,
    /// Request credits granted with a response.
    pub credits: u16,
    /// Length of the value section in bytes.
    pub value_len: u32,
    /// Version of the item (hybrid logical clock), 0 for none.
    pub version: u64,
    /// Time to live in milliseconds from now, 0 for none.
    pub ttl_ms: u32,
    /// Request: budget left in microseconds, 0 for none. Response: time spent in the server.
    pub deadline_us: u32,
    /// CRC-32C of the whole value; 0 without VALUE_CRC. In a chunk it covers the value, not the chunk.
    pub value_crc32c: u32,
    /// Tag of the cluster's name.
    pub cluster_tag: u32,
}

impl Header {
    /// A header of this kind and code with everything else empty.
    #[inline]
    #[must_use]
    pub const fn new(kind: Kind, code: u16, cluster_tag: u32) -> Self {
        Self {
            major: VERSION_MAX,
            kind,
            class: SchedulingClass::DEFAULT,
            code,
            flags: Flags::NONE,
            request_id: 0,
            slot: SlotId::ZERO,
            core: CORE_ANY,
            slot_epoch: 0,
            credits: 0,
            value_len: 0,
            version: 0,
            ttl_ms: 0,
            deadline_us: 0,
            value_crc32c: 0,
            cluster_tag,
        }
    }

    /// The opcode, or `None` when the frame is a response or its opcode is unknown.
    #[inline]
    #[must_use]
    pub const fn opcode(&self) -> Option<Opcode> {
        match self.kind {
            Kind::Response => None,
            _ => Opcode::from_number(self.code),
        }
    }

    /// The status, or `None` when the frame is not a response or its status is unknown.
    #[inline]
    #[must_use]
    pub const fn status(&self) -> Option<Status> {
        match self.kind {
            Kind::Response => Status::from_number(self.code),
            _ => None,
        }
    }
}

/// A header as read: its fields, and what `frame` needs to find and check the sections.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeaderRead {
    pub(super) header: Header,
    pub(super) ext_bytes: usize,
    pub(super) key_bytes: usize,
    /// The checksum the frame claims.
    pub(super) crc_claimed: u32,
    /// The checksum over the header with its own field zeroed, to be continued over ext and key.
    pub(super) crc_header: u32,
}

/// Reads a header and checks what can be checked in it alone.
#[inline]
pub(super) fn read(bytes: &[u8; HEADER_BYTES]) -> Result<HeaderRead, FrameError> {
    let mut raw = *RawHeader::ref_from_bytes(bytes).expect("an array of the header's size has its layout");
    if raw.magic != MAGIC {
        return Err(FrameError::Magic(raw.magic));
    }
    if !(VERSION_MIN..=VERSION_MAX).contains(&raw.major) {
        return Err(FrameError::Version(raw.major));
    }
    let kind = Kind::from_number(raw.kind).ok_or(FrameError::Kind(raw.kind))?;
    let class = SchedulingClass::from_bits(raw.class).ok_or(FrameError::ReservedBits)?;
    let slot = SlotId::new(raw.slot.get()).ok_or(FrameError::Slot(raw.slot.get()))?;
    let crc_claimed = raw.header_crc32c.get();
    raw.header_crc32c = U32::ZERO;
    let header = Header {
        major: raw.major,
        kind,
        class,
        code: raw.code.get(),
        flags: Flags::from_bits(raw.flags.get()),
        request_id: raw.request_id.get(),
        slot,
        core: raw.core,
        slot_epoch: raw.slot_epoch.get(),
        credits: raw.credits.get(),
        value_len: raw.value_len.get(),
        version: raw.version.get(),
        ttl_ms: raw.ttl_ms.get(),
        deadline_us: raw.deadline_us.get(),
        value_crc32c: raw.value_crc32c.get(),
        cluster_tag: raw.cluster_tag.get(),
    };
    Ok(HeaderRead {
        header,
        ext_bytes: usize::from(raw.ext_len) * EXT_UNIT_BYTES,
        key_bytes: usize::from(raw.key_len.get()),
        crc_claimed,
        crc_header: super::checksum(raw.as_bytes()),
    })
}

/// Lengths of a header's frame, ext and key, in bytes; nothing is checked.
#[inline]
pub(super) fn lengths(bytes: &[u8; HEADER_BYTES]) -> (usize, usize, usize) {
    let raw = RawHeader::ref_from_bytes(bytes).expect("an array of the header's size has its layout");
    let (ext_bytes, key_bytes) = (usize::from(raw.ext_len) * EXT_UNIT_BYTES, usize::from(raw.key_len.get()));
    (HEADER_BYTES + ext_bytes + key_bytes + raw.value_len.get() as usize, ext_bytes, key_bytes)
}

/// The lengths that `frame` has checked and a header is written with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lengths {
    pub(super) ext_units: u8,
    pub(super) key_bytes: u16,
}

/// Writes the header at the start of `head`, whose ext and key are in place, and seals it with the checksum.
#[inline]
pub(super) fn seal(head: &mut [u8], header: &Header, lengths: Lengths) {
    let mut raw = RawHeader {
        magic: MAGIC,
        major: header.major,
        kind: header.kind.number(),
        class: header.class.bits(),
        code: U16::new(header.code),
        flags: U32::new(header.flags.bits()),
        header_crc32c: U32::ZERO,
        request_id: U64::new(header.request_id),
        slot: U16::new(header.slot.number()),
        ext_len: lengths.ext_units,
        core: header.core,
        slot_epoch: U32::new(header.slot_epoch),
        key_len: U16::new(lengths.key_bytes),
        credits: U16::new(header.credits),
        value_len: U32::new(header.value_len),
        version: U64::new(header.version),
        ttl_ms: U32::new(header.ttl_ms),
        deadline_us: U32::new(header.deadline_us),
        value_crc32c: U32::new(header.value_crc32c),
        cluster_tag: U32::new(header.cluster_tag),
    };
    let (place, sections) = head.split_at_mut(HEADER_BYTES);
    let crc = super::checksum_append(super::checksum(raw.as_bytes()), sections);
    raw.header_crc32c = U32::new(crc);
    place.copy_from_slice(raw.as_bytes());
}
