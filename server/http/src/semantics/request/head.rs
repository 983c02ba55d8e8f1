//! A parsed request head: views of the bytes it came in.
//!
//! **Not**: parsing; every byte was checked before a head is made.
//! **Invariants**: what is recorded by place is what a search through all fields would find.
//! **Source**: RFC 9110 section 5.3 (fields on several lines), 7.1 and 7.2.

use super::{HeadOffsets, HttpVersion, OwnedHead, RequestBody, RequestTarget, TargetForm};
use crate::Method;
use crate::field::Fields;
use crate::known::KnownField;
use crate::target;

/// A request head, checked whole, borrowing the bytes it came in.
#[derive(Debug, Clone, Copy)]
pub struct RequestHead<'a> {
    head: &'a [u8],
    offsets: &'a HeadOffsets,
}

impl<'a> RequestHead<'a> {
    #[inline]
    pub(crate) fn new(head: &'a [u8], offsets: &'a HeadOffsets) -> Self {
        Self { head, offsets }
    }

    /// The head with bytes of its own, which outlives the buffer it came in.
    #[must_use]
    pub fn into_owned(self) -> OwnedHead {
        OwnedHead::new(self.head, self.offsets)
    }

    /// The head as it came, through the empty line that ends it.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.head
    }

    /// Where the target ends in it.
    #[inline]
    #[must_use]
    pub fn target_end(&self) -> usize {
        self.offsets.target.end as usize
    }

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
        self.offsets.method
    }

    /// The method as sent; the only name an [`Method::Other`] has.
    #[must_use]
    pub fn method_text(&self) -> &'a [u8] {
        self.offsets.method_span.of(self.head)
    }

    /// The version.
    #[inline]
    #[must_use]
    pub fn version(&self) -> HttpVersion {
        self.offsets.version
    }

    /// The target as sent.
    #[must_use]
    pub fn target_text(&self) -> &'a [u8] {
        self.offsets.target.of(self.head)
    }

    /// The target, taken apart.
    #[inline(always)]
    #[must_use]
    pub fn target(&self) -> RequestTarget<'a> {
        let text = self.offsets.target.of(self.head);
        if self.offsets.is_plain && self.offsets.form == TargetForm::Origin {
            return RequestTarget::Origin { path: text, query: None };
        }
        match self.offsets.form {
            TargetForm::Origin => {
                let (path, query) = target::split_query(text);
                RequestTarget::Origin { path, query }
            }
            TargetForm::Absolute => {
                let (_, authority, rest) = target::split_absolute(text).expect("the form was recognised by this split");
                let (path, query) = target::split_query(rest);
                RequestTarget::Absolute { authority, path, query }
            }
            TargetForm::Authority => RequestTarget::Authority(text),
            TargetForm::Asterisk => RequestTarget::Asterisk,
        }
    }

    /// Whether the target is written plainly: it has no query, and no escape, bracket or brace. A plain path is its own
    /// decoding.
    #[inline]
    #[must_use]
    pub fn target_is_plain(&self) -> bool {
        self.offsets.is_plain
    }

    /// How the body is delimited.
    #[inline]
    #[must_use]
    pub fn body(&self) -> RequestBody {
        self.offsets.body()
    }

    /// Whether the client would use the connection again.
    #[inline]
    #[must_use]
    pub fn keep_alive(&self) -> bool {
        self.offsets.stays_open()
    }

    /// Whether the client waits for `100 Continue` before it sends the body. False if there is no body.
    #[inline]
    #[must_use]
    pub fn expect_continue(&self) -> bool {
        self.offsets.expect_continue
    }

    /// `Host`: present in every 1.1 request, valid, perhaps empty.
    #[must_use]
    pub fn host(&self) -> Option<&'a [u8]> {
        self.recorded(KnownField::Host)
    }

    /// `Range`, not parsed; see [`crate::range`].
    #[inline]
    #[must_use]
    pub fn range(&self) -> Option<&'a [u8]> {
        self.recorded(KnownField::Range)
    }

    /// `If-Range`, not parsed.
    #[must_use]
    pub fn if_range(&self) -> Option<&'a [u8]> {
        self.recorded(KnownField::IfRange)
    }

    /// `Content-Type`, not parsed.
    #[must_use]
    pub fn content_type(&self) -> Option<&'a [u8]> {
        self.recorded(KnownField::ContentType)
    }

    /// `Content-Range`, not parsed. A `PUT` with it is a partial update, which must not be stored as a whole.
    #[must_use]
    pub fn content_range(&self) -> Option<&'a [u8]> {
        self.recorded(KnownField::ContentRange)
    }

    /// The lines of `If-Match`; see [`crate::conditional`].
    #[inline]
    #[must_use]
    pub fn if_match(&self) -> FieldLines<'a> {
        self.lines(KnownField::IfMatch)
    }

    /// The lines of `If-None-Match`; see [`crate::conditional`].
    #[inline]
    #[must_use]
    pub fn if_none_match(&self) -> FieldLines<'a> {
        self.lines(KnownField::IfNoneMatch)
    }

    /// The lines of `Cache-Control`; see [`crate::cache_control`].
    #[inline]
    #[must_use]
    pub fn cache_control(&self) -> FieldLines<'a> {
        self.lines(KnownField::CacheControl)
    }

    /// Whether the response may be another than the whole representation: there is a precondition, or a range is asked for.
    #[inline]
    #[must_use]
    pub fn is_conditional_or_partial(&self) -> bool {
        const FIELDS: u8 =
            1 << KnownField::IfMatch as u8 | 1 << KnownField::IfNoneMatch as u8 | 1 << KnownField::Range as u8;
        self.offsets.present & FIELDS != 0
    }

    /// Every field in the order sent.
    #[must_use]
    pub fn fields(&self) -> Fields<'a> {
        Fields::new(&self.head[self.offsets.fields_start as usize..])
    }

    #[inline]
    fn recorded(&self, known: KnownField) -> Option<&'a [u8]> {
        let span = self.offsets.recorded[known as usize];
        (!span.is_absent()).then(|| span.of(self.head))
    }

    #[inline]
    fn lines(&self, known: KnownField) -> FieldLines<'a> {
        let repeated = self.offsets.repeated & (1 << known as u8) != 0;
        let first = if repeated { None } else { self.recorded(known) };
        FieldLines { first, known, rest: repeated.then(|| self.fields()) }
    }
}

/// Iterator over the values of one field that may stand on several lines. Empty if the field is absent.
#[derive(Debug, Clone)]
pub struct FieldLines<'a> {
    /// The value of a field that stands once, which is nearly always.
    first: Option<&'a [u8]>,
    known: KnownField,
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
        let found = rest.find(|(name, _)| KnownField::from_name(name) == Some(self.known));
        if found.is_none() {
            self.rest = None;
        }
        found.map(|(_, value)| value)
    }
}
