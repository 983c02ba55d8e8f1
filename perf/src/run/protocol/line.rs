//! Answers that begin with a line, some of them with a value of stated length behind it: RESP and memcached.
//!
//! ```text
//!  line CRLF                       no value
//!  line CRLF value (N) CRLF        the line says N
//! ```
//!
//! A reader of our own, since those of libraries hand out whole replies: a value of 1 MiB would be collected, and begun anew
//! with every piece that comes (redis-protocol's decoder takes a complete frame; the tests hold us to it). Here only a line
//! that comes in pieces is kept.
//!
//! **Not** what a line means: `resp` and `memcached` say that.
//!
//! **Invariants**: a line is at most [`LINE_BYTES_MAX`] long; a value is followed by CRLF, or the connection is given up.

use super::AnswerListener;

/// A line beyond this is no answer to a request of ours; error messages of servers are far shorter.
pub(super) const LINE_BYTES_MAX: usize = 4096;

/// What is wrong with bytes that should be an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::run) enum MalformedLine {
    #[error("an answer begins with a line that is none of the protocol's for GET, PUT and DELETE")]
    Unknown,
    #[error("the length of a value is no number")]
    BadLength,
    #[error("a line does not end with CRLF")]
    LineEnd,
    #[error("the line of an answer is longer than 4 KiB")]
    LineTooLong,
    #[error("a value is not followed by CRLF")]
    ValueEnd,
}

/// What a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LineReply {
    pub(super) status: u16,
    /// Length of the value that follows, if one does.
    pub(super) value_bytes: Option<usize>,
}

impl LineReply {
    /// An answer without a value.
    pub(super) const fn bare(status: u16) -> Self {
        Self { status, value_bytes: None }
    }

    /// A value that was found.
    pub(super) const fn found(value_bytes: usize) -> Self {
        Self { status: 200, value_bytes: Some(value_bytes) }
    }
}

/// A value on its way, with the CRLF behind it.
#[derive(Clone, Copy)]
struct ComingValue {
    status: u16,
    value_bytes: usize,
    /// Bytes that have come, CRLF included.
    come: usize,
    is_right: bool,
}

const CRLF: [u8; 2] = *b"\r\n";

/// Reads answers from one connection.
#[derive(Default)]
pub(in crate::run) struct LineResponses {
    /// A line that has come in part.
    partial: Vec<u8>,
    coming: Option<ComingValue>,
}

impl LineResponses {
    /// Reads what has come; `reply` says what a line means, `listener` hears of every answer that is complete.
    #[inline]
    pub(super) fn read(
        &mut self,
        mut bytes: &[u8],
        reply: impl Fn(&[u8]) -> Result<LineReply, MalformedLine>,
        listener: &mut impl AnswerListener,
    ) -> Result<(), MalformedLine> {
        while !bytes.is_empty() {
            if self.coming.is_none() {
                let Some(reply) = self.line(&mut bytes, &reply)? else { return Ok(()) };
                let Some(value_bytes) = reply.value_bytes else {
                    listener.answer(0, reply.status, 0, true);
                    continue;
                };
                self.coming = Some(ComingValue { status: reply.status, value_bytes, come: 0, is_right: true });
            }
            let coming = self.coming.as_mut().expect("set above");
            if coming.take(&mut bytes, listener)? {
                let ComingValue { status, value_bytes, is_right, .. } = *coming;
                self.coming = None;
                listener.answer(0, status, value_bytes, is_right);
            }
        }
        Ok(())
    }

    /// What the line at the start of `bytes` says; `None` when it goes on beyond them.
    #[inline]
    fn line(
        &mut self,
        bytes: &mut &[u8],
        reply: &impl Fn(&[u8]) -> Result<LineReply, MalformedLine>,
    ) -> Result<Option<LineReply>, MalformedLine> {
        let end = memchr::memchr(b'\n', bytes);
        if self.partial.len() + end.unwrap_or(bytes.len()) > LINE_BYTES_MAX {
            return Err(MalformedLine::LineTooLong);
        }
        let Some(end) = end else {
            self.partial.extend_from_slice(bytes);
            return Ok(None);
        };
        let (line, rest) = bytes.split_at(end + 1);
        *bytes = rest;
        if self.partial.is_empty() {
            return whole(line, reply).map(Some);
        }
        self.partial.extend_from_slice(line);
        let said = whole(&self.partial, reply);
        self.partial.clear();
        said.map(Some)
    }
}

