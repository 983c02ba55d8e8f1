//! Field lines: one line of a head or a trailer section.
//!
//! **Not**: what a field means.
//! **Invariants**: a name is a token with no white space before its colon; a value holds no control byte but tab and
//! has no white space at its ends; a line ends with CR LF and nothing else; folding is refused.
//! **Source**: RFC 9112 section 2.2 and 5; RFC 9110 section 5.

use crate::class;
use crate::field::HeadSpan;
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
    /// The sentence for a response's `detail`.
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

/// What stands at the start of a line in a field section.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SectionLine {
    /// The line has not arrived whole; nothing wrong so far.
    Partial,
    /// The empty line that ends the section; the index is the first after it.
    End(usize),
    /// A field, and the index of the next line.
    Field { name: HeadSpan, value: HeadSpan, next: usize },
}

/// Reads one line of a field section. Its verdict on a prefix is never changed by bytes that follow.
#[inline]
pub(crate) fn read(buf: &[u8], at: usize) -> Result<SectionLine, FieldError> {
    let name_end = class::run_end(buf, at, class::TOKEN);
    if name_end == buf.len() {
        return Ok(SectionLine::Partial);
    }
    if buf[name_end] != b':' || name_end == at {
        return without_name(buf, at, name_end);
    }
    let mut value_start = name_end + 1;
    while let Some(b' ' | b'\t') = buf.get(value_start) {
        value_start += 1;
    }
    let line_end = class::value_end(buf, value_start);
    if line_end == buf.len() {
        return Ok(SectionLine::Partial);
    }
    let Some(next) = end(buf, line_end)? else {
        return Ok(SectionLine::Partial);
    };
    let mut value_end = line_end;
    while value_end > value_start && matches!(buf[value_end - 1], b' ' | b'\t') {
        value_end -= 1;
    }
    Ok(SectionLine::Field { name: HeadSpan::new(at, name_end), value: HeadSpan::new(value_start, value_end), next })
}

/// Index after the CR LF at `at`, or `None` if it is cut off. `at` must be inside `buf`.
#[inline]
pub(crate) fn end(buf: &[u8], at: usize) -> Result<Option<usize>, FieldError> {
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

fn without_name(buf: &[u8], at: usize, name_end: usize) -> Result<SectionLine, FieldError> {
    if buf[name_end] == b'\r' && name_end == at {
        return Ok(end(buf, at)?.map_or(SectionLine::Partial, SectionLine::End));
    }
    Err(refused_name(buf[name_end], name_end - at))
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
            assert_eq!(read(text.as_bytes(), 0), Err(want), "{text:?}");
        }
    }
}
