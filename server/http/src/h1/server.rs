//! The receiving side of a server's connection: bytes in, requests out. The one engine of every listener that speaks HTTP/1.
//!
//! ```text
//!   push(bytes) ─▶ next(serve) ─▶ serve(head), its bytes are taken off ─▶ no body: next …
//!                    │ None: push more, by head_began() + the head's time,      └▶ BodyReader, until its end: next …
//!                    │       or when idle by the idle time
//!                    │ RequestError: respond with it and close
//! ```
//!
//! Heads that have come at once can be read before the first of them is served ([`RequestRound`]). They are read with what each client sent before ([`FieldMemos`]). What a response says of its connection is decided in
//! [`ResponseForm`].
//!
//! **Not** I/O or a clock: instants come in as arguments, and the caller compares them.
//! **Invariants**: a head that comes in part has begun when its first bytes were looked at, and is parsed once; an idle
//! connection owns no memory; a head is read in memory that all connections share, unless it comes in part; nothing is
//! allocated for a head that comes whole.
//! **Source**: RFC 9112 section 2.1 and 9.3.

mod body;
mod form;
mod round;

#[cfg(test)]
mod tests;

pub use body::{BodyReader, BodyStep};
pub use form::ResponseForm;
pub use round::{HEADS_AHEAD_MAX, RequestRound};

use super::Parsed;
use super::input::LentInput;
use super::request::{FieldMemos, RequestError, Resume, parse_remembering};
use crate::MessageLimits;
use crate::request::RequestHead;
use round::{HeadsAhead, RoundScratch};
use std::ops::Deref;

/// Memory in which heads are read that come whole. One for all connections of a core, where it stays at hand.
#[derive(Debug, Default)]
pub struct RequestScratch {
    whole: Resume,
    /// The fields that came last, for each of some connections.
    memos: FieldMemos,
    round: RoundScratch,
}

impl RequestScratch {
    /// With memory for so many clients' fields: a power of two, at most 256; about 3 KiB each.
    ///
    /// # Panics
    ///
    /// If it is not.
    #[must_use]
    pub fn with_memos(count: usize) -> Self {
        Self { memos: FieldMemos::new(count), ..Self::default() }
    }
}

/// Reads the requests of one connection. `B` is what a receive lends, `T` an instant.
#[derive(Debug)]
pub struct RequestReader<B, T> {
    input: LentInput<B>,
    /// What is known of a head that has come in part.
    partial: Option<Box<Resume>>,
    head_began: Option<T>,
    /// Heads that a round has read and not served.
    kept: Option<Box<HeadsAhead>>,
    /// Which of the memos it has.
    memo: u8,
}

impl<B: Deref<Target = [u8]>, T: Copy> RequestReader<B, T> {
    /// For a new connection, whose heads will be read in this memory.
    #[must_use]
    pub fn new(scratch: &mut RequestScratch) -> Self {
        Self { input: LentInput::default(), partial: None, head_began: None, kept: None, memo: scratch.memos.assign() }
    }

    /// The bytes received and not used. Between two heads these are the bytes of a body.
    #[inline]
    pub fn input(&mut self) -> &mut LentInput<B> {
        debug_assert!(self.partial.is_none() && self.kept.is_none(), "bytes of a head are not anybody else's");
        &mut self.input
    }

    /// What has come behind the last head that was served: for reports on what could not be read.
    #[must_use]
    pub fn unread(&self) -> &[u8] {
        self.input.bytes()
    }

    /// Adds bytes that were received.
    #[inline(always)]
    pub fn push(&mut self, bytes: B) {
        self.input.push(bytes);
    }

    /// Gives lent buffers back. Before every wait.
    #[inline]
    pub fn release(&mut self) {
        self.input.release();
    }

    /// When the head under way began; `None` between two requests.
    #[inline]
    #[must_use]
    pub fn head_began(&self) -> Option<T> {
        self.head_began
    }

    /// Begins to serve what has come.
    #[inline(always)]
    pub fn begin_round<'a>(
        &'a mut self,
        limits: &'a MessageLimits,
        scratch: &'a mut RequestScratch,
    ) -> RequestRound<'a, B, T> {
        RequestRound::new(self, scratch, limits)
    }

    /// Reads the next head, has it served, and takes its bytes off; `None` if it has not come whole. `now` is asked when a
    /// head begins that has come in part. What follows a head with a body is the body, which is read by a [`BodyReader`] to
    /// its end before the next head.
    ///
    /// # Errors
    ///
    /// The peer's fault. Respond with [`RequestError::problem`] and close the connection.
    #[inline(always)]
    pub fn next<R>(
        &mut self,
        limits: &MessageLimits,
        scratch: &mut RequestScratch,
        now: impl FnOnce() -> T,
        serve: impl FnOnce(&RequestHead<'_>) -> R,
    ) -> Result<Option<R>, RequestError> {
        if self.input.is_empty() {
            return Ok(None);
        }
        let RequestScratch { whole, memos, .. } = scratch;
        let resume = self.partial.as_deref_mut().unwrap_or(whole);
        let (served, head_bytes) = match parse_remembering(self.input.bytes(), limits, resume, memos.of(self.memo))? {
            Parsed::Complete(head) => (serve(&head), head.head_bytes()),
            Parsed::Partial => {
                self.partial.get_or_insert_with(|| Box::new(std::mem::take(whole)));
                self.head_began.get_or_insert_with(now);
                return Ok(None);
            }
        };
        self.partial = None;
        self.head_began = None;
        self.input.consume(head_bytes);
        Ok(Some(served))
    }
}
