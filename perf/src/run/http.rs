//! HTTP/1.1 as the generator speaks it: requests written from a template, answers read in whatever pieces they come.
//!
//! **Not** a general client: an answer says how long it is with Content-Length. No chunks, no other versions.
//!
//! **Invariants**: no byte of an answer is kept but those of a head that has come in part; an answer is reported once, with
//! its last byte.
//!
//! **Source**: RFC 9112 sections 4 and 6.3.

use super::choice::Operation;
use super::scenario::Target;
use super::values::Values;

/// A head beyond this is no answer to a request of ours.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Writes requests.
pub(super) struct Requests {
    /// From the method to the key, by operation.
    starts: [Vec<u8>; 3],
    /// From behind the key to the end of the head, without Content-Length.
    end: Vec<u8>,
    has_key: bool,
}

impl Requests {
    /// Requests to this target.
    pub(super) fn new(target: &Target) -> Self {
        let (before, after) = &target.path;
        let start = |method: &str| format!("{method} {before}").into_bytes();
        Self {
            starts: [start("GET"), start("PUT"), start("DELETE")],
            end: format!("{after} HTTP/1.1\r\nHost: {}\r\n", target.authority).into_bytes(),
            has_key: target.has_key,
        }
    }

    /// Appends one request.
    #[inline]
    pub(super) fn write(&self, buffer: &mut Vec<u8>, (operation, key): (Operation, u64), values: &Values) {
        buffer.extend_from_slice(&self.starts[operation as usize]);
        if self.has_key {
            write_decimal(buffer, key);
        }
        buffer.extend_from_slice(&self.end);
        if operation == Operation::Put {
            let value = values.of(key);
            buffer.extend_from_slice(b"Content-Length: ");
            write_decimal(buffer, value.len() as u64);
            if let Some(seconds) = values.ttl_seconds(key) {
                buffer.extend_from_slice(b"\r\nCache-Control: max-age=");
                write_decimal(buffer, seconds.into());
            }
            buffer.extend_from_slice(b"\r\n\r\n");
            buffer.extend_from_slice(value);
        } else {
            buffer.extend_from_slice(b"\r\n");
        }
    }
}

fn write_decimal(buffer: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    buffer.extend_from_slice(&digits[start..]);
}

/// What is wrong with bytes that should be an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("an answer does not begin with HTTP/1.1 and a status")]
    StatusLine,
    #[error("an answer has no Content-Length (chunked answers are not read)")]
    NoLength,
    #[error("the Content-Length of an answer is no number")]
    BadLength,
    #[error("the head of an answer is longer than 16 KiB")]
    HeadTooLong,
}

/// What an answer's head says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Head {
    status: u16,
    body_bytes: usize,
}

/// Who hears of answers as they come.
pub(super) trait Listener {
    /// Whether these bytes of the body, from `offset` on, are right.
    fn body(&mut self, status: u16, offset: usize, bytes: &[u8]) -> bool;
    /// An answer has come whole. `is_right`: what `body` said, for all of it.
    fn answer(&mut self, status: u16, body_bytes: usize, is_right: bool);
}

/// Reads answers from one connection.
#[derive(Default)]
pub(super) struct Answers {
    /// The last head, bytes and meaning: most answers begin with the same ones.
    known: Vec<u8>,
    known_head: Head,
    /// A head that has come in part.
    partial: Vec<u8>,
    /// The answer whose body is coming, how much of it has come, and whether that was right.
    coming: Option<(Head, usize, bool)>,
}

impl Answers {
    /// Reads what has come; `listener` hears of every answer that is complete with it.
    ///
    /// # Errors
    /// The server's; the connection is of no use afterwards.
    #[inline]
    pub(super) fn read(&mut self, mut bytes: &[u8], listener: &mut impl Listener) -> Result<(), Malformed> {
        while !bytes.is_empty() {
            if self.coming.is_none() {
                let Some((head, used)) = self.head(bytes)? else { return Ok(()) };
                self.coming = Some((head, 0, true));
                bytes = &bytes[used..];
            }
            let (head, come, is_right) = self.coming.as_mut().expect("set above");
            let part = &bytes[..bytes.len().min(head.body_bytes - *come)];
            if !part.is_empty() {
                *is_right &= listener.body(head.status, *come, part);
                *come += part.len();
                bytes = &bytes[part.len()..];
            }
            if *come == head.body_bytes {
                let (head, is_right) = (*head, *is_right);
                self.coming = None;
                listener.answer(head.status, head.body_bytes, is_right);
            }
        }
        Ok(())
    }

    /// The head at the start of `bytes`, and how many of them it took; `None` when it goes on beyond them.
    #[inline]
    fn head(&mut self, bytes: &[u8]) -> Result<Option<(Head, usize)>, Malformed> {
        if self.partial.is_empty() && !self.known.is_empty() && bytes.starts_with(&self.known) {
            return Ok(Some((self.known_head, self.known.len())));
        }
        self.new_head(bytes)
    }

