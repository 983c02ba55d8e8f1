//! Field lines: one line of a head or a trailer section, and iteration over lines already validated.
//!
//! **Not**: what a field means, except that its value may be sent ([`FieldValue`]).
//! **Invariants**: a name is a token with no white space before its colon; a value holds no control byte but tab and
//! has no white space at its ends; a line ends with CR LF and nothing else; folding is refused.
//! **Source**: RFC 9112 section 2.2 and 5; RFC 9110 section 5.

use crate::class;
use thiserror::Error;

/// Why a field line was refused. Always the peer's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{}", self.detail())]
pub enum FieldError {
    /// CR without LF after it.
    BareCr,
    /// LF without CR before it.
    BareLf,
    /// A line that begins with white space: obsolete folding, or white space before the first field.
    Folded,
    /// White space between a field's name and its colon.
    SpaceBeforeColon,
    /// A name that is empty, holds a byte no token may hold, or has no colon after it.
    Name,
    /// A control byte, NUL among them, in a value.
    Value,
}

impl FieldError {
    /// The sentence for an answer's `detail`.
    #[must_use]
    pub fn detail(self) -> &'static str {
        match self {
            Self::BareCr => "a carriage return is not followed by a line feed",
            Self::BareLf => "a line feed is not preceded by a carriage return",
            Self::Folded => "a field line begins with white space; folded lines are not accepted",
            Self::SpaceBeforeColon => "there is white space before the colon of a field",
            Self::Name => "a field name is not a token followed by a colon",
            Self::Value => "a field value holds a control byte",
        }
    }
}

/// A half-open range of a head, in bytes from its start. `end == 0` means absent: no part of a head ends at 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Span {
    #[inline]
    pub(crate) fn new(start: usize, end: usize) -> Self {
        // A head is cut to `Limits::head_bytes_max`, a u32, before any of it is looked at.
        Self { start: start as u32, end: end as u32 }
    }

    #[inline]
    pub(crate) fn is_absent(self) -> bool {
        self.end == 0
    }

    #[inline]
    pub(crate) fn of(self, buf: &[u8]) -> &[u8] {
        &buf[self.start as usize..self.end as usize]
    }
}

/// What stands at the start of a line in a field section.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// The line has not arrived whole; nothing wrong so far.
    Partial,
    /// The empty line that ends the section; the index is the first after it.
    End(usize),
    /// A field, and the index of the next line.
    Field { name: Span, value: Span, next: usize },
}

/// Reads one line of a field section. Its verdict on a prefix is never changed by bytes that follow.
#[inline]
pub(crate) fn line(buf: &[u8], at: usize) -> Result<Line, FieldError> {
    let name_end = class::run_end(buf, at, class::TOKEN);
    if name_end == buf.len() {
        return Ok(Line::Partial);
    }
    if buf[name_end] != b':' || name_end == at {
        return line_without_name(buf, at, name_end);
    }
    let mut value_start = name_end + 1;
    while let Some(b' ' | b'\t') = buf.get(value_start) {
        value_start += 1;
    }
    let line_end = class::value_end(buf, value_start);
    if line_end == buf.len() {
        return Ok(Line::Partial);
    }
    let Some(next) = line_break(buf, line_end)? else {
        return Ok(Line::Partial);
    };
    let mut value_end = line_end;
    while value_end > value_start && matches!(buf[value_end - 1], b' ' | b'\t') {
        value_end -= 1;
    }
    Ok(Line::Field { name: Span::new(at, name_end), value: Span::new(value_start, value_end), next })
}

/// Index after the CR LF at `at`, or `None` if it is cut off. `at` must be inside `buf`.
#[inline]
pub(crate) fn line_break(buf: &[u8], at: usize) -> Result<Option<usize>, FieldError> {
    match buf[at] {
        b'\r' => match buf.get(at + 1) {
            Some(b'\n') => Ok(Some(at + 2)),
            Some(_) => Err(FieldError::BareCr),
            None => Ok(None),
        },
        b'\n' => Err(FieldError::BareLf),
        _ => Err(FieldError::Value),
    }
}

