//! A large answer on its way out: frame by frame, each when the send queue has room.
//!
//! **Not**: waiting for room; the connection's task does.
//!
//! **Invariants**: the value does not change while it is sent: it is pinned in the cache or a copy; a frame is written
//! whole, so that frames of other answers can only lie between two of them.
//!
//! **Source**: docs/wire.md, "Large values".

use reactor::Instant;
use shardstore::cache::Pinned;
use shardstore::wire::reassembly::Part;
use store_runtime::budget::Lease;

use super::answer::Answer;
use super::link::Link;
use super::respond::Reply;

/// Where the value lies.
#[derive(Debug)]
pub(crate) enum Body {
    /// In the cache.
    Pinned(Pinned),
    /// In a copy of its own, within the core's budget for such copies.
    Copied {
        value: Vec<u8>,
        #[expect(dead_code, reason = "held for its drop, which gives the bytes back")]
        lease: Lease,
    },
}

/// An answer with a value that is written in parts.
#[derive(Debug)]
pub(crate) struct Stream {
    reply: Reply,
    /// Everything but the value.
    answer: Answer,
    body: Body,
    written: u32,
}

impl Stream {
    /// `answer` has no value of its own; `body` is it.
    pub(crate) fn new(reply: Reply, answer: Answer, body: Body) -> Self {
        debug_assert!(answer.value.is_empty());
        Stream { reply, answer, body, written: 0 }
    }

    /// Bytes of the request that this answers.
    pub(crate) fn request_bytes(&self) -> usize {
        self.reply.bytes
    }

    /// Appends the next frame; true when it was the last.
    pub(crate) fn write_frame(&mut self, link: &Link, now: Instant, out: &mut Vec<u8>) -> bool {
        let total = self.total();
        let length = link.frame_value_bytes_max().min(total - self.written);
        let part = Part { offset: self.written, length, total };
        let mut response = self.reply.response(self.answer.status, now);
        self.answer.describe(&mut response);
        if !part.has_more() {
            response.credits = link.take_credits();
        }
        response.encode_head(link.dialect, part, out);
        self.copy(part.range(), out);
        self.written += length;
        self.written == total
    }

    fn total(&self) -> u32 {
        let total = match &self.body {
            Body::Pinned(pinned) => pinned.value().len(),
            Body::Copied { value, .. } => value.len(),
        };
        u32::try_from(total).expect("a value is at most 64 MiB long")
    }

    fn copy(&self, range: std::ops::Range<usize>, out: &mut Vec<u8>) {
        match &self.body {
            Body::Copied { value, .. } => out.extend_from_slice(&value[range]),
            Body::Pinned(pinned) => {
                let mut at = 0;
                for piece in pinned.value().pieces() {
                    let from = range.start.clamp(at, at + piece.len()) - at;
                    let to = range.end.clamp(at, at + piece.len()) - at;
                    out.extend_from_slice(&piece[from..to]);
                    at += piece.len();
                    if at >= range.end {
                        return;
                    }
                }
            }
        }
    }
}
