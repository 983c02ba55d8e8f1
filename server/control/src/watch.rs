//! Whether a file is another one than the one that was read: compared by time of change, length and inode.
//!
//! ```text
//!  look:   same mark as read ───────────────▶ Same
//!          another mark, for the first time ─▶ Changing   (somebody may still be writing it)
//!          that mark for the second time ────▶ Changed    (read it; the mark counts as read)
//!          no file ─────────────────────────▶ Gone        (keep what was read)
//! ```
//!
//! **Not** I/O: the caller calls `stat`, once a second, on the control thread. Not a promise about content: what is read is
//! parsed and checked as if it were new, and what was in use stays when it is refused.
//!
//! **Invariants**: a file that is written in place is not read before it has kept still for one look; one change is reported
//! once, also when what it brought is refused.
//!
//! **Source**: stat(2). Renaming a new file over the old one changes the inode, writing in place the time of change.

use std::{fs::Metadata, os::unix::fs::MetadataExt};

/// What tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mark {
    /// Time of the last change of its content, in nanoseconds of Unix time.
    pub modified_ns: i128,
    /// Its length.
    pub length_bytes: u64,
    /// Its inode.
    pub inode: u64,
}

impl From<&Metadata> for Mark {
    fn from(metadata: &Metadata) -> Self {
        let modified_ns = i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
        Self { modified_ns, length_bytes: metadata.len(), inode: metadata.ino() }
    }
}

/// What a look at a file has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// It is the file that was read.
    Same,
    /// It is another, perhaps not yet whole; look again.
    Changing,
    /// It is another and keeps still; read it now.
    Changed,
    /// There is none, or it cannot be looked at.
    Gone,
}

/// A watch on one file.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    read: Option<Mark>,
    seen: Option<Mark>,
}

impl Watch {
    /// A watch on a file that was read when it looked like `mark`; `None` when there was none. Take the mark before
    /// reading, so that a change while reading is seen by the next look.
    #[must_use]
    pub fn new(mark: Option<Mark>) -> Self {
        Self { read: mark, seen: mark }
    }

    /// Judges what `stat` has just said; `None` when it failed.
    pub fn look(&mut self, mark: Option<Mark>) -> Sight {
        let kept_still = self.seen == mark;
        self.seen = mark;
        let Some(mark) = mark else { return Sight::Gone };
        if self.read == Some(mark) {
            return Sight::Same;
        }
        if !kept_still {
            return Sight::Changing;
        }
        self.read = Some(mark);
        Sight::Changed
    }

    /// Notes that the file was read for another reason, when it looked like `mark`: on SIGHUP.
    pub fn note_read(&mut self, mark: Option<Mark>) {
        *self = Self::new(mark);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_reported_once_it_keeps_still_and_once_only() {
        let mark = |modified_ns, length_bytes, inode| Some(Mark { modified_ns, length_bytes, inode });
        let first = mark(1, 10, 7);
        let mut watch = Watch::new(first);
        let looks = [
            (first, Sight::Same),
            (mark(2, 10, 7), Sight::Changing),
            (mark(2, 12, 7), Sight::Changing),
            (mark(2, 12, 7), Sight::Changed),
            (mark(2, 12, 7), Sight::Same),
            (mark(2, 12, 8), Sight::Changing),
            (mark(2, 12, 8), Sight::Changed),
            (None, Sight::Gone),
            (None, Sight::Gone),
            (mark(2, 12, 8), Sight::Same),
            (None, Sight::Gone),
            (mark(3, 12, 8), Sight::Changing),
            (mark(3, 12, 8), Sight::Changed),
            (mark(1, 10, 7), Sight::Changing),
            (mark(3, 12, 8), Sight::Same),
        ];
        for (index, (mark, expected)) in looks.into_iter().enumerate() {
            assert_eq!(watch.look(mark), expected, "look {index} at {mark:?}");
        }
    }

    #[test]
    fn a_file_that_comes_later_is_a_change() {
        let mark = Some(Mark { modified_ns: 1, length_bytes: 1, inode: 1 });
        let mut watch = Watch::new(None);
        assert_eq!(
            [watch.look(None), watch.look(mark), watch.look(mark)],
            [Sight::Gone, Sight::Changing, Sight::Changed]
        );
        let other = Some(Mark { modified_ns: 2, length_bytes: 1, inode: 1 });
        watch.note_read(other);
        assert_eq!(watch.look(other), Sight::Same, "it was read on request");
    }

    #[test]
    fn marks_tell_files_apart() {
        let of = |file: &str| Mark::from(&std::fs::metadata(file).unwrap());
        let other = of("src/watch.rs");
        assert_ne!(of("Cargo.toml"), other);
        assert_eq!(other.length_bytes, include_str!("watch.rs").len() as u64);
        assert!(other.modified_ns > 1_500_000_000 * 1_000_000_000);
    }
}