    #[inline(never)]
    fn new_head(&mut self, bytes: &[u8]) -> Result<Option<(Head, usize)>, Malformed> {
        let before = self.partial.len();
        // The end may lie across the pieces: three bytes of it in the last one.
        self.partial.extend_from_slice(&bytes[..bytes.len().min(HEAD_BYTES_MAX)]);
        let from = before.saturating_sub(3);
        let Some(end) = memchr::memmem::find(&self.partial[from..], b"\r\n\r\n") else {
            return if self.partial.len() >= HEAD_BYTES_MAX { Err(Malformed::HeadTooLong) } else { Ok(None) };
        };
        let head_bytes = from + end + 4;
        self.partial.truncate(head_bytes);
        std::mem::swap(&mut self.partial, &mut self.known);
        self.partial.clear();
        self.known_head = parse(&self.known).inspect_err(|_| self.known.clear())?;
        Ok(Some((self.known_head, head_bytes - before)))
    }
}

fn parse(head: &[u8]) -> Result<Head, Malformed> {
    let mut lines = head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let status = lines.next().and_then(parse_status).ok_or(Malformed::StatusLine)?;
    let mut length = None;
    for line in lines {
        let Some(colon) = memchr::memchr(b':', line) else { continue };
        if line[..colon].eq_ignore_ascii_case(b"content-length") {
            let text = std::str::from_utf8(&line[colon + 1..]).map_err(|_| Malformed::BadLength)?;
            length = Some(text.trim().parse().map_err(|_| Malformed::BadLength)?);
        }
    }
    let has_no_body = matches!(status, 100..200 | 204 | 304);
    let body_bytes = if has_no_body { 0 } else { length.ok_or(Malformed::NoLength)? };
    Ok(Head { status, body_bytes })
}

fn parse_status(line: &[u8]) -> Option<u16> {
    let digits = line.strip_prefix(b"HTTP/1.1 ")?.get(..3)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Heard {
        bodies: Vec<u8>,
        answers: Vec<(u16, usize, bool)>,
    }

    impl Listener for Heard {
        fn body(&mut self, _: u16, _: usize, bytes: &[u8]) -> bool {
            self.bodies.extend_from_slice(bytes);
            !bytes.contains(&b'!')
        }

        fn answer(&mut self, status: u16, body_bytes: usize, is_right: bool) {
            self.answers.push((status, body_bytes, is_right));
        }
    }

    const STREAM: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 204 No Content\r\n\r\n\
        HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nworldHTTP/1.1 404 Not Found\r\ncontent-length:3\r\n\r\nno!\
        HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

    /// However the stream is cut into pieces, the same answers are heard.
    #[test]
    fn answers_are_heard_whole_in_any_pieces() {
        let expected = [(200, 5, true), (204, 0, true), (200, 5, true), (404, 3, false), (200, 0, true)];
        for step in 1..=STREAM.len() {
            let (mut answers, mut heard) = (Answers::default(), Heard::default());
            for piece in STREAM.chunks(step) {
                answers.read(piece, &mut heard).expect("it is HTTP");
            }
            assert_eq!(heard.answers, expected, "in pieces of {step}");
            assert_eq!(heard.bodies, b"helloworldno!", "in pieces of {step}");
        }
    }

    #[test]
    fn what_is_no_answer_is_named() {
        let long = [b"HTTP/1.1 200 OK\r\nX: ".to_vec(), vec![b'a'; HEAD_BYTES_MAX]].concat();
        let cases: [(&[u8], Malformed); 4] = [
            (b"HTTP/1.0 200 OK\r\n\r\n", Malformed::StatusLine),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Malformed::NoLength),
            (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", Malformed::BadLength),
            (&long, Malformed::HeadTooLong),
        ];
        for (bytes, expected) in cases {
            assert_eq!(Answers::default().read(bytes, &mut Heard::default()), Err(expected));
        }
    }

    #[test]
    fn requests_are_written_as_the_target_says() {
        let target = Target {
            address: "127.0.0.1:1".parse().expect("an address"),
            authority: "h:1".to_owned(),
            path: ("/a".to_owned(), "?b".to_owned()),
            has_key: true,
        };
        let values = Values::new(&super::super::scenario::Values { bytes: 3, ..Default::default() });
        let requests = Requests::new(&target);
        let mut written = Vec::new();
        requests.write(&mut written, (Operation::Get, 0), &values);
        requests.write(&mut written, (Operation::Put, 120), &values);
        let value = String::from_utf8_lossy(values.of(120));
        let expected = format!(
            "GET /a0?b HTTP/1.1\r\nHost: h:1\r\n\r\nPUT /a120?b HTTP/1.1\r\nHost: h:1\r\nContent-Length: 3\r\n\r\n{value}"
        );
        assert_eq!(String::from_utf8_lossy(&written), expected);
    }

    #[test]
    fn a_put_says_how_long_its_value_lives() {
        let scenario = "url = \"http://127.0.0.1:1/\"\n[values]\nbytes = 0\nttls = [[\"1h\", 1]]\n";
        let scenario = super::super::scenario::Scenario::parse(scenario).expect("it is right");
        let requests = Requests::new(&scenario.target().expect("it has an address"));
        let mut written = Vec::new();
        requests.write(&mut written, (Operation::Put, 0), &Values::new(&scenario.values));
        assert!(written.ends_with(b"\r\nContent-Length: 0\r\nCache-Control: max-age=3600\r\n\r\n"));
    }
}
