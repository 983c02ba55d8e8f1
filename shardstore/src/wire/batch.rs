//! Payloads of MGET and MSET: many keys in one frame.
//!
//! ```text
//!  every payload: │ count u16 │ zero u16 │ entries │
//!
//!  MGET request    │ key_len u16 │ key │
//!  MSET request    │ key_len u16 │ metadata_len u8 │ condition u8 │ value_len u32 │ version u64 │ ttl_ms u32 │ crc u32 │
//!                  │ key │ metadata │ value │
//!  any response    │ status u16  │ metadata_len u8 │ flags u8     │ value_len u32 │ version u64 │ ttl_ms u32 │ crc u32 │
//!                  │ metadata │ value │              (flags bit 0: an item was replaced)
//! ```
//!
//! **Not**: which keys belong together (the sender groups by node; the slots may differ).
//!
//! **Invariants**: a payload that was parsed is well-formed to its last byte; answers stand in the order of the request.
//!
//! **Source**: docs/wire.md, "Batches".

use super::METADATA_BYTES_MAX;
use super::code::Status;
use super::cursor::Cursor;
use super::error::FrameError;
use crate::key::STORED_KEY_BYTES_MAX;
use crate::version::{Condition, Version};

/// Most entries of a batch unless less is negotiated: as many as are parsed and placed at once in some 0.1 ms.
pub const BATCH_ENTRIES_MAX: u16 = 1024;

/// Bytes of a payload before its entries.
const PREFIX_BYTES: usize = 4;

/// Bytes of an MSET entry or an answer before its sections.
pub const ENTRY_FIXED_BYTES: usize = 24;

/// Bit of an answer's flags: an item was replaced.
const REPLACED: u8 = 1;

/// One item to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MsetItem<'a> {
    /// The stored key, 1 to [`STORED_KEY_BYTES_MAX`] bytes.
    pub key: &'a [u8],
    /// What is stored beside the value, at most [`METADATA_BYTES_MAX`] bytes.
    pub metadata: &'a [u8],
    /// The value.
    pub value: &'a [u8],
    /// CRC-32C of the value.
    pub value_crc32c: u32,
    /// Time to live in milliseconds, 0 for none.
    pub ttl_ms: u32,
    /// Version to store it under, 0 for the node's own next one; 0 with [`Condition::VersionEquals`].
    pub version: u64,
    /// On what the write depends.
    pub condition: Condition,
}

/// One answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchAnswer<'a> {
    /// How this entry ended.
    pub status: Status,
    /// Whether an item was replaced.
    pub replaced: bool,
    /// What is stored beside the value, at most [`METADATA_BYTES_MAX`] bytes.
    pub metadata: &'a [u8],
    /// The value; empty for writes and misses.
    pub value: &'a [u8],
    /// CRC-32C of the value.
    pub value_crc32c: u32,
    /// Time to live left in milliseconds, 0 for none.
    pub ttl_ms: u32,
    /// Version of the item, 0 for none.
    pub version: u64,
}

/// Declares a parsed payload: a checked list that iterates over its entries.
macro_rules! batch {
    ($(#[$meta:meta])* $name:ident of $item:ty, read $read:ident, write $write:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name<'a> {
            count: u16,
            payload: &'a [u8],
        }

        impl<'a> $name<'a> {
            /// Checks a payload to its last byte.
            ///
            /// # Errors
            ///
            /// [`FrameError::BadPayload`] when it is malformed, empty of entries, or has more than `entries_max`; the
            /// peer is at fault.
            pub fn parse(payload: &'a [u8], entries_max: u16) -> Result<Self, FrameError> {
                let (count, mut cursor) = open(payload, entries_max).ok_or(FrameError::BadPayload)?;
                for _ in 0..count {
                    $read(&mut cursor).ok_or(FrameError::BadPayload)?;
                }
                if cursor.is_empty() { Ok(Self { count, payload }) } else { Err(FrameError::BadPayload) }
            }

            /// Writes `items` into `out` (cleared first) and returns the checked list over it.
            ///
            /// # Errors
            ///
            /// [`FrameError::BadPayload`] when there is no item, more than [`BATCH_ENTRIES_MAX`], or an item has a part
            /// out of range; the caller is at fault.
            pub fn write(out: &'a mut Vec<u8>, items: &[$item]) -> Result<Self, FrameError> {
                let count = u16::try_from(items.len()).map_err(|_| FrameError::BadPayload)?;
                out.clear();
                out.extend_from_slice(&count.to_le_bytes());
                out.extend_from_slice(&[0; 2]);
                for item in items {
                    $write(out, item).ok_or(FrameError::BadPayload)?;
                }
                Self::parse(out, BATCH_ENTRIES_MAX)
            }

            /// Number of entries, at least 1.
            #[must_use]
            pub const fn count(&self) -> u16 {
                self.count
            }

            /// The bytes of the payload, to be sent as the frame's value.
            #[must_use]
            pub const fn payload(&self) -> &'a [u8] {
                self.payload
            }

            /// The entries, in order.
            pub fn iter(&self) -> impl Iterator<Item = $item> + use<'a> {
                let mut cursor = Cursor::new(&self.payload[PREFIX_BYTES..]);
                std::iter::from_fn(move || $read(&mut cursor))
            }
        }
    };
}

batch! {
    /// The keys of an MGET request.
    MgetKeys of &'a [u8], read read_key, write write_key
}

batch! {
    /// The items of an MSET request.
    MsetItems of MsetItem<'a>, read read_item, write write_item
}

batch! {
    /// The answers to an MGET or MSET, in the order of its entries.
    BatchAnswers of BatchAnswer<'a>, read read_answer, write write_answer
}

