//! `Range` and `If-Range`: which part of a value to send.
//!
//! **Not**: several ranges in one response; a request for them gets the whole value, as any server may do.
//! **Invariants**: a part is never empty and never reaches past the value.
//! **Source**: RFC 9110 section 13.1.5, 14.1, 14.2, 14.4.

use crate::class;
use crate::entity_tag::EntityTag;
use std::ops::Range;

/// What a `Range` field asks of a value of a known size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// The whole value, as 200: the field is malformed, of another unit, or of several ranges.
    Whole,
    /// These bytes of it, as 206.
    Part(Range<u64>),
    /// Bytes that it does not have: 416.
    Unsatisfiable,
}

/// The value of a `Content-Range` field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContentRange {
    /// `bytes first-last/total`, of a 206. The range is not empty.
    Part {
        /// The bytes sent.
        part: Range<u64>,
        /// Bytes of the whole value.
        value_bytes: u64,
    },
    /// `bytes */total`, of a 416.
    Unsatisfied {
        /// Bytes of the whole value.
        value_bytes: u64,
    },
}

/// What the value of a `Range` field selects of `value_bytes` bytes.
#[must_use]
pub fn select(field: &[u8], value_bytes: u64) -> Selection {
    let Some((unit, set)) = split_at_byte(field, b'=') else {
        return Selection::Whole;
    };
    let Some((first, last)) = split_at_byte(class::trim(set), b'-') else {
        return Selection::Whole;
    };
    // Nothing can be part of nothing, and a client that asks for the start of it wants to know that it is empty.
    if !unit.eq_ignore_ascii_case(b"bytes") || value_bytes == 0 {
        return Selection::Whole;
    }
    match (class::decimal(first), class::decimal(last)) {
        (None, Some(suffix)) if first.is_empty() => {
            part(value_bytes - suffix.unwrap_or(u64::MAX).min(value_bytes), value_bytes, value_bytes)
        }
        (Some(first), None) if last.is_empty() => part(first.unwrap_or(u64::MAX), value_bytes, value_bytes),
        (Some(first), Some(last)) => {
            let (first, last) = (first.unwrap_or(u64::MAX), last.unwrap_or(u64::MAX));
            if first > last { Selection::Whole } else { part(first, last.saturating_add(1), value_bytes) }
        }
        _ => Selection::Whole,
    }
}

fn part(start: u64, end: u64, value_bytes: u64) -> Selection {
    if start >= value_bytes { Selection::Unsatisfiable } else { Selection::Part(start..end.min(value_bytes)) }
}

fn split_at_byte(bytes: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(separator, bytes)?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

/// Whether the value of an `If-Range` field lets `Range` apply to the representation with this tag: only the same strong
/// tag does. A date never does, because no modification dates are kept.
#[must_use]
pub fn if_range_holds(field: &[u8], current: EntityTag<'_>) -> bool {
    EntityTag::parse(field).is_some_and(|tag| tag.matches_strongly(current))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selections() {
        use Selection::{Part, Unsatisfiable, Whole};
        for (field, value_bytes, want) in [
            ("bytes=0-0", 10, Part(0..1)),
            ("bytes=0-9", 10, Part(0..10)),
            ("bytes=3-", 10, Part(3..10)),
            ("bytes=3-99", 10, Part(3..10)),
            ("bytes=0-18446744073709551615", 10, Part(0..10)),
            ("bytes=0-99999999999999999999999", 10, Part(0..10)),
            ("bytes=-3", 10, Part(7..10)),
            ("bytes=-10", 10, Part(0..10)),
            ("bytes=-99999999999999999999999", 10, Part(0..10)),
            ("BYTES= 1-2\t", 10, Part(1..3)),
            ("bytes=10-", 10, Unsatisfiable),
            ("bytes=10-11", 10, Unsatisfiable),
            ("bytes=99999999999999999999999-", 10, Unsatisfiable),
            ("bytes=-0", 10, Unsatisfiable),
            ("bytes=2-1", 10, Whole),
            ("bytes=-", 10, Whole),
            ("bytes=", 10, Whole),
            ("bytes", 10, Whole),
            ("", 10, Whole),
            ("bytes=1-2,4-5", 10, Whole),
            ("bytes=a-b", 10, Whole),
            ("bytes=+1-2", 10, Whole),
            ("bytes=1 - 2", 10, Whole),
            ("bytes =1-2", 10, Whole),
            ("bytes=--1", 10, Whole),
            ("bytes=0x1-2", 10, Whole),
            ("lines=1-2", 10, Whole),
            ("bytes=0-", 0, Whole),
            ("bytes=-1", 0, Whole),
            ("bytes=18446744073709551614-", u64::MAX, Part(u64::MAX - 1..u64::MAX)),
        ] {
            assert_eq!(select(field.as_bytes(), value_bytes), want, "{field:?} of {value_bytes}");
        }
    }

    #[test]
    fn if_range() {
        for (field, holds) in [
            ("\"7\"", true),
            ("\"8\"", false),
            ("W/\"7\"", false),
            ("7", false),
            ("\"7\", \"8\"", false),
            ("Sun, 06 Nov 1994 08:49:37 GMT", false),
            ("", false),
        ] {
            let (strong, weak) = (EntityTag::strong(b"7").unwrap(), EntityTag::weak(b"7").unwrap());
            assert_eq!(if_range_holds(field.as_bytes(), strong), holds, "{field:?}");
            assert!(!if_range_holds(field.as_bytes(), weak), "{field:?}");
        }
    }
}
