//! Writes under way on one core, by key.
//!
//! **Not** a lock: writes to one key run at once, and the node puts them in order. This only records whether a write's
//! result may be kept as a local copy.
//!
//! **Invariants**: of writes that overlapped, none is kept: which one the node applied last is not known here.

use std::collections::HashMap;

#[derive(Default)]
struct Entry {
    active: u32,
    overlapped: bool,
}

/// The writes under way of a core.
#[derive(Default)]
pub(crate) struct Writes(HashMap<Box<[u8]>, Entry>);

impl Writes {
    pub(crate) fn begin(&mut self, key: &[u8]) {
        match self.0.get_mut(key) {
            Some(entry) => {
                entry.active += 1;
                entry.overlapped = true;
            }
            None => {
                self.0.insert(key.into(), Entry { active: 1, overlapped: false });
            }
        }
    }

    /// Ends a write. True when it was alone from its beginning to its end.
    pub(crate) fn end(&mut self, key: &[u8]) -> bool {
        let Some(entry) = self.0.get_mut(key) else { return false };
        entry.active -= 1;
        let alone = !entry.overlapped;
        if entry.active == 0 {
            self.0.remove(key);
        }
        alone
    }

    /// Whether no write is under way.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a write to the key is under way, so that an answer read meanwhile may be older than it.
    pub(crate) fn is_writing(&self, key: &[u8]) -> bool {
        self.0.contains_key(key)
    }
}

#[cfg(test)]
mod tests {
    use super::Writes;

    #[test]
    fn only_a_write_that_was_alone_is_kept() {
        let mut writes = Writes::default();
        writes.begin(b"a");
        assert!(writes.is_writing(b"a") && !writes.is_writing(b"b"));
        assert!(writes.end(b"a"));
        assert!(!writes.is_writing(b"a"));

        writes.begin(b"a");
        writes.begin(b"a");
        assert!(!writes.end(b"a"), "overlapped by the second");
        assert!(writes.is_writing(b"a"));
        assert!(!writes.end(b"a"), "began while the first was under way");
        writes.begin(b"a");
        assert!(writes.end(b"a"), "nothing of the earlier ones is left");
    }
}
