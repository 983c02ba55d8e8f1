//! RESP2, as redis and valkey speak it.
//!
//! | asked | reply | status |
//! |---|---|---|
//! | GET | `$N`, the value | 200 |
//! | GET | `$-1` | 404 |
//! | SET | `+OK` | 204: redis does not say whether there was a value |
//! | DEL | `:1` and more; `:0` | 204; 404 |
//! | any | `-MOVED …`, `-ASK …`: another node of a redis cluster has the key | 421 |
//! | any | `-…` | 500 |
//!
//! **Not** RESP3, which has to be asked for with HELLO and changes nothing of these replies but the look of a nil.
//!
//! **Source**: redis.io, "Redis serialization protocol specification".

use super::line::{LineReply, MalformedLine, length};
use super::{Ask, Decimal, KeyTemplate};
use crate::run::choice::Operation;
use crate::run::values::Values;

/// What is before the key's length, by operation.
const STARTS: [&[u8]; 3] = [b"*2\r\n$3\r\nGET\r\n$", b"*3\r\n$3\r\nSET\r\n$", b"*2\r\n$3\r\nDEL\r\n$"];

/// The same of a SET with a time to live, which has two arguments more.
const START_WITH_TTL: &[u8] = b"*5\r\n$3\r\nSET\r\n$";

/// Writes requests.
pub(in crate::run) struct RespRequests {
    key: KeyTemplate,
}

impl RespRequests {
    /// Requests for these keys.
    pub(super) const fn new(key: KeyTemplate) -> Self {
        Self { key }
    }

    /// Appends one request.
    #[inline]
    pub(super) fn write(&self, buffer: &mut Vec<u8>, ask: Ask, values: &Values) {
        let has_ttl = ask.operation == Operation::Put && ask.ttl_s > 0;
        buffer.extend_from_slice(if has_ttl { START_WITH_TTL } else { STARTS[ask.operation as usize] });
        let number = self.key.number(ask.key);
        buffer.extend_from_slice(Decimal::of(self.key.bytes(&number) as u64).as_bytes());
        buffer.extend_from_slice(b"\r\n");
        self.key.write(buffer, &number);
        buffer.extend_from_slice(b"\r\n");
        if ask.operation == Operation::Put {
            write_bulk(buffer, values.of(ask.key));
        }
        if has_ttl {
            buffer.extend_from_slice(b"$2\r\nEX\r\n");
            write_bulk(buffer, Decimal::of(ask.ttl_s.into()).as_bytes());
        }
    }
}

#[inline]
fn write_bulk(buffer: &mut Vec<u8>, bytes: &[u8]) {
    buffer.push(b'$');
    buffer.extend_from_slice(Decimal::of(bytes.len() as u64).as_bytes());
    buffer.extend_from_slice(b"\r\n");
    buffer.extend_from_slice(bytes);
    buffer.extend_from_slice(b"\r\n");
}

/// What a line says.
#[inline]
pub(super) fn reply(line: &[u8]) -> Result<LineReply, MalformedLine> {
    match line {
        b"$-1" => Ok(LineReply::bare(404)),
        [b'$', digits @ ..] => Ok(LineReply::found(length(digits)?)),
        [b'+', ..] => Ok(LineReply::bare(204)),
        b":0" => Ok(LineReply::bare(404)),
        [b':', ..] => Ok(LineReply::bare(204)),
        [b'-', why @ ..] if why.starts_with(b"MOVED ") || why.starts_with(b"ASK ") => Ok(LineReply::bare(421)),
        [b'-', ..] => Ok(LineReply::bare(500)),
        _ => Err(MalformedLine::Unknown),
    }
}

#[cfg(test)]
mod tests {
    use redis_protocol::resp2::decode::decode;
    use redis_protocol::resp2::encode::encode;
    use redis_protocol::resp2::types::OwnedFrame;

    use super::super::LoadTarget;
    use super::super::heard::{ask, template, values};
    use super::super::line::tests::{assert_heard, assert_refused};
    use super::*;

    fn bulk(bytes: &[u8]) -> OwnedFrame {
        OwnedFrame::BulkString(bytes.to_vec())
    }

    /// What we write is what another implementation of the protocol reads.
    #[test]
    fn requests_are_commands() {
        let target = LoadTarget::parse("redis://127.0.0.1/a{key}z").expect("it is right");
        let (requests, values) = (RespRequests::new(template(&target)), values());
        for (asked, words) in [
            (ask(Operation::Get, 7, 0), vec![&b"GET"[..], b"a7z"]),
            (ask(Operation::Get, 1_234, 9), vec![b"GET", b"a1234z"]),
            (ask(Operation::Put, 7, 0), vec![b"SET", b"a7z", values.of(7)]),
            (ask(Operation::Put, 7, 60), vec![b"SET", b"a7z", values.of(7), b"EX", b"60"]),
            (ask(Operation::Delete, 0, 0), vec![b"DEL", b"a0z"]),
        ] {
            let mut buffer = Vec::new();
            requests.write(&mut buffer, asked, &values);
            let expected = OwnedFrame::Array(words.into_iter().map(bulk).collect());
            assert_eq!(decode(&buffer).expect("it is RESP"), Some((expected, buffer.len())), "{asked:?}");
        }
    }

    /// What another implementation writes is what we read, in any pieces.
    #[test]
    fn replies_are_heard_whole_in_any_pieces() {
        let frames = [
            (bulk(b"hello"), (0, 200, 5, true)),
            (OwnedFrame::SimpleString(b"OK".to_vec()), (0, 204, 0, true)),
            (OwnedFrame::Null, (0, 404, 0, true)),
            (OwnedFrame::Integer(1), (0, 204, 0, true)),
            (OwnedFrame::Integer(0), (0, 404, 0, true)),
            (OwnedFrame::Error("OOM command not allowed".to_owned()), (0, 500, 0, true)),
            (OwnedFrame::Error("MOVED 3999 127.0.0.1:6381".to_owned()), (0, 421, 0, true)),
            (bulk(b"no!\r\n"), (0, 200, 5, false)),
            (bulk(b""), (0, 200, 0, true)),
        ];
        let mut stream = Vec::new();
        for (frame, _) in &frames {
            let mut buffer = [0; 64];
            let length = encode(&mut buffer, frame, false).expect("it fits");
            stream.extend_from_slice(&buffer[..length]);
        }
        let expected: Vec<_> = frames.iter().map(|(_, heard)| *heard).collect();
        assert_heard(&stream, reply, &expected, b"hellono!\r\n");
    }

    #[test]
    fn what_is_no_reply_is_named() {
        let lines: &[(&[u8], MalformedLine)] = &[
            (b"HTTP/1.1 400 Bad Request", MalformedLine::Unknown),
            (b"*1", MalformedLine::Unknown),
            (b"", MalformedLine::Unknown),
            (b"$", MalformedLine::BadLength),
            (b"$-2", MalformedLine::BadLength),
            (b"$1x", MalformedLine::BadLength),
        ];
        assert_refused(reply, lines);
    }
}