#[inline]
fn whole(line: &[u8], reply: impl Fn(&[u8]) -> Result<LineReply, MalformedLine>) -> Result<LineReply, MalformedLine> {
    reply(line.strip_suffix(&CRLF).ok_or(MalformedLine::LineEnd)?)
}

impl ComingValue {
    /// Takes what has come of the value and of the CRLF behind it; whether that was all.
    #[inline]
    fn take(&mut self, bytes: &mut &[u8], listener: &mut impl AnswerListener) -> Result<bool, MalformedLine> {
        let (value, rest) = bytes.split_at(bytes.len().min(self.value_bytes.saturating_sub(self.come)));
        if !value.is_empty() {
            self.is_right &= listener.body(0, self.status, self.come, value);
            self.come += value.len();
        }
        *bytes = rest;
        if self.come < self.value_bytes {
            return Ok(false);
        }
        let due = &CRLF[self.come - self.value_bytes..];
        let (end, rest) = bytes.split_at(bytes.len().min(due.len()));
        if !due.starts_with(end) {
            return Err(MalformedLine::ValueEnd);
        }
        self.come += end.len();
        *bytes = rest;
        Ok(self.come == self.value_bytes + CRLF.len())
    }
}

/// The length of a value.
#[inline]
pub(super) fn length(digits: &[u8]) -> Result<usize, MalformedLine> {
    // Twelve digits are more than any value has, and do not overflow.
    if digits.is_empty() || digits.len() > 12 || !digits.iter().all(u8::is_ascii_digit) {
        return Err(MalformedLine::BadLength);
    }
    Ok(digits.iter().fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0')))
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::heard::Heard;
    use super::*;

    /// Whatever pieces a stream comes in, this is heard of it.
    pub(in super::super) fn assert_heard(
        stream: &[u8],
        reply: impl Fn(&[u8]) -> Result<LineReply, MalformedLine> + Copy,
        expected: &[(usize, u16, usize, bool)],
        bodies: &[u8],
    ) {
        for step in 1..=stream.len() {
            let (mut answers, mut heard) = (LineResponses::default(), Heard::default());
            stream.chunks(step).for_each(|piece| answers.read(piece, reply, &mut heard).expect("it is right"));
            assert_eq!((heard.answers.as_slice(), heard.bodies.as_slice()), (expected, bodies), "in pieces of {step}");
        }
    }

    /// What is wrong with each line is named.
    pub(in super::super) fn assert_refused(
        reply: impl Fn(&[u8]) -> Result<LineReply, MalformedLine>,
        lines: &[(&[u8], MalformedLine)],
    ) {
        for (line, expected) in lines {
            assert_eq!(reply(line), Err(*expected), "{}", line.escape_ascii());
        }
    }

    /// `=N`: a value of N bytes; anything else: status 204.
    fn reply(line: &[u8]) -> Result<LineReply, MalformedLine> {
        match line {
            [b'=', digits @ ..] => Ok(LineReply::found(length(digits)?)),
            _ => Ok(LineReply::bare(204)),
        }
    }

    #[test]
    fn answers_are_heard_whole_in_any_pieces() {
        let stream = b"=5\r\nhello\r\nstored\r\n=0\r\n\r\n=3\r\n\r\n!\r\n";
        let expected = [(0, 200, 5, true), (0, 204, 0, true), (0, 200, 0, true), (0, 200, 3, false)];
        assert_heard(stream, reply, &expected, b"hello\r\n!");
    }

    #[test]
    fn what_is_no_answer_is_named() {
        let long = vec![b'a'; LINE_BYTES_MAX + 1];
        let cases: [(&[u8], MalformedLine); 6] = [
            (b"=5\r\nhello, world", MalformedLine::ValueEnd),
            (b"=5\r\nhello\rX", MalformedLine::ValueEnd),
            (b"=-5\r\n", MalformedLine::BadLength),
            (b"=9999999999999\r\n", MalformedLine::BadLength),
            (b"stored\n", MalformedLine::LineEnd),
            (&long, MalformedLine::LineTooLong),
        ];
        for (bytes, expected) in cases {
            for step in [1, bytes.len()] {
                let (mut answers, mut heard) = (LineResponses::default(), Heard::default());
                let outcome = bytes.chunks(step).try_for_each(|piece| answers.read(piece, reply, &mut heard));
                assert_eq!(outcome, Err(expected), "in pieces of {step}");
            }
        }
    }
}
