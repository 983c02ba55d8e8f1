//! Responses of a node, read in whatever pieces they come.
//!
//! ```text
//!  head (64, ext, key) ── kept until it is whole ──▶ which request, which status
//!  value               ── handed on as it comes
//!  MORE                ── the value goes on in a later frame of the same id; others may lie between
//! ```
//!
//! **Not** checked: the checksum of a value. The heads' are, as the codec has it.
//!
//! **Invariants**: the bytes of a value are neither kept nor copied; an answer is reported with its last chunk.

use shardstore::session::{FrameReader, SpareBuffers};
use shardstore::wire::ext::Ext;
use shardstore::wire::frame::{FrameHead, Limits};
use shardstore::wire::{Flags, FrameError, Kind, Status};

use super::super::AnswerListener;
use super::{MalformedFrame, SharedCaller};

/// A frame whose value is coming.
#[derive(Clone, Copy)]
struct ComingReply {
    /// None: a frame that is not for us, such as the push of a topology.
    part: Option<ReplyPart>,
    /// Bytes of its value that have not come.
    left: usize,
}

/// A part of an answer, or all of it.
#[derive(Clone, Copy)]
struct ReplyPart {
    id: u64,
    /// Which of the requests under way that is, as long as this frame is read.
    at: usize,
    status: u16,
    /// Bytes of the value that have come, in earlier frames too.
    come: usize,
    /// Length of the whole value.
    total: usize,
    is_right: bool,
    has_more: bool,
    credits: u16,
}

/// Reads responses from one connection.
pub(in crate::run) struct ShardResponses {
    caller: SharedCaller,
    limits: Limits,
    /// Has the head that has come in part.
    reader: FrameReader,
    spares: SpareBuffers,
    coming: Option<ComingReply>,
    /// Answers of which more chunks are to come.
    unfinished: Vec<ReplyPart>,
}

impl ShardResponses {
    /// Reads what follows a node's HELLO.
    pub(super) fn new(caller: SharedCaller, limits: Limits) -> Self {
        let (reader, spares) = (FrameReader::default(), SpareBuffers::default());
        Self { caller, limits, reader, spares, coming: None, unfinished: Vec::new() }
    }

    /// Reads what has come; `listener` hears of every answer that is complete with it.
    #[inline]
    pub(in crate::run) fn read(
        &mut self,
        mut bytes: &[u8],
        listener: &mut impl AnswerListener,
    ) -> Result<(), MalformedFrame> {
        while !bytes.is_empty() {
            if self.coming.is_none() {
                self.coming = self.reader.read_head(&mut bytes, &self.limits, &mut self.spares, |head| {
                    begin(head, &self.caller, &mut self.unfinished)
                })?;
            }
            let Some(coming) = &mut self.coming else { return Ok(()) };
            let (piece, rest) = bytes.split_at(bytes.len().min(coming.left));
            bytes = rest;
            coming.left -= piece.len();
            if let Some(part) = &mut coming.part
                && !piece.is_empty()
            {
                part.is_right &= listener.body(part.at, part.status, part.come, piece);
                part.come += piece.len();
            }
            if coming.left == 0 {
                let part = coming.part;
                self.coming = None;
                part.map_or(Ok(()), |part| self.end(part, listener))?;
            }
        }
        Ok(())
    }

    /// A frame is there whole.
    #[inline]
    fn end(&mut self, part: ReplyPart, listener: &mut impl AnswerListener) -> Result<(), MalformedFrame> {
        if part.has_more {
            self.unfinished.push(part);
            return Ok(());
        }
        let credit = self.caller.borrow_mut().end(part.at, part.credits);
        listener.answer(part.at, part.status, part.total, part.is_right);
        credit
    }
}

/// Understands a head.
#[inline]
fn begin(
    head: &FrameHead<'_>,
    caller: &SharedCaller,
    unfinished: &mut Vec<ReplyPart>,
) -> Result<ComingReply, MalformedFrame> {
    let (header, left) = (&head.header, head.header.value_len as usize);
    if header.kind != Kind::Response {
        return Ok(ComingReply { part: None, left });
    }
    let at = caller.borrow_mut().position(header.request_id)?;
    let ext = Ext::parse(head.ext)?;
    let has_more = header.flags.contains(Flags::MORE);
    let (total, offset) = ext.chunk.map_or((left, 0), |chunk| (chunk.total as usize, chunk.offset as usize));
    let before = unfinished.iter().position(|part| part.id == header.request_id);
    let before = before.map(|index| unfinished.swap_remove(index));
    let has_come = before.map_or(0, |part| part.come);
    let is_next = offset == has_come && before.is_none_or(|part| part.total == total);
    // All of it is there with the last frame, and not before.
    if !is_next || (has_come + left == total) == has_more {
        return Err(MalformedFrame::Chunk);
    }
    let status = match before {
        Some(part) => part.status,
        None => status(head, &ext)?,
    };
    let is_right = before.is_none_or(|part| part.is_right);
    let (id, credits) = (header.request_id, header.credits);
    let part = ReplyPart { id, at, status, come: has_come, total, is_right, has_more, credits };
    Ok(ComingReply { part: Some(part), left })
}

/// The status that stands for an answer; see the table of the module above.
#[inline]
fn status(head: &FrameHead<'_>, ext: &Ext<'_>) -> Result<u16, FrameError> {
    let header = &head.header;
    Ok(match header.status().ok_or(FrameError::UnknownStatus(header.code))? {
        // A value has its checksum, also an empty one; the answers to PUT and DELETE have none.
        Status::Ok if header.flags.contains(Flags::VALUE_CRC) => 200,
        Status::Ok if ext.previous_version.is_some() => 204,
        Status::Ok => 201,
        Status::NotFound => 404,
        Status::NotApplied => 412,
        Status::TooLarge => 413,
        Status::Moved => 421,
        Status::Busy | Status::Unavailable => 503,
        Status::Unknown | Status::Stale | Status::Unsupported | Status::Corrupt => 500,
    })
}
