//! The order in which releases were current: one digest a line, the latest first.
//!
//! **Invariants**: no digest is there twice. The file is a hint: what is current is said by the link alone, and a digest
//! whose folder is gone is passed over.

use std::path::Path;

use super::disk::{self, FileAccess};
use crate::ReleaseError;
use crate::bundle::read_bounded;
use crate::sum::Sha256Sum;

/// Digests that are remembered; more than are kept, so that a folder that is gone does not matter.
const REMEMBERED: usize = 16;

/// Largest file.
const BYTES_MAX: u64 = 64 * 1024;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct History(Vec<Sha256Sum>);

impl History {
    /// Reads the file; empty without one. Lines that are no digest are passed over.
    pub(super) fn read(path: &Path) -> Result<Self, ReleaseError> {
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = String::from_utf8_lossy(&read_bounded(path, BYTES_MAX)?).into_owned();
        Ok(Self::of(text.lines().filter_map(|line| line.parse().ok())))
    }

    fn of(digests: impl Iterator<Item = Sha256Sum>) -> Self {
        let mut kept: Vec<Sha256Sum> = Vec::new();
        for digest in digests {
            if kept.len() < REMEMBERED && !kept.contains(&digest) {
                kept.push(digest);
            }
        }
        Self(kept)
    }

    /// After an installation: `latest` first, then what it replaced.
    pub(super) fn with_latest(&self, latest: Sha256Sum, replaced: Option<Sha256Sum>) -> Self {
        Self::of([latest].into_iter().chain(replaced).chain(self.all()))
    }

    /// After going back to `returned`: what was left comes last, so that going back again goes further back, and so that it
    /// is the first to be removed.
    pub(super) fn with_returned(&self, returned: Sha256Sum, left: Option<Sha256Sum>) -> Self {
        let left = left.filter(|left| *left != returned);
        let others = self.all().filter(|digest| Some(*digest) != left);
        Self::of([returned].into_iter().chain(others).chain(left))
    }

    pub(super) fn all(&self) -> impl Iterator<Item = Sha256Sum> + '_ {
        self.0.iter().copied()
    }

    /// All but the current one.
    pub(super) fn others(&self, current: Option<Sha256Sum>) -> impl Iterator<Item = Sha256Sum> + '_ {
        self.all().filter(move |digest| Some(*digest) != current)
    }

    pub(super) fn write(&self, path: &Path) -> Result<(), ReleaseError> {
        let text: String = self.0.iter().map(|digest| format!("{digest}\n")).collect();
        disk::replace(path, text.as_bytes(), FileAccess::PUBLIC)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(name: &str) -> Sha256Sum {
        Sha256Sum::of(name.as_bytes())
    }

    fn history(names: &str) -> History {
        History(names.split(' ').filter(|name| !name.is_empty()).map(sum).collect())
    }

    #[test]
    fn installing_puts_first_and_going_back_puts_what_was_left_last() {
        assert_eq!(history("").with_latest(sum("a"), None), history("a"));
        assert_eq!(history("b a").with_latest(sum("c"), Some(sum("b"))), history("c b a"));
        assert_eq!(history("b a").with_latest(sum("a"), Some(sum("b"))), history("a b"));
        assert_eq!(history("c b a").with_returned(sum("b"), Some(sum("c"))), history("b a c"));
        assert_eq!(history("b a c").with_returned(sum("a"), Some(sum("b"))), history("a c b"));
        assert_eq!(history("c b a").with_returned(sum("c"), Some(sum("c"))), history("c b a"));
    }

    #[test]
    fn an_interrupted_installation_is_made_up_for() {
        // The link was switched to c, and the file not written.
        assert_eq!(history("b a").with_latest(sum("d"), Some(sum("c"))), history("d c b a"));
        assert_eq!(history("b a").with_returned(sum("b"), Some(sum("c"))), history("b a c"));
    }
}
