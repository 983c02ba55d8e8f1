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
use shardstore::session::server::{PeerCredit, StreamBody, ValueStream};
use shardstore::wire::terms::SessionTerms;
use store_runtime::budget::Lease;

use super::answer::OwnedResponse;
use super::context::{RequestContext, response_to};

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
pub(crate) struct ResponseStream {
    context: RequestContext,
    /// Everything but the value.
    answer: OwnedResponse,
    value: ValueStream<Body>,
}

impl ResponseStream {
    /// `answer` has no value of its own; `body` is it.
    pub(crate) fn new(context: RequestContext, answer: OwnedResponse, body: Body) -> Self {
        debug_assert!(answer.value.is_empty());
        ResponseStream { context, answer, value: ValueStream::new(body) }
    }

    /// Bytes of the request that this answers.
    pub(crate) fn request_bytes(&self) -> usize {
        self.context.bytes
    }

    /// Appends the next frame for a peer of these terms and credit; true when it was the last.
    pub(crate) fn write_frame(
        &mut self,
        terms: &SessionTerms,
        credit: &PeerCredit,
        now: Instant,
        out: &mut Vec<u8>,
    ) -> bool {
        let mut response = response_to(&self.context, self.answer.status, now);
        self.answer.describe(&mut response);
        self.value.write_frame(response, terms, credit, out)
    }
}

impl StreamBody for Body {
    fn bytes(&self) -> usize {
        match self {
            Body::Pinned(pinned) => pinned.value().len(),
            Body::Copied { value, .. } => value.len(),
        }
    }

    fn copy(&self, range: std::ops::Range<usize>, out: &mut Vec<u8>) {
        match self {
            Body::Copied { value, .. } => out.extend_from_slice(&value[range]),
            Body::Pinned(pinned) => pinned.value().copy_range_to(range, out),
        }
    }
}