#[cold]
fn refused_name(byte: u8, name_bytes: usize) -> FieldError {
    match (byte, name_bytes) {
        (b'\n', _) => FieldError::BareLf,
        (b' ' | b'\t', 0) => FieldError::Folded,
        (b' ' | b'\t', _) => FieldError::SpaceBeforeColon,
        _ => FieldError::Name,
    }
}

fn line_without_name(buf: &[u8], at: usize, name_end: usize) -> Result<Line, FieldError> {
    if buf[name_end] == b'\r' && name_end == at {
        return Ok(line_break(buf, at)?.map_or(Line::Partial, Line::End));
    }
    Err(refused_name(buf[name_end], name_end - at))
}

/// Iterator over the (name, value) pairs of a field section that was validated whole, in the order sent.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    head: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(head: &'a [u8], at: usize) -> Self {
        Self { head, at }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        match line(self.head, self.at) {
            Ok(Line::Field { name, value, next }) => {
                self.at = next;
                Some((name.of(self.head), value.of(self.head)))
            }
            _ => None,
        }
    }
}

/// Bytes that may be sent as a field's value: they cannot end the line or the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldValue<'a>(&'a [u8]);

impl<'a> FieldValue<'a> {
    /// `application/octet-stream`, the type of a value that was stored with none.
    pub const OCTET_STREAM: FieldValue<'static> = FieldValue(b"application/octet-stream");
    /// `application/problem+json`, the type of every error body.
    pub const PROBLEM_JSON: FieldValue<'static> = FieldValue(b"application/problem+json");
    /// `application/json`.
    pub const JSON: FieldValue<'static> = FieldValue(b"application/json");
    /// `text/plain; charset=utf-8`.
    pub const TEXT: FieldValue<'static> = FieldValue(b"text/plain; charset=utf-8");

    /// The bytes as a value, or `None` if one of them is a control byte other than tab.
    #[inline]
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        (class::value_end(bytes, 0) == bytes.len()).then_some(Self(bytes))
    }

    /// The bytes.
    #[inline]
    #[must_use]
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_lines() {
        for (text, want) in [
            ("a: b\rc\r\n", FieldError::BareCr),
            ("\r\r\n", FieldError::BareCr),
            ("a: b\n", FieldError::BareLf),
            ("\n", FieldError::BareLf),
            ("a\n", FieldError::BareLf),
            (" a: b\r\n", FieldError::Folded),
            ("\ta: b\r\n", FieldError::Folded),
            ("a : b\r\n", FieldError::SpaceBeforeColon),
            ("a\t: b\r\n", FieldError::SpaceBeforeColon),
            (": b\r\n", FieldError::Name),
            ("a\r\n", FieldError::Name),
            ("a(b): c\r\n", FieldError::Name),
            ("a\0: c\r\n", FieldError::Name),
            ("\u{e9}: c\r\n", FieldError::Name),
            ("a: b\0c\r\n", FieldError::Value),
            ("a: b\x7fc\r\n", FieldError::Value),
            ("a: b\x0bc\r\n", FieldError::Value),
        ] {
            assert_eq!(line(text.as_bytes(), 0), Err(want), "{text:?}");
        }
    }

    #[test]
    fn values_are_trimmed_and_may_be_empty() {
        let head = b"A:\r\nb: \t x y\t \r\nC:\xff\r\n\r\n";
        let fields: Vec<_> = Fields::new(head, 0).collect();
        assert_eq!(fields, [(&b"A"[..], &b""[..]), (b"b", b"x y"), (b"C", b"\xff")]);
    }

    #[test]
    fn sendable_values() {
        assert!(FieldValue::new(b"text/html; charset=\"\xff\"\t").is_some());
        for bad in [&b"a\r\nb"[..], b"a\n", b"\0"] {
            assert!(FieldValue::new(bad).is_none(), "{bad:?}");
        }
    }
}
