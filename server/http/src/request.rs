//! The request head parser.
//!
//! **Not**: bodies ([`crate::chunked`]), routing, or what a field means beyond framing and connection.
//! **Invariants**: the answer for given bytes does not depend on how they were split; the work for a head is linear in
//! its bytes however slowly they arrive; every byte of an accepted head was checked against the grammar.
//! **Source**: RFC 9112 section 2 to 7 and 9; RFC 9110 section 5, 7, 8.6, 10.1.1.
//!
//! ```text
//!          empty lines        request line         field lines          empty line
//!   start ────────────▶ line ─────────────▶ field ────────────▶ field … ──────────▶ Complete
//!     │ out of bytes: Partial, resume at the start of the line that was cut off
//!     │ a byte that cannot be: RequestError, answer and close
//! ```

mod authority;
mod error;
mod facts;
mod start_line;

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;

pub use error::RequestError;

use crate::class;
use crate::field::{self, Fields, Line};
use crate::known::Known;
use crate::target;
use crate::{Limits, Method};
use facts::Facts;
use start_line::Form;

/// The versions this crate speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
}

/// How a request's body is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// No body, or one of no bytes.
    None,
    /// So many bytes, at least 1 and at most [`Limits::body_bytes_max`].
    Length(u64),
    /// Chunks; see [`crate::chunked`].
    Chunked,
}

/// A request target, taken apart but not decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// A path, beginning with `/`, and the query without its `?`.
    Origin {
        /// The path.
        path: &'a [u8],
        /// The query.
        query: Option<&'a [u8]>,
    },
    /// A whole `http` or `https` URI. Its authority and `Host` name the same origin.
    Absolute {
        /// Host and port.
        authority: &'a [u8],
        /// The path; empty if the URI has none, which means `/`, or `*` for `OPTIONS`.
        path: &'a [u8],
        /// The query.
        query: Option<&'a [u8]>,
    },
    /// Host and port of a `CONNECT`.
    Authority(&'a [u8]),
    /// The `*` of `OPTIONS *`.
    Asterisk,
}

/// Outcome of [`parse`] on bytes in which nothing was wrong.
#[derive(Debug)]
pub enum Parsed<'a> {
    /// More bytes are needed.
    Partial,
    /// A head, whose [`Head::head_bytes`] bytes are to be taken off the buffer.
    Complete(Head<'a>),
}

/// What the caller keeps between calls of [`parse`] while a head is partial. A new or reset one starts a head.
#[derive(Debug, Clone)]
pub struct Resume {
    facts: Facts,
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

    /// Where the line from `start` on was cut off, given that nothing is wrong with it.
    fn find(window: &[u8], facts: &Facts, limits: &Limits) -> Self {
        let line = &window[facts.next as usize..];
        let within = |harmless| Self { harmless, due_bytes: u32::MAX };
        if line.ends_with(b"\r") {
            return Self::ANYWHERE;
        }
        if facts.next > 0 {
            return within(if memchr::memchr(b':', line).is_some() { class::VALUE } else { class::TOKEN });
        }
        let mut spaces = memchr::memchr_iter(b' ', line);
        match (spaces.next(), spaces.next()) {
            (None, _) => within(class::TOKEN),
            (Some(space), None) => Self {
                harmless: class::TARGET | class::BRACKET,
                due_bytes: (space as u32 + 2).saturating_add(limits.target_bytes_max),
            },
            // In the version, which is short.
            (Some(_), Some(_)) => Self::ANYWHERE,
        }
    }
}

impl Default for Resume {
    fn default() -> Self {
        Self { facts: Facts::new(), seen_bytes: 0, cut: Cut::ANYWHERE }
    }
}

impl Resume {
    /// Whether a head is under way: some of its bytes have been seen.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        self.seen_bytes > 0
    }

    /// Whether `window` holds news, given that its first `seen_bytes` were looked at.
    fn is_due(&self, window: &[u8], limits: &Limits) -> bool {
        window.len() >= limits.head_bytes_max.min(self.cut.due_bytes) as usize
            || class::run_end(window, self.seen_bytes as usize, self.cut.harmless) < window.len()
    }
}

