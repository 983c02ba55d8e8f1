//! The field section that was read last, and what it said: most clients send the same fields with every request.
//!
//! What a field section says depends on its bytes alone. So when the same bytes come again, they are compared, which is a
//! fraction of the work of reading them. One memo serves all connections of a core: services that call with one client
//! library send one section, give or take.
//!
//! **Not**: anything that depends on the request line; that is judged for every head (`Progress::finish`).
//! **Invariants**: a head read with a memo is the head that is read without.
//! **Source**: RFC 9112 section 5 (a section ends with its first empty line, so none begins with another).

use super::progress::Progress;
use crate::Limits;

/// Longest section that is remembered, in bytes.
const SECTION_BYTES_MAX: usize = 512;

/// One in so many sections that differ from the one remembered takes its place: where every client sends its own, next to
/// nothing is spent on remembering.
const REPLACED_EVERY: u8 = 8;

/// Keep one per core, and give it to [`super::parse_remembering`].
#[derive(Debug, Clone)]
pub struct FieldMemo {
    /// From the first field line through the empty line; empty when nothing is remembered.
    section: Vec<u8>,
    progress: Progress,
    until_replaced: u8,
}

impl Default for FieldMemo {
    fn default() -> Self {
        Self { section: Vec::with_capacity(SECTION_BYTES_MAX), progress: Progress::new(), until_replaced: 0 }
    }
}

impl FieldMemo {
    /// Takes what the fields after a request line say from memory, if they are those remembered.
    #[inline]
    pub(super) fn recall(&self, window: &[u8], limits: &Limits, progress: &mut Progress) -> bool {
        let known = !self.section.is_empty()
            && window[progress.next as usize..].starts_with(&self.section)
            && self.progress.offsets.field_count <= limits.field_count_max;
        if known {
            progress.take_fields_of(&self.progress);
        }
        known
    }

    /// Notes a section that was read, and what it said.
    pub(super) fn note(&mut self, section: &[u8], progress: &Progress) {
        if self.until_replaced > 0 || section.len() > SECTION_BYTES_MAX {
            self.until_replaced = self.until_replaced.saturating_sub(1);
            return;
        }
        self.until_replaced = REPLACED_EVERY - 1;
        self.section.clear();
        self.section.extend_from_slice(section);
        self.progress = *progress;
    }
}
