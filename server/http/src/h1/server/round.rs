//! A round: the requests that have come at once on a connection, whose heads are read before the first of them is served.
//!
//! ```text
//!   read_ahead(look) ─▶ look(head 1), look(head 2) …          what they need can be asked of the memory together
//!   next(serve)      ─▶ serve(head 1)     next ─▶ serve(head 2) …     each was parsed once
//! ```
//!
//! **Not** serving them out of order, and **not** judging them: what is wrong behind a head is found when it is its turn.
//! **Invariants**: each head is parsed once: what a round leaves is kept with its connection for the next; nothing is read
//! behind a head with a body; what `next` serves does not depend on whether anything was read ahead.
//! **Source**: RFC 9112 section 9.3.2 (pipelining).

use super::{RequestReader, RequestScratch};
use crate::MessageLimits;
use crate::h1::Parsed;
use crate::h1::request::{RequestError, Resume, parse_remembering};
use crate::request::{RequestBody, RequestHead};
use std::ops::Deref;

/// Most heads that are read ahead: the memory of a core waits for so many lines together, and more would push the first out of
/// its nearest cache.
pub const HEADS_AHEAD_MAX: usize = 16;

/// Memories of rounds that are kept for connections which leave heads behind; beyond it they are made anew.
const SPARE_MAX: usize = 64;

/// Heads that have been read and not served.
#[derive(Debug)]
pub(super) struct HeadsAhead {
    heads: [Resume; HEADS_AHEAD_MAX],
    /// Which of them is served next, and where they end.
    next: usize,
    end: usize,
}

impl Default for HeadsAhead {
    fn default() -> Self {
        Self { heads: std::array::from_fn(|_| Resume::default()), next: 0, end: 0 }
    }
}

/// The memory in which rounds are read. It is empty between two rounds.
#[derive(Debug, Default)]
pub(super) struct RoundScratch {
    ahead: Box<HeadsAhead>,
    #[expect(clippy::vec_box, reason = "what is kept moves to its connection and back by its address")]
    spare: Vec<Box<HeadsAhead>>,
}

impl RoundScratch {
    /// Takes what a round has left out of the memory.
    #[cold]
    fn keep(&mut self) -> Box<HeadsAhead> {
        std::mem::replace(&mut self.ahead, self.spare.pop().unwrap_or_default())
    }

    /// Puts it back.
    #[cold]
    fn resume(&mut self, kept: Box<HeadsAhead>) {
        let empty = std::mem::replace(&mut self.ahead, kept);
        if self.spare.len() < SPARE_MAX {
            self.spare.push(empty);
        }
    }
}

/// The requests that have come on one connection, and are served without a wait in between.
#[derive(Debug)]
pub struct RequestRound<'a, B, T> {
    reader: &'a mut RequestReader<B, T>,
    scratch: &'a mut RequestScratch,
    limits: &'a MessageLimits,
}

impl<'a, B: Deref<Target = [u8]>, T: Copy> RequestRound<'a, B, T> {
    #[inline(always)]
    pub(super) fn new(
        reader: &'a mut RequestReader<B, T>,
        scratch: &'a mut RequestScratch,
        limits: &'a MessageLimits,
    ) -> Self {
        if let Some(kept) = reader.kept.take() {
            scratch.round.resume(kept);
        }
        Self { reader, scratch, limits }
    }

    /// Reads the heads that have come, through the first that has a body and [`HEADS_AHEAD_MAX`] at most, unless heads that
    /// were read ahead are still to be served. `look` looks at each whose body is not waited for; not at one that has come
    /// alone. Whether it did.
    #[inline(always)]
    pub fn read_ahead(&mut self, mut look: impl FnMut(&RequestHead<'_>)) -> bool {
        let RequestScratch { memos, round, .. } = &mut *self.scratch;
        let ahead = &mut *round.ahead;
        if ahead.next < ahead.end || self.reader.partial.is_some() {
            return false;
        }
        (ahead.next, ahead.end) = (0, 0);
        let memo = memos.of(self.reader.memo);
        let mut bytes = self.reader.input.bytes();
        let mut has_looked = false;
        for resume in &mut ahead.heads {
            if bytes.is_empty() {
                break;
            }
            let Ok(Parsed::Complete(head)) = parse_remembering(bytes, self.limits, resume, memo) else {
                // It is read again when it is its turn.
                *resume = Resume::default();
                break;
            };
            bytes = &bytes[head.head_bytes()..];
            ahead.end += 1;
            let is_alone = ahead.end == 1 && bytes.is_empty();
            if is_alone || head.body() != RequestBody::None {
                break;
            }
            look(&head);
            has_looked = true;
        }
        has_looked
    }

    /// As [`RequestReader::unread`].
    #[must_use]
    pub fn unread(&self) -> &[u8] {
        self.reader.unread()
    }

    /// As [`RequestReader::next`].
    ///
    /// # Errors
    ///
    /// As [`RequestReader::next`].
    #[inline(always)]
    pub fn next<R>(
        &mut self,
        now: impl FnOnce() -> T,
        serve: impl FnOnce(&RequestHead<'_>) -> R,
    ) -> Result<Option<R>, RequestError> {
        let Self { reader, scratch, limits } = self;
        let ahead = &mut *scratch.round.ahead;
        if ahead.next == ahead.end {
            return reader.next(limits, scratch, now, serve);
        }
        let head = ahead.heads[ahead.next].whole_head(reader.input.bytes());
        ahead.next += 1;
        let (served, head_bytes) = (serve(&head), head.head_bytes());
        reader.input.consume(head_bytes);
        Ok(Some(served))
    }
}

impl<B, T> Drop for RequestRound<'_, B, T> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.scratch.round.ahead.next < self.scratch.round.ahead.end {
            self.reader.kept = Some(self.scratch.round.keep());
        }
    }
}