fn open(payload: &[u8], entries_max: u16) -> Option<(u16, Cursor<'_>)> {
    let mut cursor = Cursor::new(payload);
    let (count, zero) = (cursor.u16()?, cursor.u16()?);
    ((1..=entries_max).contains(&count) && zero == 0).then_some((count, cursor))
}

fn read_key<'a>(cursor: &mut Cursor<'a>) -> Option<&'a [u8]> {
    let length = cursor.u16()?;
    checked_key(cursor, length)
}

fn checked_key<'a>(cursor: &mut Cursor<'a>, length: u16) -> Option<&'a [u8]> {
    let length = usize::from(length);
    (1..=STORED_KEY_BYTES_MAX).contains(&length).then(|| cursor.take(length))?
}

/// Key lengths are checked here because a longer one would not fit its field; everything else is checked by the parse
/// that follows every write.
fn write_key(out: &mut Vec<u8>, key: &&[u8]) -> Option<()> {
    out.extend_from_slice(&u16::try_from(key.len()).ok()?.to_le_bytes());
    out.extend_from_slice(key);
    Some(())
}

/// What an MSET entry and an answer have in common.
struct Fixed {
    lead: u16,
    metadata_len: u8,
    mark: u8,
    value_len: u32,
    version: u64,
    ttl_ms: u32,
    value_crc32c: u32,
}

fn read_fixed(cursor: &mut Cursor<'_>) -> Option<Fixed> {
    Some(Fixed {
        lead: cursor.u16()?,
        metadata_len: cursor.u8()?,
        mark: cursor.u8()?,
        value_len: cursor.u32()?,
        version: cursor.u64()?,
        ttl_ms: cursor.u32()?,
        value_crc32c: cursor.u32()?,
    })
}

fn write_fixed(out: &mut Vec<u8>, fixed: &Fixed) {
    let mut bytes = [0; ENTRY_FIXED_BYTES];
    bytes[0..2].copy_from_slice(&fixed.lead.to_le_bytes());
    bytes[2] = fixed.metadata_len;
    bytes[3] = fixed.mark;
    bytes[4..8].copy_from_slice(&fixed.value_len.to_le_bytes());
    bytes[8..16].copy_from_slice(&fixed.version.to_le_bytes());
    bytes[16..20].copy_from_slice(&fixed.ttl_ms.to_le_bytes());
    bytes[20..24].copy_from_slice(&fixed.value_crc32c.to_le_bytes());
    out.extend_from_slice(&bytes);
}

fn read_item<'a>(cursor: &mut Cursor<'a>) -> Option<MsetItem<'a>> {
    let fixed = read_fixed(cursor)?;
    let (condition, version) = match fixed.mark {
        0 => (Condition::Any, fixed.version),
        1 => (Condition::Absent, fixed.version),
        2 => (Condition::Present, fixed.version),
        3 => (Condition::VersionEquals(Version::from_bits(fixed.version)), 0),
        _ => return None,
    };
    Some(MsetItem {
        key: checked_key(cursor, fixed.lead)?,
        metadata: cursor.take(usize::from(fixed.metadata_len))?,
        value: cursor.take(fixed.value_len as usize)?,
        value_crc32c: fixed.value_crc32c,
        ttl_ms: fixed.ttl_ms,
        version,
        condition,
    })
}

fn write_item(out: &mut Vec<u8>, item: &MsetItem<'_>) -> Option<()> {
    let (mark, version) = match item.condition {
        Condition::Any => (0, item.version),
        Condition::Absent => (1, item.version),
        Condition::Present => (2, item.version),
        Condition::VersionEquals(version) => (3, version.bits()),
    };
    let fixed = Fixed {
        lead: u16::try_from(item.key.len()).ok()?,
        metadata_len: u8::try_from(item.metadata.len()).ok()?,
        mark,
        value_len: u32::try_from(item.value.len()).ok()?,
        version,
        ttl_ms: item.ttl_ms,
        value_crc32c: item.value_crc32c,
    };
    write_fixed(out, &fixed);
    out.extend_from_slice(item.key);
    out.extend_from_slice(item.metadata);
    out.extend_from_slice(item.value);
    Some(())
}

fn read_answer<'a>(cursor: &mut Cursor<'a>) -> Option<BatchAnswer<'a>> {
    let fixed = read_fixed(cursor)?;
    if fixed.mark & !REPLACED != 0 {
        return None;
    }
    Some(BatchAnswer {
        status: Status::from_number(fixed.lead)?,
        replaced: fixed.mark & REPLACED != 0,
        metadata: cursor.take(usize::from(fixed.metadata_len))?,
        value: cursor.take(fixed.value_len as usize)?,
        value_crc32c: fixed.value_crc32c,
        ttl_ms: fixed.ttl_ms,
        version: fixed.version,
    })
}

fn write_answer(out: &mut Vec<u8>, answer: &BatchAnswer<'_>) -> Option<()> {
    const _: () = assert!(METADATA_BYTES_MAX == u8::MAX as usize, "the length of metadata is one byte");
    let fixed = Fixed {
        lead: answer.status.number(),
        metadata_len: u8::try_from(answer.metadata.len()).ok()?,
        mark: if answer.replaced { REPLACED } else { 0 },
        value_len: u32::try_from(answer.value.len()).ok()?,
        version: answer.version,
        ttl_ms: answer.ttl_ms,
        value_crc32c: answer.value_crc32c,
    };
    write_fixed(out, &fixed);
    out.extend_from_slice(answer.metadata);
    out.extend_from_slice(answer.value);
    Some(())
}
