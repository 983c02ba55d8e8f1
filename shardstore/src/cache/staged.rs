//! Storing a large value slice by slice, so that others get their turn in between.
//!
//! ```text
//!  stage ──▶ stage_slice ──▶ … ──▶ link_staged        the key shows the value from here on
//!                 │                                   segments: Filling ──▶ Sealed, and the last one open again
//!                 └─ no room, or not wanted any more ──▶ abandon_staged     segments: Filling ──▶ free
//! ```
//!
//! The value has segments of its own, which nothing else writes to or reclaims; the first may be the open one of its stream, from
//! where that was written to. Its records are chained as those of any large value ([`super::append`]).
//!
//! **Not**: how many values are staged at once, or for how long; conditions. The caller decides all that.
//!
//! **Invariants**: a call copies at most [`SLICE_BYTES_MAX`] and reclaims for about [`RECLAIM_UNITS`]; what is staged cannot be
//! looked up, read in place, evicted or moved; the free segments that reclaiming keeps ahead of need are left to others as long as
//! anything can be reclaimed.
//!
//! **Source**: docs/engine.md, "Large values".

use super::append::{EXTENT_BYTES_MIN, ItemLayout, Stream};
use super::item::{self, EXTENT_HEADER_BYTES, Extent, Location, padded};
use super::segments::{SegmentId, State};
use super::ttl::TtlGroup;
use super::{Cache, CacheError, Insert, Inserted, Reason};
use crate::key::KeyHash;

/// Most bytes of a value that one call copies: some 30 microseconds, and twice that into memory that is touched for the first time.
pub const SLICE_BYTES_MAX: usize = 128 * 1024;

/// Work units (see [`Cache::maintain`]) after which a call that reclaims memory for a value leaves the rest to the next one: some 100
/// microseconds.
const RECLAIM_UNITS: u64 = 128;

/// A value that is being stored. Hand it back to its cache: [`Cache::link_staged`] or [`Cache::abandon_staged`]; the memory of one
/// that is dropped instead is lost.
#[derive(Debug)]
#[must_use = "the memory of a staged item comes back only if it is linked or abandoned"]
pub struct StagedItem {
    hash: KeyHash,
    stream: Stream,
    frequency: u64,
    /// Bytes in front of the value.
    front_bytes: usize,
    value_bytes: usize,
    copied_bytes: usize,
    chain: Option<Chain>,
}

impl StagedItem {
    /// Bytes of the value that have been copied.
    #[must_use]
    pub const fn copied_bytes(&self) -> usize {
        self.copied_bytes
    }

    /// Whether all of the value has been copied.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.copied_bytes == self.value_bytes
    }
}

/// The records that a staged item has so far.
#[derive(Clone, Copy, Debug)]
struct Chain {
    head: Location,
    /// Bytes of the head's record.
    head_bytes: usize,
    last: Location,
    /// Where the next byte goes, and how many more fit into the last record.
    at: usize,
    room: usize,
}

impl Cache {
    /// Begins to store an item whose value lies in several pieces; of `insert.value` only the length counts, and version, expiry and
    /// checksum may be others when it is linked.
    ///
    /// # Errors
    ///
    /// As [`Cache::insert`], but [`CacheError::NoRoom`].
    ///
    /// # Panics
    ///
    /// When the value is so small that it lies in one piece: up to an eighth of a segment, 32 KiB at most.
    pub fn stage(
        &mut self,
        hash: KeyHash,
        key: &[u8],
        insert: &Insert<'_>,
        now_ms: u64,
    ) -> Result<StagedItem, CacheError> {
        debug_assert_eq!(hash, self.hasher.hash(key), "the hash is the cluster's, over the whole key");
        let head = self.head_of(key, insert)?;
        let before = self.find(hash, key);
        let admission = self.admission(hash, before.as_ref());
        let ItemLayout::Chained { front, value, stream } = self.plan(&head, admission.queue, now_ms) else {
            panic!("a value in one piece is inserted");
        };
        Ok(StagedItem {
            hash,
            stream,
            frequency: admission.frequency,
            front_bytes: front,
            value_bytes: value,
            copied_bytes: 0,
            chain: None,
        })
    }

