//! Fields: where they stand in a head, iteration over the fields of one that was validated, and values that may be sent.
//!
//! **Not**: what a field means; reading lines that were not checked (`crate::h1::line`).
//! **Invariants**: a [`FieldValue`] can end neither its line nor its head.
//! **Source**: RFC 9110 section 5.

use crate::class;
use crate::known::KnownField;

/// A half-open range of a head, in bytes from its start. `end == 0` means absent: no part of a head ends at 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct HeadSpan {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl HeadSpan {
    #[inline]
    pub(crate) fn new(start: usize, end: usize) -> Self {
        // A head is cut to `MessageLimits::head_bytes_max`, a u32, before any of it is looked at.
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

/// Iterator over the (name, value) pairs of a field section that was validated whole, in the order sent.
///
/// A section is lines of `name: value` that end with CR LF, and an empty line. White space around a value is no part of it.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// `section` ends with its empty line.
    pub(crate) fn new(section: &'a [u8]) -> Self {
        Self { rest: section }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        // No name holds a colon, and no value a carriage return.
        let (name, rest) = self.rest.split_at_checked(memchr::memchr(b':', self.rest)?)?;
        let (value, next) = rest.split_at_checked(memchr::memchr(b'\r', rest)?)?;
        self.rest = next.get(2..)?;
        Some((name, class::trim(&value[1..])))
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

/// A field that may be sent beside those that a head knows by name.
///
/// It cannot end its line or the head. And it does not say where its message ends or what becomes of the connection:
/// that is the business of whoever writes the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldLine<'a> {
    name: &'a [u8],
    value: FieldValue<'a>,
}

impl<'a> FieldLine<'a> {
    /// The field, or `None` if the name is no token, if the value holds a control byte other than tab, or if the name is
    /// `Content-Length`, `Transfer-Encoding` or `Connection`.
    #[must_use]
    pub fn new(name: &'a [u8], value: &'a [u8]) -> Option<Self> {
        let is_token = !name.is_empty() && class::all(name, class::TOKEN);
        if !is_token || KnownField::from_name(name).is_some_and(KnownField::is_framing) {
            return None;
        }
        Some(Self { name, value: FieldValue::new(value)? })
    }

    /// The name.
    #[must_use]
    pub fn name(self) -> &'a [u8] {
        self.name
    }

    /// The value.
    #[must_use]
    pub fn value(self) -> FieldValue<'a> {
        self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_trimmed_and_may_be_empty() {
        let head = b"A:\r\nb: \t x y\t \r\nC:\xff\r\n\r\n";
        let fields: Vec<_> = Fields::new(head).collect();
        assert_eq!(fields, [(&b"A"[..], &b""[..]), (b"b", b"x y"), (b"C", b"\xff")]);
    }

    #[test]
    fn sendable_values() {
        assert!(FieldValue::new(b"text/html; charset=\"\xff\"\t").is_some());
        for bad in [&b"a\r\nb"[..], b"a\n", b"\0"] {
            assert!(FieldValue::new(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn sendable_fields() {
        for (name, value, sendable) in [
            ("X-A", "b", true),
            ("Set-Cookie", "a=b; Path=/", true),
            ("Via", "", true),
            ("", "b", false),
            ("X A", "b", false),
            ("X:", "b", false),
            ("X\r\nY", "b", false),
            ("X", "b\r\nY: z", false),
            ("X", "b\n", false),
            ("X", "\0", false),
            ("Content-Length", "1", false),
            ("content-length", "1", false),
            ("TRANSFER-ENCODING", "chunked", false),
            ("Connection", "close", false),
            ("Content-Lengths", "1", true),
            ("Host", "a", true),
        ] {
            let line = FieldLine::new(name.as_bytes(), value.as_bytes());
            assert_eq!(line.is_some(), sendable, "{name:?}: {value:?}");
            if let Some(line) = line {
                assert_eq!((line.name(), line.value().as_bytes()), (name.as_bytes(), value.as_bytes()));
            }
        }
    }
}
