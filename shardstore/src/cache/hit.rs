//! What a lookup lends out: a hit, its value, and the handle that keeps a value in place while it is being sent.
//!
//! **Not**: copying a value unless asked to; counting uses (the cache did that before it made the hit).
//!
//! **Invariants**: a [`Hit`] borrows the cache, so nothing moves under it; a [`Pinned`] does not borrow, and every segment it
//! reads from has a pin of it, which keeps the segment from being written again until the handle is dropped.
//!
//! **Source**: docs/engine.md (pins per segment, capped at 5 % of the shard).

use std::ops::Range;
use std::rc::Rc;

use super::arena::Mapping;
use super::item::{Item, Run};
use crate::version::Version;

/// An item found in the cache. Borrows the cache; pin the value to keep it longer.
#[derive(Clone, Copy, Debug)]
pub struct Hit<'a> {
    mapping: &'a Rc<Mapping>,
    item: Item,
}

impl<'a> Hit<'a> {
    pub(super) const fn new(mapping: &'a Rc<Mapping>, item: Item) -> Self {
        Self { mapping, item }
    }

    /// The version the item was stored with.
    #[inline]
    #[must_use]
    pub const fn version(&self) -> Version {
        self.item.version
    }

    /// The instant from which the item is no longer served, in steady milliseconds; 0 when it never expires.
    #[inline]
    #[must_use]
    pub const fn expire_ms(&self) -> u64 {
        self.item.expire_ms()
    }

    /// CRC-32C of the value, as it was handed in.
    #[inline]
    #[must_use]
    pub const fn value_crc32c(&self) -> u32 {
        self.item.value_crc32c
    }

    /// The caller's flags, as they were handed in (0 to [`super::FLAGS_MAX`]).
    #[inline]
    #[must_use]
    pub const fn flags(&self) -> u8 {
        self.item.caller_flags()
    }

    /// The opaque bytes stored beside the value, 0 to [`super::METADATA_BYTES_MAX`].
    #[inline]
    #[must_use]
    pub fn metadata(&self) -> &'a [u8] {
        self.item.metadata(self.mapping)
    }

    /// The value.
    #[inline]
    #[must_use]
    pub fn value(&self) -> Value<'a> {
        Value { mapping: self.mapping, first: self.item.run(self.mapping), len: self.item.value_len as usize }
    }

    /// Keeps the value in place until the handle is dropped, beyond the borrow of the cache. No allocation.
    ///
    /// `None` when 5 % of the shard is pinned already: then copy the value ([`Value::copy_to`]). A refusal is counted in
    /// [`super::CacheStats::pins_refused`].
    #[must_use]
    pub fn pin(&self) -> Option<Pinned> {
        let value = self.value();
        let fresh = value.runs().filter(|run| self.mapping.holds(self.mapping.segment_of(run.at)) == 0).count();
        if !self.mapping.may_hold(fresh as u32) {
            return None;
        }
        value.runs().for_each(|run| self.mapping.pin(self.mapping.segment_of(run.at)));
        Some(Pinned { mapping: Rc::clone(self.mapping), first: value.first, len: value.len })
    }
}

/// A value in the cache: one slice, or several when it is large. Borrows the cache.
#[derive(Clone, Copy, Debug)]
pub struct Value<'a> {
    mapping: &'a Mapping,
    first: Run,
    len: usize,
}

impl<'a> Value<'a> {
    /// Bytes of the whole value.
    #[inline]
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether the value has no bytes.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The whole value, when it lies in one piece; every value up to an eighth of a segment does.
    #[inline]
    #[must_use]
    pub fn as_slice(&self) -> Option<&'a [u8]> {
        (self.first.len == self.len).then(|| self.mapping.bytes(self.first.at, self.len))
    }

    /// The value's pieces in order; none is empty.
    #[inline]
    #[must_use]
    pub fn pieces(&self) -> Pieces<'a> {
        Pieces { mapping: self.mapping, next: Some(self.first) }
    }

    /// Appends the value to `out`.
    pub fn copy_to(&self, out: &mut Vec<u8>) {
        out.reserve(self.len);
        self.pieces().for_each(|piece| out.extend_from_slice(piece));
    }

    /// Appends the bytes of a range of the value to `out`; what lies beyond the value's end is left out.
    pub fn copy_range_to(&self, range: Range<usize>, out: &mut Vec<u8>) {
        let mut at = 0;
        for piece in self.pieces() {
            let from = range.start.clamp(at, at + piece.len()) - at;
            let to = range.end.clamp(at, at + piece.len()) - at;
            out.extend_from_slice(&piece[from..to]);
            at += piece.len();
            if at >= range.end {
                return;
            }
        }
    }

    fn runs(&self) -> impl Iterator<Item = Run> {
        std::iter::successors(Some(self.first), |run| run.following(self.mapping))
    }
}

/// The pieces of a value, in order.
#[derive(Clone, Debug)]
pub struct Pieces<'a> {
    mapping: &'a Mapping,
    next: Option<Run>,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let run = self.next?;
            self.next = run.following(self.mapping);
            if run.len > 0 {
                return Some(self.mapping.bytes(run.at, run.len));
            }
        }
    }
}

/// A value that stays where it is until this handle is dropped; independent of the cache's borrow and lifetime.
///
/// Stays on its thread (`!Send`): hand the bytes to another core by copying.
#[derive(Debug)]
pub struct Pinned {
    mapping: Rc<Mapping>,
    first: Run,
    len: usize,
}

impl Pinned {
    /// The value.
    #[inline]
    #[must_use]
    pub fn value(&self) -> Value<'_> {
        Value { mapping: &self.mapping, first: self.first, len: self.len }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        self.value().runs().for_each(|run| self.mapping.unpin(self.mapping.segment_of(run.at)));
    }
}
