//! Parser of response heads, for load generators, upstreams and tests.
//!
//! **Not**: bodies ([`crate::h1::chunked`] decodes chunks, the caller counts lengths); resuming: a partial head is read
//! again from its start, since servers send a head in one piece and its size is bounded.
//! **Invariants**: a head whose body's end two parsers could see in two places is refused.
//! **Source**: RFC 9112 section 4 and 6.3; RFC 9110 section 15.
//!
//! | request or status | fields | body |
//! |---|---|---|
//! | `HEAD`, or 1xx, 204, 304, or 2xx to `CONNECT` | any | none |
//! | other | `Transfer-Encoding: chunked` | chunked |
//! | other | `Content-Length: n` | n bytes |
//! | other | neither | until the connection closes |

#[cfg(test)]
mod tests;

use crate::field::{Fields, HeadSpan};
use crate::h1::line::{self, FieldError, SectionLine};
use crate::h1::{FramingError, Parsed};
use crate::known::KnownField;
use crate::request::HttpVersion;
use crate::semantics::framing::Framing;
use crate::{MessageLimits, Method};
use thiserror::Error;

/// Why a response head was refused. The server's fault; the connection is of no more use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ResponseError {
    /// The first line is not `HTTP/1.x`, a three-digit status from 100 to 599, and a phrase.
    #[error("the status line is malformed")]
    StatusLine,
    /// A field line was malformed.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// The length of the message, or the use of the connection after it, is ambiguous.
    #[error(transparent)]
    Framing(#[from] FramingError),
    /// The head is larger than the bound.
    #[error("the response head is too large")]
    HeadTooLarge,
    /// More field lines than the bound.
    #[error("there are too many fields in the response head")]
    TooManyFields,
}

/// How a response's body is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ResponseBody {
    /// No body, or one of no bytes.
    #[default]
    None,
    /// So many bytes, at least 1.
    Length(u64),
    /// Chunks; see [`crate::h1::chunked`].
    Chunked,
    /// All that comes until the server closes.
    UntilClose,
}

/// A response head, checked whole, borrowing the bytes it came in.
#[derive(Debug, Clone)]
pub struct ReceivedHead<'a> {
    bytes: &'a [u8],
    meaning: Meaning,
}

/// What a head says beside its fields.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Meaning {
    fields_start: u32,
    status: u16,
    body: ResponseBody,
    stays_open: bool,
    content_length: Option<u64>,
    etag: HeadSpan,
}

impl Meaning {
    /// Whether the line at `line_start` is one of a field.
    pub(super) fn is_in_fields(&self, line_start: usize) -> bool {
        line_start >= self.fields_start as usize
    }

    /// What the head says when one of its lines, which ended at `old_end`, is replaced by one with this name and value that
    /// ends at `new_end`. `None` if the line alone does not determine it.
    pub(super) fn with_line(
        self,
        replaced: &[u8],
        name: &[u8],
        value: HeadSpan,
        (old_end, new_end): (usize, usize),
    ) -> Option<Self> {
        let is_framing = |name| KnownField::from_name(name).is_some_and(KnownField::is_framing);
        if is_framing(replaced) || is_framing(name) || is_etag(replaced) != is_etag(name) {
            return None;
        }
        let moved = |at: u32| (at as usize + new_end - old_end) as u32;
        let etag = match self.etag {
            _ if is_etag(name) => value,
            HeadSpan { start, end } if start as usize >= old_end => HeadSpan { start: moved(start), end: moved(end) },
            before => before,
        };
        Some(Self { etag, ..self })
    }

    #[inline]
    pub(super) fn body(&self) -> ResponseBody {
        self.body
    }

    #[inline]
    pub(super) fn is_interim(&self) -> bool {
        self.status < 200
    }
}

/// Bytes of `HTTP/1.1 200 `, the part of a status line that has a fixed form.
const STATUS_START_BYTES: usize = 13;

/// Parses the head at the start of `buf`, the response to a request of `method`.
///
/// A 1xx head is a response on the way, not the last: take it off and parse on.
///
/// # Errors
///
/// The server's fault. Close the connection.
pub fn parse<'a>(
    buf: &'a [u8],
    limits: &MessageLimits,
    method: Method,
) -> Result<Parsed<ReceivedHead<'a>>, ResponseError> {
    let window = &buf[..buf.len().min(limits.head_bytes_max as usize)];
    match run(window, limits, method)? {
        Some(head) => Ok(Parsed::Complete(head)),
        None if window.len() == limits.head_bytes_max as usize => Err(ResponseError::HeadTooLarge),
        None => Ok(Parsed::Partial),
    }
}