/// Parses the head at the start of `buf`.
///
/// While the answer is `Partial`, call again with the same bytes and more after them (they may have moved) and the
/// same `resume`. After `Complete` or an error `resume` is new again. `Partial` costs no more than it must: bytes are
/// looked at a bounded number of times, even if they come one by one.
///
/// # Errors
///
/// The peer's fault. Answer [`RequestError::problem`] and close the connection.
#[inline]
pub fn parse<'a>(buf: &'a [u8], limits: &Limits, resume: &mut Resume) -> Result<Parsed<'a>, RequestError> {
    let window = &buf[..buf.len().min(limits.head_bytes_max as usize)];
    let resumed = resume.is_under_way();
    let mut facts = Facts::new();
    if resumed {
        debug_assert!(window.len() >= resume.seen_bytes as usize, "bytes were taken off an unfinished head");
        if window.len() < resume.seen_bytes as usize {
            *resume = Resume::default();
        } else if !resume.is_due(window, limits) {
            resume.seen_bytes = window.len() as u32;
            return Ok(Parsed::Partial);
        }
        facts = resume.facts;
    }
    let outcome = run(window, limits, &mut facts);
    if let Ok(false) = outcome {
        if window.len() < limits.head_bytes_max as usize {
            *resume = Resume { facts, seen_bytes: window.len() as u32, cut: Cut::find(window, &facts, limits) };
            return Ok(Parsed::Partial);
        }
        *resume = Resume::default();
        return Err(RequestError::HeadTooLarge);
    }
    if resumed {
        *resume = Resume::default();
    }
    outcome?;
    Ok(Parsed::Complete(Head { head: &window[..facts.next as usize], facts }))
}

/// Reads lines from `facts.next` on; whether the head is whole.
#[inline]
fn run(window: &[u8], limits: &Limits, facts: &mut Facts) -> Result<bool, RequestError> {
    if facts.next == 0 {
        let Some(line) = start_line::parse(window, limits)? else {
            return Ok(false);
        };
        facts.note_start(&line);
    }
    loop {
        match field::line(window, facts.next as usize)? {
            Line::Partial => return Ok(false),
            Line::End(next) => {
                facts.next = next as u32;
                facts.finish(window, limits)?;
                return Ok(true);
            }
            Line::Field { name, value, next } => {
                if facts.field_count == limits.field_count_max {
                    return Err(RequestError::TooManyFields);
                }
                facts.field_count += 1;
                facts.note_field(window, name, value)?;
                facts.next = next as u32;
            }
        }
    }
}

/// A request head, checked whole, borrowing the bytes it came in.
#[derive(Debug, Clone)]
pub struct Head<'a> {
    head: &'a [u8],
    facts: Facts,
}

impl<'a> Head<'a> {
    /// Bytes of the head, from the start of the buffer through the empty line that ends it.
    #[inline]
    #[must_use]
    pub fn head_bytes(&self) -> usize {
        self.head.len()
    }

    /// The method.
    #[inline]
    #[must_use]
    pub fn method(&self) -> Method {
        self.facts.method
    }

