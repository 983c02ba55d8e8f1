//! A layer between what a connection's task reads and writes, and what its socket carries.
//!
//! ```text
//!  task ── write(): plaintext ─▶ outbox ─▶ seal, when a send starts ─▶ socket
//!  task ◀─ receive(): plaintext ◀─ open, in the task's poll ◀─ inbox ◀─ socket
//! ```
//!
//! **Not** TLS: the reactor knows bytes in and bytes out, and nothing of what a layer does to them.
//!
//! **Invariants**: every byte from the socket is opened once, in order, and every byte written is sealed once, in order; a
//! layer is asked only in passes of the connection's core; after a [`Fault`] nothing more is opened.

use std::collections::VecDeque;

use crate::buffer::Received;

/// Why a layer gives its connection up: a word for the log and for the label of a metric, `Fault(&"bad_record")`. It is one pointer
/// long, so that what a receive gives, bytes or an error, stays three words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Fault(pub &'static &'static str);

impl Fault {
    /// The word.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.0
    }
}

/// What turns the bytes of a socket into those of a task, and back. It goes with its connection to another core.
pub trait Protection: Send {
    /// Opens bytes that have come, as far as they go; what is not whole yet is the layer's to keep. What is before a fault may have
    /// been handed out already.
    ///
    /// # Errors
    /// The peer's: bytes that are not what the layer expects. What the layer has to say about it (an alert) is asked for with
    /// [`Protection::seal`] afterwards.
    fn open(&mut self, received: Received, opened: &mut Opened) -> Result<(), Fault>;

    /// Seals all that `plain` offers, from its front, and appends what is to be sent to `wire`. Whatever the layer itself has to say goes
    /// first, also when `plain` offers nothing.
    fn seal(&mut self, plain: &mut Plain<'_>, wire: &mut Vec<u8>);

    /// Whether the layer has something to send although nothing is written: a reply to the peer, an alert, the end.
    fn has_to_say(&self) -> bool;

    /// The task has nothing more to write: the next seal ends with what says so. Nothing is offered after it.
    fn close(&mut self);

    /// Whether what it has opened so far may have been recorded by somebody, and be sent again: the peer has not shown yet that it is there.
    /// Once it is false it stays so, for what was opened before as well.
    fn may_be_replayed(&self) -> bool {
        false
    }
}

/// What a layer has opened, and its task has not read.
#[derive(Default)]
pub struct Opened {
    /// The oldest piece, nearly always the only one.
    first: Option<Received>,
    rest: VecDeque<Received>,
    ended: bool,
}

impl Opened {
    /// Hands out a piece. An empty one is dropped.
    pub fn push(&mut self, piece: Received) {
        if piece.is_empty() {
            return;
        }
        match self.first {
            None => self.first = Some(piece),
            Some(_) => self.rest.push_back(piece),
        }
    }

    /// The peer has said that it will send no more; what comes after it is thrown away.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// Whether the peer has said so.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// The oldest piece that has not been taken.
    pub fn pop(&mut self) -> Option<Received> {
        std::mem::replace(&mut self.first, self.rest.pop_front())
    }
}

/// The plaintext that a send may seal: the front of a queue, piece by piece.
pub struct Plain<'a> {
    source: &'a mut dyn PlainSource,
    /// Bytes that this send may still take.
    left: usize,
}

/// The queue behind a [`Plain`].
pub trait PlainSource {
    /// Its first piece; empty when nothing is queued.
    fn front(&self) -> &[u8];

    /// Bytes in all of its pieces.
    fn queued_bytes(&self) -> usize;

    /// Drops the first `count` bytes, which are in the first piece.
    fn consume(&mut self, count: usize);
}

impl<'a> Plain<'a> {
    /// At most `bytes_max` bytes of `source`.
    pub fn new(source: &'a mut dyn PlainSource, bytes_max: usize) -> Self {
        let left = bytes_max.min(source.queued_bytes());
        Plain { source, left }
    }

    /// The first piece, as far as it may be taken; empty when there is no more.
    #[must_use]
    pub fn chunk(&self) -> &[u8] {
        let front = self.source.front();
        &front[..front.len().min(self.left)]
    }

    /// Bytes that may be taken, in all pieces.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.left
    }

    /// Takes the first `count` bytes of the chunk.
    ///
    /// # Panics
    /// When the chunk has fewer.
    pub fn consume(&mut self, count: usize) {
        assert!(count <= self.chunk().len(), "taken {count} of {} bytes", self.chunk().len());
        self.left -= count;
        self.source.consume(count);
    }
}