    /// Copies the next bytes of a value: `rest` is what has not been copied, or its beginning. Returns how many were copied; 0 when
    /// the call has reclaimed memory instead.
    ///
    /// # Errors
    ///
    /// [`CacheError::NoRoom`]: nothing can be reclaimed; abandon the item, or try again later.
    pub fn stage_slice(&mut self, staged: &mut StagedItem, rest: &[u8], now_ms: u64) -> Result<usize, CacheError> {
        self.latest_ms = now_ms;
        let units_max = self.counters.work_units + RECLAIM_UNITS;
        let mut slice = &rest[..rest.len().min(SLICE_BYTES_MAX)];
        assert!(slice.len() <= staged.value_bytes - staged.copied_bytes, "a value is as long as it was said to be");
        let mut copied = 0;
        while !slice.is_empty() {
            if staged.chain.is_none_or(|chain| chain.room == 0) {
                match self.add_record(staged, units_max, now_ms) {
                    Ok(true) => {}
                    // The next call says so.
                    Err(error) if copied == 0 => return Err(error),
                    Ok(false) | Err(_) => break,
                }
            }
            let chain = staged.chain.as_mut().expect("a record was added");
            let (here, after) = slice.split_at(chain.room.min(slice.len()));
            self.arena.write(chain.at, here);
            (chain.at, chain.room) = (chain.at + here.len(), chain.room - here.len());
            (slice, copied) = (after, copied + here.len());
            staged.copied_bytes += here.len();
        }
        self.counters.staged_bytes += copied as u64;
        self.pace_upkeep(copied);
        Ok(copied)
    }

    /// Shows an item whose value has been copied, in place of the one with the same key. `insert` as [`Cache::stage`] had it, but for
    /// version, expiry and checksum.
    ///
    /// # Panics
    ///
    /// When bytes of the value are missing, or the key or the lengths are others.
    #[expect(clippy::needless_pass_by_value, reason = "an item is handed back once")]
    pub fn link_staged(&mut self, staged: StagedItem, key: &[u8], insert: &Insert<'_>, now_ms: u64) -> Inserted {
        let StagedItem { hash, stream, frequency, front_bytes, value_bytes, copied_bytes, chain } = staged;
        let head = self.head_of(key, insert).expect("it was staged");
        let chain = chain.expect("a large value has records");
        assert!(copied_bytes == value_bytes && head.value_len as usize == value_bytes, "the value is there as a whole");
        assert_eq!(head.bytes(true), front_bytes, "key and metadata are as long as they were");
        self.latest_ms = now_ms;
        let link = self.arena.load(item::link_at(chain.head));
        head.write(&mut self.arena, chain.head, Some(link));
        self.settle(stream, &chain, insert.expire_ms);
        let old = self.find(hash, key);
        let replaced = old.and_then(|(_, item)| (!item.is_expired(now_ms)).then_some(item.version));
        // For readers the key is never absent in between.
        self.index.begin(hash.index());
        if let Some((slot, item)) = old {
            self.remove_item(slot, &item, if replaced.is_none() { Reason::Expired } else { Reason::Replaced });
        }
        self.link(hash, chain.head, frequency);
        self.index.end();
        self.counters.inserts += 1;
        Inserted { replaced }
    }

    /// Gives the memory of an item back that is not to be stored after all.
    #[expect(clippy::needless_pass_by_value, reason = "an item is handed back once")]
    pub fn abandon_staged(&mut self, staged: StagedItem) {
        let StagedItem { stream, value_bytes, chain, .. } = staged;
        let Some(chain) = chain else { return };
        let fixed = self.is_fixed(value_bytes);
        let (_, mut next) = item::split_link(self.arena.load(item::link_at(chain.head)));
        while next != Location::NONE {
            let extent = Extent::load(&self.arena, next);
            let id = self.forget_staged(next, extent.record_bytes(), fixed);
            self.release(id);
            next = extent.run.next;
        }
        item::write_dead(&mut self.arena, chain.head, chain.head_bytes);
        let id = self.forget_staged(chain.head, chain.head_bytes, fixed);
        if self.segments.at(id).live_records == 0 {
            self.release(id);
        } else {
            self.reopen(stream, id);
        }
    }

    fn forget_staged(&mut self, location: Location, bytes: usize, fixed: bool) -> SegmentId {
        let id = self.arena.segment_of(location.at());
        self.segments.at_mut(id).forget_record(bytes, fixed);
        self.counters.bytes_live -= bytes as u64;
        id
    }

