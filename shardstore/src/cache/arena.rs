//! The arena: one memfd mapped once, in 2 MiB chunks, addressed by byte offsets.
//!
//! ```text
//!  0            2 MiB          4 MiB                     reserved address space
//!  ├── chunk 0 ──┼── chunk 1 ──┼── … ──┤ (not committed: no memory, never touched)
//!  │ seg │ seg │ … of 64 or 256 KiB
//! ```
//!
//! The whole address range a shard may ever grow to is mapped at the start and costs nothing until it is written; a
//! chunk's memory is given back by punching a hole in the memfd. Offsets only, no pointers are stored, so that the memfd
//! can be handed to a successor process.
//!
//! **Not**: what lies in a segment (that is `item`), which segments are in use (that is `segments`). No hugetlbfs pages yet:
//! transparent huge pages are asked for, and the kernel decides.
//!
//! **Invariants**, which the SAFETY comments lean on:
//! 1. The memory is mapped for reads and writes until its last handle is dropped.
//! 2. No `&mut [u8]` into the mapping is ever made, and every access checks its bounds.
//! 3. Bytes inside a range that [`Mapping::bytes`] lent out do not change while it is lent: [`Arena`] writes need `&mut`,
//!    which ends all loans made through the cache; a `Pinned` value outlives those, and is covered by the count of its segment
//!    (a segment is rewritten only at count 0) and by starting behind the header words, the only words rewritten in place.
//! 4. [`Arena`] and [`Mapping`] are neither `Sync` nor `Send`: one thread writes. Other threads read through [`Memory`], word
//!    by word and atomically, and every write is of words and atomic: so the owner's reads, which need not be, meet no write,
//!    and the others' no write that is not atomic.
//!
//! **Source**: memfd_create(2).

#[cfg(miri)]
mod heap;
#[cfg(not(miri))]
mod mapped;
mod memory;

use std::cell::Cell;
use std::io;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

pub(super) use memory::Memory;

/// Bytes of a chunk, the unit in which a shard's memory grows and shrinks: one huge page of x86-64 and of arm64.
pub(super) const CHUNK_BYTES: usize = 2 << 20;

/// Bytes of a word; every record and every index slot is made of words.
pub(super) const WORD_BYTES: usize = 8;

/// Cache lines asked for behind the first one of an item: with it, 320 bytes, which most items fit in.
const LINES_AHEAD: usize = 4;

/// Words of one index bucket: a cache line of 64 bytes.
pub(super) const LINE_WORDS: usize = 8;

/// The owner's view of the memory, shared by the cache and by the values it has pinned; reads only.
#[derive(Debug)]
pub(super) struct Mapping {
    memory: Arc<Memory>,
    segment_shift: u32,
    /// Pins per segment.
    holds: Box<[Cell<u32>]>,
    /// Segments with at least one pin.
    held_segments: Cell<u32>,
    /// Most segments that may be pinned at once.
    held_segments_max: Cell<u32>,
    /// Pins refused at the bound.
    refused: Cell<u64>,
}

impl Mapping {
    /// The segment that the byte at offset `at` lies in.
    #[inline]
    pub(super) const fn segment_of(&self, at: usize) -> u32 {
        (at >> self.segment_shift) as u32
    }

