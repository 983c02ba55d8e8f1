//! The handshake and the frame stream of one connection to a node.
//!
//! **Not** aware of who asked: it hands out whole answers.
//!
//! **Invariants**: a frame that spans receives is copied once and only as far as needed; any frame error ends the
//! connection under its name.

use reactor::{Connection, ConnectionError, Received};
use shardstore::wire::frame::{self, Decoded, Frame, Limits};
use shardstore::wire::hello::Hello;
use shardstore::wire::reassembly::{Progress, Reassembler};
use shardstore::wire::session::{Session, negotiate};
use shardstore::wire::{FrameError, Kind, Response};

use super::reply::Reply;

/// Why a connection to a node is over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    #[error("the connection ended")]
    Ended,
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    #[error("frame error {}", .0.name())]
    Frame(#[from] FrameError),
    #[error("chunk error {0}")]
    Chunk(&'static str),
    #[error("cannot read the peer's HELLO: {0}")]
    HelloFormat(#[from] shardstore::wire::hello::HelloFormatError),
    #[error(transparent)]
    Hello(#[from] shardstore::wire::session::HelloError),
    #[error("the node calls itself {found}, the topology says {expected}")]
    OtherNode { expected: u32, found: u32 },
}

/// Received bytes that have not been understood yet.
#[derive(Default)]
pub(crate) struct Stream {
    partial: Vec<u8>,
    /// Bytes `partial` must reach before another look can get further.
    need: usize,
}

/// Bytes of a frame still to come from which on they are received in bulk.
const BULK_BYTES_MIN: usize = 128 * 1024;

impl Stream {
    /// Whether much of a frame is still to come.
    pub(crate) fn expects_bulk(&self) -> bool {
        !self.partial.is_empty() && self.need.saturating_sub(self.partial.len()) >= BULK_BYTES_MIN
    }

    /// Hands every whole frame of `partial` and `data` to `take`.
    pub(crate) fn feed(
        &mut self,
        data: &Received,
        limits: &Limits,
        mut take: impl FnMut(&Frame<'_>) -> Result<(), LinkError>,
    ) -> Result<(), LinkError> {
        let mut rest: &[u8] = data;
        while !self.partial.is_empty() {
            let missing = self.need.saturating_sub(self.partial.len()).min(rest.len());
            self.partial.extend_from_slice(&rest[..missing]);
            rest = &rest[missing..];
            if self.partial.len() < self.need {
                return Ok(());
            }
            match frame::decode(&self.partial, limits)? {
                Decoded::Frame(frame) => {
                    debug_assert_eq!(frame.wire_bytes(), self.partial.len(), "never more is copied than one frame");
                    take(&frame)?;
                    self.partial.clear();
                    self.partial.shrink_to(PARTIAL_KEPT_BYTES);
                }
                Decoded::Partial { need } => self.need = need,
            }
        }
        loop {
            match frame::decode(rest, limits)? {
                Decoded::Frame(frame) => {
                    take(&frame)?;
                    rest = &rest[frame.wire_bytes()..];
                }
                Decoded::Partial { need } => {
                    self.need = need;
                    self.partial.extend_from_slice(rest);
                    return Ok(());
                }
            }
            if rest.is_empty() {
                return Ok(());
            }
        }
    }
}

/// Room kept for the next partial frame; a large one's memory goes back.
const PARTIAL_KEPT_BYTES: usize = 4096;

/// Exchanges HELLOs; the connection's deadline bounds it.
pub(crate) async fn shake_hands(
    connection: &Connection,
    ours: &Hello,
    expected_node: u32,
) -> Result<(Session, Stream), LinkError> {
    ours.encode(&mut connection.write());
    let limits = Hello::limits(shardstore::wire::cluster_tag(&ours.cluster));
    let mut stream = Stream::default();
    loop {
        let data = connection.receive().await?.ok_or(LinkError::Ended)?;
        let mut theirs = None;
        stream.feed(&data, &limits, |frame| {
            // Nothing but the HELLO is sent before ours has been answered.
            theirs = Some(Hello::parse(frame)?);
            Ok(())
        })?;
        if let Some(theirs) = theirs {
            let session = negotiate(ours, &theirs)?;
            if session.peer_node_id != expected_node {
                return Err(LinkError::OtherNode { expected: expected_node, found: session.peer_node_id });
            }
            return Ok((session, stream));
        }
    }
}

/// What a frame from a node is to us.
pub(crate) enum Answered {
    /// An answer; without a reply if this release cannot read it.
    Whole { id: u64, credits: u16, reply: Option<Reply> },
    /// A part of an answer.
    Part { id: u64 },
    /// Nothing for us: pushes and control frames of later releases.
    Nothing,
}

/// Understands a frame as an answer, or as a part of one.
pub(crate) fn answer(frame: &Frame<'_>, reassembler: &mut Reassembler) -> Result<Answered, LinkError> {
    if frame.header.kind != Kind::Response {
        return Ok(Answered::Nothing);
    }
    let Some(chunk) = Reassembler::chunk_of(frame)? else { return whole(frame, Reply::of_frame) };
    match reassembler.accept(frame, chunk) {
        Ok(Progress::Whole(assembled)) => {
            let answered = whole(&assembled.frame(), Reply::without_value)?;
            Ok(match answered {
                // The value is handed on, not copied; the reassembler has checked it.
                Answered::Whole { id, credits, reply: Some(reply) } => {
                    let reply = Some(reply.with_checked_value(assembled.into_value()));
                    Answered::Whole { id, credits, reply }
                }
                other => other,
            })
        }
        Ok(Progress::Partial) => Ok(Answered::Part { id: frame.header.request_id }),
        Ok(Progress::Skipped) => Ok(Answered::Nothing),
        Err(error) => Err(LinkError::Chunk(error.name())),
    }
}

fn whole(frame: &Frame<'_>, reply: impl Fn(&Response<'_>) -> Reply) -> Result<Answered, LinkError> {
    match Response::parse(frame) {
        Ok(response) => {
            Ok(Answered::Whole { id: response.id, credits: response.credits, reply: Some(reply(&response)) })
        }
        Err(error) if error.is_fatal() => Err(error.into()),
        Err(_) => Ok(Answered::Whole { id: frame.header.request_id, credits: frame.header.credits, reply: None }),
    }
}
