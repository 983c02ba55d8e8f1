//! memcached's meta protocol: one answer to every request, without the key in it.
//!
//! | asked | answer | status |
//! |---|---|---|
//! | `mg KEY v` | `VA N`, the value | 200 |
//! | `mg KEY v` | `EN` | 404 |
//! | `ms KEY N` and the value, `T` before its time to live | `HD` | 204: memcached does not say whether there was a value |
//! | `md KEY` | `HD`; `NF` | 204; 404 |
//! | any | `ERROR`, `CLIENT_ERROR …`, `SERVER_ERROR …`, `NS` (not stored) | 500 |
//!
//! **Not** the classic text protocol (its answer to a GET repeats the key and ends with a line of its own), nor the binary
//! one, which memcached itself calls obsolete. A memcached before 1.6 answers ERROR.
//!
//! **Source**: memcached 1.6, `doc/protocol.txt`, "Meta Commands".

use super::line::{LineReply, MalformedLine, length};
use super::{Ask, Decimal, KeyTemplate};
use crate::run::choice::Operation;
use crate::run::values::Values;

/// From here on memcached takes a time to live for a date (30 days, in seconds).
const TTL_S_MAX: u32 = 30 * 24 * 3600;

/// Writes requests.
pub(in crate::run) struct MemcachedRequests {
    key: KeyTemplate,
}

impl MemcachedRequests {
    /// Requests for these keys.
    pub(super) const fn new(key: KeyTemplate) -> Self {
        Self { key }
    }

    /// Appends one request.
    #[inline]
    pub(super) fn write(&self, buffer: &mut Vec<u8>, ask: Ask, values: &Values) {
        const COMMANDS: [&[u8]; 3] = [b"mg ", b"ms ", b"md "];
        buffer.extend_from_slice(COMMANDS[ask.operation as usize]);
        self.key.write(buffer, &self.key.number(ask.key));
        match ask.operation {
            Operation::Get => buffer.extend_from_slice(b" v\r\n"),
            Operation::Delete => buffer.extend_from_slice(b"\r\n"),
            Operation::Put => write_value(buffer, values.of(ask.key), ask.ttl_s),
        }
    }
}

#[inline]
fn write_value(buffer: &mut Vec<u8>, value: &[u8], ttl_s: u32) {
    buffer.push(b' ');
    buffer.extend_from_slice(Decimal::of(value.len() as u64).as_bytes());
    if ttl_s > 0 {
        buffer.extend_from_slice(b" T");
        buffer.extend_from_slice(Decimal::of(ttl_s.min(TTL_S_MAX).into()).as_bytes());
    }
    buffer.extend_from_slice(b"\r\n");
    buffer.extend_from_slice(value);
    buffer.extend_from_slice(b"\r\n");
}

/// What a line says.
#[inline]
pub(super) fn reply(line: &[u8]) -> Result<LineReply, MalformedLine> {
    // Flags that were not asked for do not come, but a blank may stand before where they would.
    let word_bytes = memchr::memchr(b' ', line).unwrap_or(line.len());
    let (word, rest) = line.split_at(word_bytes);
    match word {
        b"VA" => Ok(LineReply::found(length(rest.trim_ascii())?)),
        b"HD" => Ok(LineReply::bare(204)),
        b"EN" | b"NF" => Ok(LineReply::bare(404)),
        b"NS" | b"ERROR" | b"CLIENT_ERROR" | b"SERVER_ERROR" => Ok(LineReply::bare(500)),
        _ => Err(MalformedLine::Unknown),
    }
}

#[cfg(test)]
mod tests {
    use super::super::LoadTarget;
    use super::super::heard::{ask, template, values};
    use super::super::line::tests::{assert_heard, assert_refused};
    use super::*;

    #[test]
    fn requests_are_meta_commands() {
        let target = LoadTarget::parse("memcached://127.0.0.1/a{key}z").expect("it is right");
        let (requests, values) = (MemcachedRequests::new(template(&target)), values());
        let value = String::from_utf8(values.of(7).to_vec()).expect("values are text");
        for (asked, expected) in [
            (ask(Operation::Get, 7, 9), "mg a7z v\r\n".to_owned()),
            (ask(Operation::Put, 7, 0), format!("ms a7z 5\r\n{value}\r\n")),
            (ask(Operation::Put, 7, 60), format!("ms a7z 5 T60\r\n{value}\r\n")),
            (ask(Operation::Put, 7, u32::MAX), format!("ms a7z 5 T2592000\r\n{value}\r\n")),
            (ask(Operation::Delete, 1_234, 0), "md a1234z\r\n".to_owned()),
        ] {
            let mut buffer = Vec::new();
            requests.write(&mut buffer, asked, &values);
            assert_eq!(String::from_utf8_lossy(&buffer), expected);
        }
    }

    #[test]
    fn answers_are_heard_whole_in_any_pieces() {
        let stream =
            b"VA 5\r\nhello\r\nEN\r\nHD\r\nHD \r\nNF\r\nSERVER_ERROR out of memory\r\nVA 3 \r\nno!\r\nVA 0\r\n\r\n";
        let expected = [
            (0, 200, 5, true),
            (0, 404, 0, true),
            (0, 204, 0, true),
            (0, 204, 0, true),
            (0, 404, 0, true),
            (0, 500, 0, true),
            (0, 200, 3, false),
            (0, 200, 0, true),
        ];
        assert_heard(stream, reply, &expected, b"hellono!");
    }

    #[test]
    fn what_is_no_answer_is_named() {
        let lines: &[(&[u8], MalformedLine)] = &[
            (b"VALUE k 0 5", MalformedLine::Unknown),
            (b"", MalformedLine::Unknown),
            (b"+OK", MalformedLine::Unknown),
            (b"VA", MalformedLine::BadLength),
            (b"VA x", MalformedLine::BadLength),
        ];
        assert_refused(reply, lines);
    }
}
