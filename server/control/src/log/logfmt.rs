//! One event as one line: time, then `name=value` pairs.
//!
//! **Not** a writer. **Invariants**: a line has one line end, its last byte; a value is read back as it was, but for what is
//! beyond [`VALUE_CHARS_MAX`].
//!
//! **Source**: logfmt; RFC 3339 section 5.6.

use std::fmt::{self, Display, Write as _};

use corelane_http::date::HttpDate;

/// Named values of an event. Names are words of lower-case letters, digits and `_`.
pub type LogFields<'a> = &'a [(&'static str, &'a dyn Display)];

/// Characters of one value at most; what is beyond is replaced by an ellipsis. A path or a message of an error fits.
const VALUE_CHARS_MAX: usize = 1024;

const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// Appends a line with the time and the fields, those of `head` first.
pub(super) fn encode(out: &mut String, wall_ms: u64, head: LogFields<'_>, fields: LogFields<'_>) {
    push_time(out, wall_ms / 1000);
    let mut value = String::new();
    for (name, field) in head.iter().chain(fields) {
        value.clear();
        write_value(&mut value, field);
        out.push(' ');
        out.push_str(name);
        out.push('=');
        push_value(out, &value);
    }
    out.push('\n');
}

/// Appends the text of a value, up to [`VALUE_CHARS_MAX`] characters.
pub(super) fn write_value(out: &mut String, value: &dyn Display) {
    write!(Bounded { out, left: VALUE_CHARS_MAX }, "{value}").expect("a string takes all that is written");
}

/// Appends a time in seconds of Unix time as `2026-01-01T00:00:00Z`.
pub fn push_time(out: &mut String, unix_s: u64) {
    // The calendar is the one of the HTTP date, `Sun, 06 Nov 1994 08:49:37 GMT`; only the order of its parts differs.
    let date = HttpDate::from_unix_seconds(unix_s);
    let date = date.as_bytes();
    let text = |range: std::ops::Range<usize>| std::str::from_utf8(&date[range]).expect("an HTTP date is ASCII");
    let month = MONTHS.iter().position(|name| name[..] == date[8..11]).expect("an HTTP date names its month") + 1;
    let (year, day, time) = (text(12..16), text(5..7), text(17..25));
    write!(out, "{year}-{month:02}-{day}T{time}Z").expect("a string takes all that is written to it");
}

/// Appends a value, in quotes if it must be.
fn push_value(out: &mut String, value: &str) {
    let is_plain = |char: char| !char.is_whitespace() && !char.is_control() && !matches!(char, '"' | '=' | '\\');
    if !value.is_empty() && value.chars().all(is_plain) {
        out.push_str(value);
        return;
    }
    out.push('"');
    for char in value.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // The line separators of Unicode end a line for some readers.
            control if control.is_control() || matches!(control, '\u{2028}' | '\u{2029}') => {
                write!(out, "\\u{:04x}", control as u32).expect("a string takes all that is written to it");
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

/// Takes so many characters and marks that there were more.
struct Bounded<'a> {
    out: &'a mut String,
    left: usize,
}

impl fmt::Write for Bounded<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for char in text.chars() {
            match self.left {
                0 => return Ok(()),
                1 => self.out.push('…'),
                _ => self.out.push(char),
            }
            self.left -= 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(wall_ms: u64, fields: LogFields<'_>) -> String {
        let mut out = String::new();
        encode(&mut out, wall_ms, &[("level", &"info")], fields);
        out
    }

    #[test]
    fn times() {
        for (wall_ms, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (999, "1970-01-01T00:00:00Z"),
            (784_111_777_000, "1994-11-06T08:49:37Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (1_767_225_600_000, "2026-01-01T00:00:00Z"),
            (1_798_761_599_999, "2026-12-31T23:59:59Z"),
        ] {
            assert_eq!(line(wall_ms, &[]), format!("{expected} level=info\n"));
        }
    }

    #[test]
    fn values_are_quoted_when_they_must_be() {
        for (value, expected) in [
            ("plain", "plain"),
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("", "\"\""),
            ("two words", "\"two words\""),
            ("a=b", "\"a=b\""),
            ("say \"hi\"", "\"say \\\"hi\\\"\""),
            ("C:\\x", "\"C:\\\\x\""),
            ("a\nlevel=error\r\t", "\"a\\nlevel=error\\r\\t\""),
            ("\0\x1b[31m\u{85}\u{2028}", "\"\\u0000\\u001b[31m\\u0085\\u2028\""),
            ("größe", "größe"),
        ] {
            assert_eq!(line(0, &[("value", &value)]), format!("1970-01-01T00:00:00Z level=info value={expected}\n"));
        }
    }

    #[test]
    fn long_values_are_cut() {
        let exact = "x".repeat(VALUE_CHARS_MAX - 1);
        assert!(line(0, &[("value", &exact), ("next", &1)]).ends_with(&format!("={exact} next=1\n")));
        let long = "y".repeat(VALUE_CHARS_MAX * 2);
        let cut = format!("={}… next=1\n", &long[..VALUE_CHARS_MAX - 1]);
        assert!(line(0, &[("value", &long), ("next", &1)]).ends_with(&cut));
    }
}
