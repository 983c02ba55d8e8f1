//! Versions of the index's roots: how a reader on another thread knows that what it has read belongs together.
//!
//! ```text
//!  writer                                   reader
//!  version += 1 (odd), fence release        version (acquire), even, else try later
//!  change root, slots                       read root, slots and the record they lead to, word by word
//!  version += 1 (even, release)             fence acquire; version as before? then it was one moment's
//! ```
//!
//! A slot is changed before the memory it led to is written again, so a version that has not moved vouches for the record as
//! well as for the slot: whoever reads a word of the later record sees the version that came before it. There need be no
//! version of segments. A record is written before a slot leads to it. The same holds of a root and its page.
//!
//! **Not** waiting: a reader that meets a change gives up, and asks the owner after a second try.
//!
//! **Invariants**: one writer; odd means that a change is under way.
//!
//! **Source**: Boehm, "Can seqlocks get along with programming language memory models?", MSPC 2012. The model below
//! checks the protocol.

use crate::sync::{AtomicU64, Ordering, fence};

/// The versions of all roots.
#[derive(Debug)]
pub(super) struct Versions(Box<[AtomicU64]>);

/// A version that a reader has seen, even.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen(u64);

impl Versions {
    /// Of `roots` roots, at least one.
    #[must_use]
    pub(super) fn new(roots: usize) -> Self {
        Self((0..roots).map(|_| AtomicU64::new(0)).collect())
    }

    /// Begins a change of a root, its page, or what its slots lead to. The writer only.
    #[inline]
    pub(super) fn begin(&self, root: usize) {
        let version = self.0[root].load(Ordering::Relaxed);
        debug_assert!(version.is_multiple_of(2), "one change at a time");
        self.0[root].store(version + 1, Ordering::Relaxed);
        // What is changed from here on is not seen without the odd version.
        fence(Ordering::Release);
    }

    /// Ends the change. The writer only.
    #[inline]
    pub(super) fn end(&self, root: usize) {
        let version = self.0[root].load(Ordering::Relaxed);
        debug_assert!(!version.is_multiple_of(2), "a change was begun");
        self.0[root].store(version + 1, Ordering::Release);
    }

    /// Begins to read by way of a root; `None` while it is being changed.
    #[inline]
    #[must_use]
    pub(super) fn read(&self, root: usize) -> Option<Seen> {
        let version = self.0[root].load(Ordering::Acquire);
        version.is_multiple_of(2).then_some(Seen(version))
    }

    /// Whether everything that was read since [`Versions::read`] is of one moment.
    #[inline]
    #[must_use]
    pub(super) fn is_unchanged(&self, root: usize, seen: Seen) -> bool {
        fence(Ordering::Acquire);
        self.0[root].load(Ordering::Relaxed) == seen.0
    }
}

/// The protocol under every interleaving and reordering that the memory model allows: `cargo xtask test` runs it with
/// `RUSTFLAGS="--cfg loom"`.
#[cfg(all(test, loom))]
mod loom_model {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    /// A root, two places for its page, which is one slot, and two records of two words, which say the same.
    struct Memory {
        versions: Versions,
        root: AtomicU64,
        pages: [AtomicU64; 2],
        records: [[AtomicU64; 2]; 2],
    }

    impl Memory {
        /// The root leads to the first page, the slot there to the first record, which holds 1.
        fn new() -> Self {
            let word = AtomicU64::new;
            let records = [[word(1), word(1)], [word(0), word(0)]];
            Self { versions: Versions::new(1), root: word(0), pages: [word(1), word(0)], records }
        }

        fn write(&self, record: usize, value: u64) {
            self.records[record].iter().for_each(|word| word.store(value, Ordering::Relaxed));
        }

        fn lead_to(&self, slot: u64) {
            self.versions.begin(0);
            // As for an overwrite: the old one goes, then the new one comes.
            self.pages[0].store(0, Ordering::Relaxed);
            if slot != 0 {
                self.pages[0].store(slot, Ordering::Relaxed);
            }
            self.versions.end(0);
        }

        /// Moves the page to the other place, and uses its old one for the page of another root: one whose slot leads to the
        /// second record. The planted bugs do without a part of it.
        fn move_page(&self, bug: Bug) {
            let reuse = || self.pages[0].store(2, Ordering::Relaxed);
            if bug == Bug::ReusedTooEarly {
                reuse();
            }
            self.pages[1].store(1, Ordering::Relaxed);
            if bug == Bug::WithoutVersion {
                self.root.store(1, Ordering::Relaxed);
            } else {
                self.versions.begin(0);
                self.root.store(1, Ordering::Relaxed);
                self.versions.end(0);
            }
            reuse();
        }

        /// `None`: it changed. Else what the record says, or 0 where there is none.
        fn read(&self) -> Option<(u64, u64)> {
            let seen = self.versions.read(0)?;
            let page = self.root.load(Ordering::Relaxed) as usize;
            let slot = self.pages[page].load(Ordering::Relaxed) as usize;
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

    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Bug {
        None,
        ReusedTooEarly,
        WithoutVersion,
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

    /// Growth, shrinking and moving are alike for a reader: a new page, then the root, then the old page's memory is used again.
    #[test]
    fn loom_a_page_that_moves_leads_to_the_same_record() {
        for readers in [1, 2] {
            check(readers, |memory| memory.move_page(Bug::None), |words| words == (1, 1));
        }
    }

    /// A page moves; then its item goes, and its record is written again.
    #[test]
    fn loom_an_item_that_goes_after_its_page_moved_is_not_taken_for_another() {
        let write = |memory: &Memory| {
            memory.move_page(Bug::None);
            memory.versions.begin(0);
            memory.pages[1].store(0, Ordering::Relaxed);
            memory.versions.end(0);
            memory.write(0, 7);
        };
        check(1, write, |words| words == (1, 1) || words == (0, 0));
    }

    /// The planted bug: the memory of a page is used again before the root has changed.
    #[test]
    #[should_panic(expected = "not of one moment")]
    fn loom_a_page_whose_memory_is_used_again_too_early_is_found() {
        check(1, |memory| memory.move_page(Bug::ReusedTooEarly), |words| words == (1, 1));
    }

    /// The planted bug: the root changes, and its version does not.
    #[test]
    #[should_panic(expected = "not of one moment")]
    fn loom_a_root_that_changes_without_its_version_is_found() {
        check(1, |memory| memory.move_page(Bug::WithoutVersion), |words| words == (1, 1));
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