    /// Asks for the cache line at byte offset `at`. Anything may be asked for; it has no effect but on time.
    #[inline(always)]
    pub(super) fn prefetch(&self, at: usize) {
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            let line = self.memory.base().wrapping_add(at);
            // SAFETY: a prefetch reads nothing that could be wrong, whatever the address.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(line.cast_const().cast()) };
        }
        #[cfg(not(all(target_arch = "x86_64", not(miri))))]
        let _ = at;
    }

    /// Asks for the cache lines behind the one at byte offset `at`, which are needed as soon as it has come: asked for together they
    /// take little longer than one.
    #[inline(always)]
    pub(super) fn prefetch_behind(&self, at: usize) {
        (1..=LINES_AHEAD).for_each(|line| self.prefetch(at + line * LINE_WORDS * WORD_BYTES));
    }

    /// Asks for the cache lines of an item at byte offset `at`.
    #[inline(always)]
    pub(super) fn prefetch_item(&self, at: usize) {
        self.prefetch(at);
        self.prefetch_behind(at);
    }

    /// Reads the word at byte offset `at`.
    ///
    /// # Panics
    ///
    /// When `at` is not a multiple of 8 or lies outside the mapping.
    #[inline]
    pub(super) fn load(&self, at: usize) -> u64 {
        self.check(at, WORD_BYTES);
        assert!(at.is_multiple_of(WORD_BYTES), "words are aligned");
        // SAFETY: in bounds and aligned by the two checks above (the base is page-aligned); memory of a memfd is always
        // initialised; one thread only (invariants 1 and 4).
        unsafe { self.memory.base().add(at).cast::<u64>().read() }
    }

    /// Reads `N` words from byte offset `at` on.
    ///
    /// # Panics
    ///
    /// When `at` is not a multiple of 8 or a word lies outside the mapping.
    #[inline]
    pub(super) fn words<const N: usize>(&self, at: usize) -> [u64; N] {
        self.check(at, N * WORD_BYTES);
        assert!(at.is_multiple_of(WORD_BYTES), "words are aligned");
        // SAFETY: as in `load`; an array of words has the alignment of a word.
        unsafe { self.memory.base().add(at).cast::<[u64; N]>().read() }
    }

    /// Reads the cache line at byte offset `at`.
    ///
    /// # Panics
    ///
    /// When `at` is not a multiple of 64 or lies outside the mapping.
    #[inline]
    pub(super) fn line(&self, at: usize) -> [u64; LINE_WORDS] {
        assert!(at.is_multiple_of(LINE_WORDS * WORD_BYTES), "lines are aligned");
        self.words(at)
    }

    /// Lends `len` bytes at byte offset `at`.
    ///
    /// # Panics
    ///
    /// When the range lies outside the mapping.
    #[inline]
    pub(super) fn bytes(&self, at: usize, len: usize) -> &[u8] {
        self.check(at, len);
        // SAFETY: in bounds by the check, initialised because it is a memfd, and unchanged while lent by invariant 3.
        unsafe { std::slice::from_raw_parts(self.memory.base().add(at), len) }
    }

    /// Pins of a segment.
    #[inline]
    pub(super) fn holds(&self, segment: u32) -> u32 {
        self.holds[segment as usize].get()
    }

    /// Segments that have at least one pin.
    pub(super) fn held_segments(&self) -> u32 {
        self.held_segments.get()
    }

    /// Pins refused because too many segments were pinned.
    pub(super) fn refused(&self) -> u64 {
        self.refused.get()
    }

    /// Whether `count` more segments may become pinned; a refusal is counted.
    pub(super) fn may_hold(&self, count: u32) -> bool {
        let allowed = self.held_segments.get() + count <= self.held_segments_max.get();
        if !allowed {
            self.refused.set(self.refused.get() + 1);
        }
        allowed
    }

    /// Adds one pin to a segment.
    pub(super) fn pin(&self, segment: u32) {
        let count = &self.holds[segment as usize];
        if count.get() == 0 {
            self.held_segments.set(self.held_segments.get() + 1);
        }
        count.set(count.get() + 1);
    }

    /// Takes one pin off a segment.
    ///
    /// # Panics
    ///
    /// When the segment has none.
    pub(super) fn unpin(&self, segment: u32) {
        let count = &self.holds[segment as usize];
        count.set(count.get().checked_sub(1).expect("a pin is released once"));
        if count.get() == 0 {
            self.held_segments.set(self.held_segments.get() - 1);
        }
    }

    /// The memory as other threads read it.
    pub(super) const fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    #[inline]
    fn check(&self, at: usize, len: usize) {
        self.memory.check(at, len);
    }
}

/// Whether the kernel maps `bytes` bytes of address space so many times, all at once; given back at once.
///
/// # Errors
///
/// As [`Arena::reserve`].
pub(super) fn try_reserve(bytes: usize, count: usize) -> io::Result<()> {
    (0..count).map(|_| Memory::reserve(bytes)).collect::<io::Result<Vec<_>>>().map(drop)
}

/// The one writer of a mapping.
#[derive(Debug)]
pub(super) struct Arena {
    mapping: Rc<Mapping>,
}

impl Arena {
    /// Maps `bytes_max` bytes of address space (a multiple of [`CHUNK_BYTES`]) without committing any memory.
    ///
    /// # Errors
    ///
    /// What the kernel said: too many files, or too little address space (RLIMIT_AS). The operator is at fault.
    pub(super) fn reserve(bytes_max: usize, segment_shift: u32) -> io::Result<Self> {
        assert!(bytes_max > 0 && bytes_max.is_multiple_of(CHUNK_BYTES), "the arena is made of chunks");
        let memory = Arc::new(Memory::reserve(bytes_max)?);
        let segments = bytes_max >> segment_shift;
        let mapping = Mapping {
            memory,
            segment_shift,
            holds: vec![Cell::new(0); segments].into_boxed_slice(),
            held_segments: Cell::new(0),
            held_segments_max: Cell::new(0),
            refused: Cell::new(0),
        };
        Ok(Self { mapping: Rc::new(mapping) })
    }

    /// A handle that keeps the mapping alive; for pinned values.
    pub(super) const fn mapping(&self) -> &Rc<Mapping> {
        &self.mapping
    }

    /// Memory the kernel has committed to the memfd, in bytes.
    #[cfg(test)]
    pub(super) fn resident_bytes(&self) -> u64 {
        self.mapping.memory.backing().resident_bytes()
    }

    /// Sets how many segments may be pinned at once.
    pub(super) fn limit_holds(&self, segments_max: u32) {
        self.mapping.held_segments_max.set(segments_max);
    }

