//! Versions of index pages: how a reader on another thread knows that what it has read belongs together.
//!
//! ```text
//!  writer                                   reader
//!  version += 1 (odd), fence release        version (acquire), even, else try later
//!  change slots                             read slots and the record they lead to, word by word
//!  version += 1 (even, release)             fence acquire; version as before? then it was one moment's
//! ```
//!
//! A slot is changed before the memory it led to is written again, so a version that has not moved vouches for the record as
//! well as for the slot: whoever reads a word of the later record sees the version that came before it. There need be no
//! version of segments. A record is written before a slot leads to it.
//!
//! **Not** waiting: a reader that meets a change gives up, and asks the owner after a second try.
//!
//! **Invariants**: one writer; odd means that a change is under way.
//!
//! **Source**: Boehm, "Can seqlocks get along with programming language memory models?", MSPC 2012. The model below
//! checks the protocol.

use crate::sync::{AtomicU64, Ordering, fence};

/// The versions of all pages.
#[derive(Debug)]
pub(super) struct Versions(Box<[AtomicU64]>);

/// A version that a reader has seen, even.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen(u64);

impl Versions {
    /// Of `pages` pages, at least one.
    #[must_use]
    pub(super) fn new(pages: usize) -> Self {
        Self((0..pages).map(|_| AtomicU64::new(0)).collect())
    }

    /// Begins a change of a page. The writer only.
    #[inline]
    pub(super) fn begin(&self, page: usize) {
        let version = self.0[page].load(Ordering::Relaxed);
        debug_assert!(version.is_multiple_of(2), "one change at a time");
        self.0[page].store(version + 1, Ordering::Relaxed);
        // What is changed from here on is not seen without the odd version.
        fence(Ordering::Release);
    }

    /// Ends the change. The writer only.
    #[inline]
    pub(super) fn end(&self, page: usize) {
        let version = self.0[page].load(Ordering::Relaxed);
        debug_assert!(!version.is_multiple_of(2), "a change was begun");
        self.0[page].store(version + 1, Ordering::Release);
    }

    /// Begins to read a page; `None` while it is being changed.
    #[inline]
    #[must_use]
    pub(super) fn read(&self, page: usize) -> Option<Seen> {
        let version = self.0[page].load(Ordering::Acquire);
        version.is_multiple_of(2).then_some(Seen(version))
    }

    /// Whether everything that was read since [`Versions::read`] is of one moment.
    #[inline]
    #[must_use]
    pub(super) fn is_unchanged(&self, page: usize, seen: Seen) -> bool {
        fence(Ordering::Acquire);
        self.0[page].load(Ordering::Relaxed) == seen.0
    }
}

/// The protocol under every interleaving and reordering that the memory model allows: `cargo xtask test` runs it with
/// `RUSTFLAGS="--cfg loom"`.
#[cfg(all(test, loom))]
mod loom_model {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    /// One page with one slot, and two records of two words, which say the same.
    struct Memory {
        versions: Versions,
        slot: AtomicU64,
        records: [[AtomicU64; 2]; 2],
    }

    impl Memory {
        /// The slot leads to the first record, which holds 1.
        fn new() -> Self {
            let word = AtomicU64::new;
            Self { versions: Versions::new(1), slot: word(1), records: [[word(1), word(1)], [word(0), word(0)]] }
        }

        fn write(&self, record: usize, value: u64) {
            self.records[record].iter().for_each(|word| word.store(value, Ordering::Relaxed));
        }

        fn lead_to(&self, slot: u64) {
            self.versions.begin(0);
            // As for an overwrite: the old one goes, then the new one comes.
            self.slot.store(0, Ordering::Relaxed);
            if slot != 0 {
                self.slot.store(slot, Ordering::Relaxed);
            }
            self.versions.end(0);
        }

        /// `None`: it changed. Else what the record says, or 0 where there is none.
        fn read(&self) -> Option<(u64, u64)> {
            let seen = self.versions.read(0)?;
            let slot = self.slot.load(Ordering::Relaxed) as usize;
            let words = match slot {
                0 => (0, 0),
                slot => {
                    let [first, second] = &self.records[slot - 1];
                    (first.load(Ordering::Relaxed), second.load(Ordering::Relaxed))
                }
            };
            self.versions.is_unchanged(0, seen).then_some(words)
        }
    }

    fn check(readers: usize, write: fn(&Memory), expected: fn((u64, u64)) -> bool) {
        let mut model = loom::model::Builder::new();
        // With one reader, every interleaving; with two there are too many, and these are those with few preemptions.
        model.preemption_bound = (readers > 1).then_some(2);
        model.check(move || {
            let memory = Arc::new(Memory::new());
            let threads: Vec<_> = (0..readers)
                .map(|_| {
                    let memory = Arc::clone(&memory);
                    thread::spawn(move || {
                        if let Some(words) = memory.read() {
                            assert!(expected(words), "not of one moment: {words:?}");
                        }
                    })
                })
                .collect();
            write(&memory);
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        });
    }

    /// Removal or eviction, and the segment is used again.
    #[test]
    fn loom_a_record_that_is_written_again_is_not_taken_for_the_old_one() {
        let write = |memory: &Memory| {
            memory.lead_to(0);
            memory.write(0, 7);
        };
        for readers in [1, 2] {
            check(readers, write, |words| words == (1, 1) || words == (0, 0));
        }
    }

    /// Overwrite or move: the new record first, then the slot; afterwards the old one's memory is used again.
    #[test]
    fn loom_an_overwritten_key_is_never_absent() {
        let write = |memory: &Memory| {
            memory.write(1, 2);
            memory.lead_to(2);
            memory.write(0, 7);
        };
        check(1, write, |words| words == (1, 1) || words == (2, 2));
    }

    /// The planted bug: a segment is used again before the slot has changed.
    #[test]
    #[should_panic(expected = "not of one moment")]
    fn loom_a_segment_that_is_used_again_too_early_is_found() {
        let write = |memory: &Memory| {
            memory.write(0, 7);
            memory.lead_to(0);
        };
        check(1, write, |words| words == (1, 1) || words == (0, 0));
    }
}
