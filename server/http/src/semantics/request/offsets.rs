//! What is known of a request head beside its bytes: where its parts lie in them, and what they come to.
//!
//! **Not**: finding the parts; the parser fills this in.
//! **Invariants**: offsets into the head's bytes and plain values only, so that it stays right when the bytes move.

use super::{HttpVersion, RequestBody, TargetForm};
use crate::Method;
use crate::field::HeadSpan;
use crate::known::RECORDED_COUNT;
use crate::semantics::framing::Framing;

/// Offsets and decisions of one head.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeadOffsets {
    pub(crate) method_span: HeadSpan,
    pub(crate) target: HeadSpan,
    /// Where the first field line begins.
    pub(crate) fields_start: u32,
    pub(crate) field_count: u16,
    /// The value of each recorded field: of the first line of those that stand on several.
    pub(crate) recorded: [HeadSpan; RECORDED_COUNT],
    /// One bit per recorded field that is there, and one per recorded field that stands on more than one line.
    pub(crate) present: u8,
    pub(crate) repeated: u8,
    pub(crate) method: Method,
    pub(crate) form: TargetForm,
    pub(crate) version: HttpVersion,
    /// The target has no query, and no escape, bracket or brace.
    pub(crate) is_plain: bool,
    pub(crate) framing: Framing,
    pub(crate) expect_continue: bool,
}

const _: () = assert!(RECORDED_COUNT <= 8, "`repeated` has one bit per recorded field");

impl HeadOffsets {
    /// Of a head of which nothing was read.
    #[inline]
    pub(crate) fn new() -> Self {
        Self {
            method_span: HeadSpan::default(),
            target: HeadSpan::default(),
            fields_start: 0,
            field_count: 0,
            recorded: [HeadSpan::default(); RECORDED_COUNT],
            present: 0,
            repeated: 0,
            method: Method::Other,
            form: TargetForm::Origin,
            version: HttpVersion::Http11,
            is_plain: false,
            framing: Framing::default(),
            expect_continue: false,
        }
    }
    #[inline]
    pub(crate) fn body(&self) -> RequestBody {
        match (self.framing.chunked, self.framing.content_length) {
            (true, _) => RequestBody::Chunked,
            (false, None | Some(0)) => RequestBody::None,
            (false, Some(length)) => RequestBody::Length(length),
        }
    }

    #[inline]
    pub(crate) fn stays_open(&self) -> bool {
        self.framing.stays_open(self.version)
    }
}