    /// Adds a record to the chain, in a segment of its own; `false` when memory has to be reclaimed first, and the call has done its
    /// part of that.
    fn add_record(&mut self, staged: &mut StagedItem, units_max: u64, now_ms: u64) -> Result<bool, CacheError> {
        let rest = staged.value_bytes - staged.copied_bytes;
        let fixed = self.is_fixed(staged.value_bytes);
        let Some(chain) = &mut staged.chain else {
            let least = padded(staged.front_bytes + rest.min(EXTENT_BYTES_MIN));
            let Some(id) = self.first_segment(staged.stream, least, units_max, now_ms)? else { return Ok(false) };
            let here = rest.min(self.room_in(id) - staged.front_bytes);
            let head_bytes = padded(staged.front_bytes + here);
            let head = self.claim_in(id, head_bytes, fixed);
            // The rest of the head is written when it is linked.
            self.arena.store(item::link_at(head), item::link(here, Location::NONE));
            staged.chain = Some(Chain { head, head_bytes, last: head, at: head.at() + staged.front_bytes, room: here });
            return Ok(true);
        };
        let Some(id) = self.segment_to_fill(staged.stream, units_max, now_ms)? else { return Ok(false) };
        let here = rest.min(self.geometry.extent_payload());
        let extent = self.claim_in(id, padded(EXTENT_HEADER_BYTES + here), fixed);
        let at = item::write_extent(&mut self.arena, extent, chain.head, here);
        item::set_next(&mut self.arena, chain.last, chain.last == chain.head, extent);
        *chain = Chain { last: extent, at, room: here, ..*chain };
        Ok(true)
    }

    /// The segment for the head of a chain: the open one of its stream, if that has room for `least` bytes.
    fn first_segment(
        &mut self,
        stream: Stream,
        least: usize,
        units_max: u64,
        now_ms: u64,
    ) -> Result<Option<SegmentId>, CacheError> {
        if self.room(stream) < least {
            return self.segment_to_fill(stream, units_max, now_ms);
        }
        let open = self.open[stream.index()].take();
        open.iter().for_each(|id| self.segments.set_state(*id, State::Filling));
        Ok(open)
    }

    /// A free segment for a value that is staged; `None` when there is none to spare and the call's work is done.
    fn segment_to_fill(
        &mut self,
        stream: Stream,
        units_max: u64,
        now_ms: u64,
    ) -> Result<Option<SegmentId>, CacheError> {
        let spare = self.geometry.reserve();
        if self.free() <= spare {
            self.reap();
        }
        while self.free() <= spare {
            if self.counters.work_units >= units_max {
                return Ok(None);
            }
            if self.drain_once(now_ms).is_none() {
                break;
            }
        }
        // The last one is left to what is small.
        if self.free() < 2 {
            return Err(CacheError::NoRoom);
        }
        let id = self.segments.open_free(stream.queue(), TtlGroup::LARGE).expect("some are free");
        self.mark(id, self.latest_ms, stream.queue());
        self.segments.set_state(id, State::Filling);
        Ok(Some(id))
    }

    /// Makes the segments of a chain that is whole like those of any other.
    fn settle(&mut self, stream: Stream, chain: &Chain, expire_ms: u64) {
        let (_, mut next) = item::split_link(self.arena.load(item::link_at(chain.head)));
        let (mut location, mut bytes) = (chain.head, chain.head_bytes);
        loop {
            self.note_expiry_at(location, expire_ms, bytes);
            let id = self.arena.segment_of(location.at());
            if next == Location::NONE {
                return self.reopen(stream, id);
            }
            self.seal(id);
            let extent = Extent::load(&self.arena, next);
            (location, bytes, next) = (next, extent.record_bytes(), extent.run.next);
        }
    }

    /// Lets a stream go on in a segment that a value has filled in part, if that has more room than the one it has now.
    fn reopen(&mut self, stream: Stream, id: SegmentId) {
        if id >= self.geometry.target || self.room_in(id) <= self.room(stream) {
            return self.seal(id);
        }
        self.segments.set_state(id, State::Open);
        if let Some(other) = self.open[stream.index()].replace(id) {
            self.seal(other);
        }
    }
}
