//! Whether files are others than those that were read: compared by time of change, length and inode.
//!
//! ```text
//!  look:   same marks as read ───────────────▶ Same
//!          other marks, for the first time ──▶ Changing   (the file may still be written)
//!          those marks for the second time ──▶ Changed    (read them; the marks count as read)
//!          no file, for the first time ──────▶ Gone       (keep what was read), then Same
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

/// What distinguishes one state of a file from another.
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

/// What a look at the files has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// They are those that were read, or are still gone.
    Same,
    /// They are others, perhaps not yet whole; look again.
    Changing,
    /// They are others and keep still; read them now.
    Changed,
    /// There are none any more, or they cannot be looked at.
    Gone,
}

/// A watch on files that are read together. Marks are those of all that are there, in a fixed order.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    read: Vec<Mark>,
    seen: Vec<Mark>,
}

impl Watch {
    /// A watch on files that were read when they looked like this; empty when there were none. Take the marks before
    /// reading, so that a change while reading is seen by the next look.
    #[must_use]
    pub fn new(marks: Vec<Mark>) -> Self {
        Self { read: marks.clone(), seen: marks }
    }

    /// Judges what `stat` has just said.
    pub fn look(&mut self, marks: Vec<Mark>) -> Sight {
        let kept_still = self.seen == marks;
        let before = std::mem::replace(&mut self.seen, marks);
        if self.seen.is_empty() {
            return if before.is_empty() { Sight::Same } else { Sight::Gone };
        }
        if self.read == self.seen {
            return Sight::Same;
        }
        if !kept_still {
            return Sight::Changing;
        }
        self.read.clone_from(&self.seen);
        Sight::Changed
    }

    /// Notes that the files were read when they looked like this.
    pub fn note_read(&mut self, marks: Vec<Mark>) {
        *self = Self::new(marks);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_reported_once_it_keeps_still_and_once_only() {
        let mark = |modified_ns, length_bytes, inode| vec![Mark { modified_ns, length_bytes, inode }];
        let none = Vec::new;
        let first = mark(1, 10, 7);
        let mut watch = Watch::new(first.clone());
        let looks = [
            (first, Sight::Same),
            (mark(2, 10, 7), Sight::Changing),
            (mark(2, 12, 7), Sight::Changing),
            (mark(2, 12, 7), Sight::Changed),
            (mark(2, 12, 7), Sight::Same),
            (mark(2, 12, 8), Sight::Changing),
            (mark(2, 12, 8), Sight::Changed),
            (none(), Sight::Gone),
            (none(), Sight::Same),
            (mark(2, 12, 8), Sight::Same),
            (none(), Sight::Gone),
            (mark(3, 12, 8), Sight::Changing),
            (mark(3, 12, 8), Sight::Changed),
            (mark(1, 10, 7), Sight::Changing),
            (mark(3, 12, 8), Sight::Same),
        ];
        for (index, (marks, expected)) in looks.into_iter().enumerate() {
            assert_eq!(watch.look(marks.clone()), expected, "look {index} at {marks:?}");
        }
    }

    #[test]
    fn a_file_that_comes_later_is_a_change() {
        let mark = || vec![Mark { modified_ns: 1, length_bytes: 1, inode: 1 }];
        let mut watch = Watch::new(Vec::new());
        assert_eq!(
            [watch.look(Vec::new()), watch.look(mark()), watch.look(mark())],
            [Sight::Same, Sight::Changing, Sight::Changed]
        );
        let other = vec![Mark { modified_ns: 2, length_bytes: 1, inode: 1 }];
        watch.note_read(other.clone());
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
