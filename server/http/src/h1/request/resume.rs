//! What is kept of a head that has not arrived whole.
//!
//! **Not**: the head's bytes; the caller keeps those.
//! **Invariants**: bytes that cannot change the verdict are not parsed again, and all others are at once, so a bad
//! byte is refused when it arrives and a head costs linear work however slowly it comes.
//! **Source**: RFC 9112 section 2.1 and 3 (the parts of a line).

use super::progress::HeadProgress;
use crate::MessageLimits;
use crate::class;
use crate::request::RequestHead;

/// What the caller keeps between calls of [`super::parse`] while a head is partial. A new or reset one starts a head.
#[derive(Debug, Clone)]
pub struct Resume {
    pub(super) progress: HeadProgress,
    /// Bytes looked at by the last call; 0 when no head is under way.
    seen_bytes: u32,
    cut: Cut,
}

/// Where a line was cut off, and so what may follow without a new verdict. This is what makes the work linear: a line
/// is read again only when its next part begins, and it has four at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cut {
    /// Bytes of these classes go on with the part that was cut off. Any other is news.
    harmless: u8,
    /// At this length of the buffer the part outgrows its own bound, which is news too.
    due_bytes: u32,
}

impl Cut {
    /// Every further byte is news.
    const ANYWHERE: Self = Self { harmless: 0, due_bytes: 0 };

    /// Where the line after `progress` was cut off, given that nothing is wrong with it.
    fn find(window: &[u8], progress: &HeadProgress, limits: &MessageLimits) -> Self {
        let line = &window[progress.next as usize..];
        let within = |harmless| Self { harmless, due_bytes: u32::MAX };
        if line.ends_with(b"\r") {
            return Self::ANYWHERE;
        }
        if progress.next > 0 {
            return within(if memchr::memchr(b':', line).is_some() { class::VALUE } else { class::TOKEN });
        }
        let mut spaces = memchr::memchr_iter(b' ', line);
        match (spaces.next(), spaces.next()) {
            (None, _) => within(class::TOKEN),
            (Some(space), None) => {
                Self { harmless: class::TARGET, due_bytes: (space as u32 + 2).saturating_add(limits.target_bytes_max) }
            }
            // In the version, which is short.
            (Some(_), Some(_)) => Self::ANYWHERE,
        }
    }
}

impl Default for Resume {
    fn default() -> Self {
        Self { progress: HeadProgress::new(), seen_bytes: 0, cut: Cut::ANYWHERE }
    }
}

impl Resume {
    /// What is known of the head under way, if there is one.
    #[inline]
    pub(super) fn under_way(&mut self) -> Option<&mut HeadProgress> {
        self.is_under_way().then_some(&mut self.progress)
    }

    /// Room for what will be known of a head that is read from its start.
    #[inline]
    pub(super) fn begin(&mut self) -> &mut HeadProgress {
        self.progress = HeadProgress::new();
        &mut self.progress
    }

    /// Notes that the head is over, and gives what is known of it.
    #[inline]
    pub(super) fn end(&mut self) -> &mut HeadProgress {
        self.seen_bytes = 0;
        &mut self.progress
    }

    /// The head that was found whole at the start of `bytes` by the last call, again.
    #[inline]
    pub(in crate::h1) fn whole_head<'a>(&'a self, bytes: &'a [u8]) -> RequestHead<'a> {
        debug_assert!(!self.is_under_way(), "the last call found a whole head");
        RequestHead::new(&bytes[..self.progress.next as usize], &self.progress.offsets)
    }

    /// Notes that the head is cut off at the end of `window`, with nothing wrong so far.
    pub(super) fn pause(&mut self, window: &[u8], limits: &MessageLimits) {
        self.seen_bytes = window.len() as u32;
        self.cut = Cut::find(window, &self.progress, limits);
    }

    /// Notes bytes that were no news.
    pub(super) fn note_seen(&mut self, window: &[u8]) {
        self.seen_bytes = window.len() as u32;
    }

    /// Whether a head is under way: some of its bytes have been seen.
    #[inline]
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        self.seen_bytes > 0
    }

    /// Whether `window` holds news: always, unless a head is under way and what follows its first `seen_bytes` only goes on
    /// with the part that was cut off.
    #[inline]
    pub(super) fn is_due(&self, window: &[u8], limits: &MessageLimits) -> bool {
        debug_assert!(window.len() >= self.seen_bytes as usize, "bytes were taken off an unfinished head");
        !self.is_under_way()
            || window.len() >= limits.head_bytes_max.min(self.cut.due_bytes) as usize
            || class::run_end(window, self.seen_bytes as usize, self.cut.harmless) < window.len()
    }
}
