//! What a write is asked to be: the value, its time to live, and the condition under which it is applied.
//!
//! **Not**: parsing of headers or frames into it.
//!
//! **Invariants**: a condition reads the version of a living item only; an expired one counts as absent.
//!
//! **Source**: RFC 9110 section 13.1 (If-Match, If-None-Match); RFC 3385 for CRC-32C.

use crate::cache::ValueParts;
use crate::version::{Condition, Version};

/// A value to be stored.
#[derive(Clone, Copy, Debug)]
pub struct NewValue<'a> {
    /// The value, 0 bytes to [`super::Shard::value_bytes_max`].
    pub value: ValueParts<'a>,
    /// Opaque bytes kept beside it, 0 to [`crate::cache::METADATA_BYTES_MAX`].
    pub metadata: &'a [u8],
    /// When to apply it.
    pub condition: Condition,
    /// The version it brings along, made elsewhere; `None` for the shard's own next one.
    pub version: Option<Version>,
    /// Time to live in milliseconds from now; 0 for ever.
    pub ttl_ms: u64,
    /// CRC-32C of the value as the peer computed it; `None` when nobody did.
    pub value_crc32c: Option<u32>,
    /// Whether that was computed, or compared, over this value in this process already; else it is done again.
    pub is_checked: bool,
    /// Opaque flags, 0 to [`crate::cache::FLAGS_MAX`].
    pub flags: u8,
}

impl<'a> NewValue<'a> {
    /// An unconditional write that lives for ever, under a new version, without metadata, checksum and flags.
    pub fn new(value: impl Into<ValueParts<'a>>) -> Self {
        let value = value.into();
        Self {
            value,
            metadata: &[],
            condition: Condition::Any,
            version: None,
            ttl_ms: 0,
            value_crc32c: None,
            is_checked: false,
            flags: 0,
        }
    }

    /// Whether the checksum that is given need not be computed again.
    pub(super) const fn has_checked_crc(&self) -> bool {
        self.is_checked && self.value_crc32c.is_some()
    }

    pub(super) fn computed_crc32c(&self) -> u32 {
        self.value.as_slices().iter().fold(0, |crc, part| crc32c::crc32c_append(crc, part))
    }
}

/// A removal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delete {
    /// When to apply it.
    pub condition: Condition,
    /// The version it brings along, made elsewhere; `None` for the shard's own next one.
    pub version: Option<Version>,
}