    /// Writes the word at byte offset `at`.
    ///
    /// # Panics
    ///
    /// As [`Mapping::load`].
    // `&mut self` ends the cache's loans, and words stored in place are index slots and header words, which no pinned range
    // contains (invariant 3).
    #[inline]
    pub(super) fn store(&mut self, at: usize, word: u64) {
        self.mapping.memory.store(at, word);
    }

    /// Empties the cache lines from byte offset `at` on.
    ///
    /// # Panics
    ///
    /// When the range lies outside the mapping, or is not one of whole words.
    pub(super) fn clear_lines(&mut self, at: usize, lines: usize) {
        for line in 0..lines {
            self.mapping.memory.store_words(at + line * LINE_WORDS * WORD_BYTES, [0; LINE_WORDS]);
        }
    }

    /// Writes bytes at byte offset `at`, in a segment's unwritten part.
    ///
    /// Word by word: another thread may be reading what it takes for the item that was here before, and must get words.
    ///
    /// # Panics
    ///
    /// When the range lies outside the mapping.
    pub(super) fn write(&mut self, at: usize, bytes: &[u8]) {
        self.check(at, bytes.len());
        let (mut word_at, skip) = (at - at % WORD_BYTES, at % WORD_BYTES);
        let mut rest = bytes;
        if skip > 0 {
            let (first, others) = bytes.split_at(bytes.len().min(WORD_BYTES - skip));
            self.merge(word_at, skip, first);
            (word_at, rest) = (word_at + WORD_BYTES, others);
        }
        let (words, tail) = rest.as_chunks::<WORD_BYTES>();
        for word in words {
            self.store(word_at, u64::from_le_bytes(*word));
            word_at += WORD_BYTES;
        }
        if !tail.is_empty() {
            self.merge(word_at, 0, tail);
        }
    }

    /// Writes some bytes of a word.
    fn merge(&mut self, word_at: usize, skip: usize, bytes: &[u8]) {
        let mut word = self.load(word_at).to_le_bytes();
        word[skip..skip + bytes.len()].copy_from_slice(bytes);
        self.store(word_at, u64::from_le_bytes(word));
    }

    /// Copies the words of a record or page of `len` bytes from one segment into another one's unwritten part.
    ///
    /// # Panics
    ///
    /// When a range lies outside the mapping, both lie in one segment, or one does not consist of words.
    pub(super) fn copy(&mut self, from: usize, to: usize, len: usize) {
        self.check(from, len);
        self.check(to, len);
        assert!(self.segment_of(from) != self.segment_of(to), "records move between segments");
        assert!(len.is_multiple_of(WORD_BYTES), "records are made of words");
        let line_bytes = LINE_WORDS * WORD_BYTES;
        let whole = len - len % line_bytes;
        for offset in (0..whole).step_by(line_bytes) {
            self.mapping.memory.store_words::<LINE_WORDS>(to + offset, self.words(from + offset));
        }
        for offset in (whole..len).step_by(WORD_BYTES) {
            self.store(to + offset, self.load(from + offset));
        }
    }

    /// Commits the first chunks of an arena that nothing was written to, each as one huge page if the kernel has one; else it is
    /// committed page by page as it is written.
    ///
    /// At the start of the process: the request overrides `shmem_enabled`, which most systems have at `never`, but a single one
    /// takes up to 5 ms, for all CPUs are waited for. Of many at once, a chunk takes 0.4 ms.
    ///
    /// # Panics
    ///
    /// When the arena has fewer chunks.
    pub(super) fn commit(&mut self, chunks: usize) {
        self.check(0, chunks * CHUNK_BYTES);
        // The request wants a page to be there; nothing was written yet, so it holds zeros.
        (0..chunks).for_each(|chunk| self.store(chunk * CHUNK_BYTES, 0));
        self.mapping.memory.backing().collapse(chunks * CHUNK_BYTES);
    }

    /// Commits what the first chunks lack, in pages of whatever size, so that nothing written there waits for memory.
    ///
    /// # Errors
    ///
    /// The kernel's: it has too little memory, for one. The operator is at fault.
    ///
    /// # Panics
    ///
    /// When the arena has fewer chunks.
    pub(super) fn populate(&mut self, chunks: usize) -> io::Result<()> {
        self.mapping.memory.backing().populate(chunks * CHUNK_BYTES)
    }

    /// Gives the memory of a chunk back to the kernel; the chunk reads as zeros from then on.
    ///
    /// # Panics
    ///
    /// When the chunk is outside the arena, or a segment of it is pinned.
    pub(super) fn discard(&mut self, chunk: usize) {
        let at = chunk * CHUNK_BYTES;
        self.check(at, CHUNK_BYTES);
        let segments = self.segment_of(at)..self.segment_of(at) + (CHUNK_BYTES >> self.segment_shift) as u32;
        assert!(segments.into_iter().all(|s| self.holds(s) == 0), "a pinned segment is not given back");
        self.mapping.memory.backing().discard(chunk);
    }
}

impl Deref for Arena {
    type Target = Mapping;

    #[inline]
    fn deref(&self) -> &Mapping {
        &self.mapping
    }
}