fn run<'a>(
    window: &'a [u8],
    limits: &MessageLimits,
    method: Method,
) -> Result<Option<ReceivedHead<'a>>, ResponseError> {
    let Some((version, status, fields_start)) = status_line(window)? else {
        return Ok(None);
    };
    let mut framing = Framing::default();
    let mut etag = HeadSpan::default();
    let mut at = fields_start;
    let mut field_count = 0;
    loop {
        match line::read(window, at)? {
            SectionLine::Partial => return Ok(None),
            SectionLine::End(next) => {
                framing.check(version)?;
                let body = body(method, status, &framing);
                let stays_open = framing.stays_open(version) && body != ResponseBody::UntilClose;
                let content_length = framing.content_length;
                let meaning =
                    Meaning { fields_start: fields_start as u32, status, body, stays_open, content_length, etag };
                return Ok(Some(ReceivedHead::new(&window[..next], meaning)));
            }
            SectionLine::Field { name, value, next } => {
                if field_count == limits.field_count_max {
                    return Err(ResponseError::TooManyFields);
                }
                field_count += 1;
                match KnownField::from_name(name.of(window)) {
                    Some(known) => framing.note(known, value.of(window))?,
                    None if is_etag(name.of(window)) => etag = value,
                    None => {}
                }
                at = next;
            }
        }
    }
}

fn is_etag(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"etag")
}

fn body(method: Method, status: u16, framing: &Framing) -> ResponseBody {
    let bodiless = matches!(status, 100..=199 | 204 | 304)
        || method == Method::Head
        || (method == Method::Connect && matches!(status, 200..=299));
    match (bodiless, framing.chunked, framing.content_length) {
        (true, ..) | (false, false, Some(0)) => ResponseBody::None,
        (false, true, _) => ResponseBody::Chunked,
        (false, false, Some(length)) => ResponseBody::Length(length),
        (false, false, None) => ResponseBody::UntilClose,
    }
}

/// Refuses bytes with which no head begins.
pub(super) fn check_start(buf: &[u8]) -> Result<(), ResponseError> {
    status_line(&buf[..buf.len().min(STATUS_START_BYTES)]).map(|_| ())
}

/// Version, status and the index of the first field line; `None` if the line is cut off.
fn status_line(buf: &[u8]) -> Result<Option<(HttpVersion, u16, usize)>, ResponseError> {
    for (at, &byte) in buf.iter().enumerate().take(STATUS_START_BYTES) {
        let fits = match at {
            0..7 => byte == b"HTTP/1."[at],
            7 => matches!(byte, b'0' | b'1'),
            9 => matches!(byte, b'1'..=b'5'),
            10 | 11 => byte.is_ascii_digit(),
            8 => byte == b' ',
            // Some servers leave out the space when they leave out the phrase.
            _ => matches!(byte, b' ' | b'\r'),
        };
        if !fits {
            return Err(ResponseError::StatusLine);
        }
    }
    if buf.len() < STATUS_START_BYTES {
        return Ok(None);
    }
    let version = if buf[7] == b'1' { HttpVersion::Http11 } else { HttpVersion::Http10 };
    let status = buf[9..12].iter().fold(0, |status, digit| status * 10 + u16::from(digit - b'0'));
    let line_end = crate::class::value_end(buf, STATUS_START_BYTES - 1);
    if line_end == buf.len() {
        return Ok(None);
    }
    Ok(line::end(buf, line_end)?.map(|next| (version, status, next)))
}

impl<'a> ReceivedHead<'a> {
    #[inline]
    pub(super) fn new(bytes: &'a [u8], meaning: Meaning) -> Self {
        Self { bytes, meaning }
    }

    #[inline]
    pub(super) fn meaning(&self) -> Meaning {
        self.meaning
    }

    /// Bytes of the head, through the empty line that ends it.
    #[must_use]
    pub fn head_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The status, 100 to 599.
    #[must_use]
    #[inline]
    pub fn status(&self) -> u16 {
        self.meaning.status
    }

    /// Whether the final response is still to come.
    #[must_use]
    pub fn is_interim(&self) -> bool {
        self.meaning.is_interim()
    }

    /// How the body is delimited.
    #[must_use]
    pub fn body(&self) -> ResponseBody {
        self.meaning.body
    }

    /// Whether the connection can be used again after the body.
    #[must_use]
    pub fn keep_alive(&self) -> bool {
        self.meaning.stays_open
    }

    /// What `Content-Length` says, also where no body follows.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        self.meaning.content_length
    }

    /// `ETag`, not parsed; see [`crate::entity_tag`].
    #[inline]
    #[must_use]
    pub fn etag(&self) -> Option<&'a [u8]> {
        let span = self.meaning.etag;
        (!span.is_absent()).then(|| span.of(self.bytes))
    }

    /// Every field in the order sent.
    #[must_use]
    pub fn fields(&self) -> Fields<'a> {
        Fields::new(&self.bytes[self.meaning.fields_start as usize..])
    }

    /// The value of the first field of this name, compared without case.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&'a [u8]> {
        self.fields().find(|(sent, _)| sent.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }
}