    /// The method as sent; the only name an [`Method::Other`] has.
    #[must_use]
    pub fn method_text(&self) -> &'a [u8] {
        self.facts.method_span.of(self.head)
    }

    /// The version.
    #[inline]
    #[must_use]
    pub fn version(&self) -> Version {
        self.facts.version
    }

    /// The target as sent.
    #[must_use]
    pub fn target_text(&self) -> &'a [u8] {
        self.facts.target.of(self.head)
    }

    /// The target, taken apart.
    #[inline]
    #[must_use]
    pub fn target(&self) -> Target<'a> {
        let text = self.facts.target.of(self.head);
        match self.facts.form {
            Form::Origin => {
                let (path, query) = target::split_query(text);
                Target::Origin { path, query }
            }
            Form::Absolute => {
                let (_, authority, rest) = start_line::split_absolute(text).expect("the form was told from this split");
                let (path, query) = target::split_query(rest);
                Target::Absolute { authority, path, query }
            }
            Form::Authority => Target::Authority(text),
            Form::Asterisk => Target::Asterisk,
        }
    }

    /// How the body is delimited.
    #[inline]
    #[must_use]
    pub fn body(&self) -> Body {
        self.facts.body()
    }

    /// Whether the client would use the connection again.
    #[inline]
    #[must_use]
    pub fn keep_alive(&self) -> bool {
        self.facts.stays_open()
    }

    /// Whether the client waits for `100 Continue` before it sends the body. False if there is no body.
    #[inline]
    #[must_use]
    pub fn expect_continue(&self) -> bool {
        self.facts.expect_continue
    }

    /// `Host`: present in every 1.1 request, valid, perhaps empty.
    #[must_use]
    pub fn host(&self) -> Option<&'a [u8]> {
        self.recorded(Known::Host)
    }

    /// `Range`, not parsed; see [`crate::range`].
    #[inline]
    #[must_use]
    pub fn range(&self) -> Option<&'a [u8]> {
        self.recorded(Known::Range)
    }

    /// `If-Range`, not parsed.
    #[must_use]
    pub fn if_range(&self) -> Option<&'a [u8]> {
        self.recorded(Known::IfRange)
    }

    /// `Content-Type`, not parsed.
    #[must_use]
    pub fn content_type(&self) -> Option<&'a [u8]> {
        self.recorded(Known::ContentType)
    }

    /// `Content-Range`, not parsed. A `PUT` with it is a partial update, which must not be stored as a whole.
    #[must_use]
    pub fn content_range(&self) -> Option<&'a [u8]> {
        self.recorded(Known::ContentRange)
    }

    /// The lines of `If-Match`; see [`crate::conditional`].
    #[inline]
    #[must_use]
    pub fn if_match(&self) -> FieldLines<'a> {
        self.lines(Known::IfMatch)
    }

    /// The lines of `If-None-Match`; see [`crate::conditional`].
    #[inline]
    #[must_use]
    pub fn if_none_match(&self) -> FieldLines<'a> {
        self.lines(Known::IfNoneMatch)
    }

    /// The lines of `Cache-Control`; see [`crate::cache_control`].
    #[inline]
    #[must_use]
    pub fn cache_control(&self) -> FieldLines<'a> {
        self.lines(Known::CacheControl)
    }

    /// Every field in the order sent.
    #[must_use]
    pub fn fields(&self) -> Fields<'a> {
        Fields::new(self.head, self.facts.fields_start as usize)
    }

    #[inline]
    fn recorded(&self, known: Known) -> Option<&'a [u8]> {
        let span = self.facts.recorded[known as usize];
        (!span.is_absent()).then(|| span.of(self.head))
    }

    #[inline]
    fn lines(&self, known: Known) -> FieldLines<'a> {
        let repeated = self.facts.repeated & (1 << known as u8) != 0;
        let first = if repeated { None } else { self.recorded(known) };
        FieldLines { first, known, rest: repeated.then(|| self.fields()) }
    }
}

/// Iterator over the values of one field that may stand on several lines. Empty if the field is absent.
#[derive(Debug, Clone)]
pub struct FieldLines<'a> {
    /// The value of a field that stands once, which is nearly always.
    first: Option<&'a [u8]>,
    known: Known,
    rest: Option<Fields<'a>>,
}

impl FieldLines<'_> {
    /// Whether the field is absent, or has been read to its end.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first.is_none() && self.rest.is_none()
    }
}

impl<'a> Iterator for FieldLines<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        if let Some(value) = self.first.take() {
            return Some(value);
        }
        let rest = self.rest.as_mut()?;
        let found = rest.find(|(name, _)| Known::from_name(name) == Some(self.known));
        if found.is_none() {
            self.rest = None;
        }
        found.map(|(_, value)| value)
    }
}
