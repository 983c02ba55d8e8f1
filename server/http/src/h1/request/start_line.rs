//! The request line, and what may stand before it.
//!
//! **Not**: splitting or decoding the target beyond telling its form; see [`crate::target`].
//! **Invariants**: a verdict on a prefix is never changed by bytes that follow; exactly one space stands on each side
//! of the target.
//! **Source**: RFC 9112 section 2.2 and 3; RFC 9113 section 3.4 (the preface), RFC 8446 section 5.1 (TLS records).

use super::RequestError;
use crate::authority;
use crate::class;
use crate::field::HeadSpan;
use crate::h1::line::{self, FieldError};
use crate::request::{HttpVersion, TargetForm};
use crate::target::split_absolute;
use crate::{MessageLimits, Method};

/// Empty lines skipped before a request line. RFC 9112 asks for at least one; old clients send one after a body. More
/// than a few is a peer that keeps a connection busy with nothing.
pub(super) const EMPTY_LINES_MAX: usize = 4;

/// First byte of a TLS handshake record; never the first byte of an HTTP message.
const TLS_HANDSHAKE: u8 = 0x16;

/// What a request line says.
#[derive(Debug)]
pub(super) struct StartLine {
    pub(super) method: Method,
    pub(super) method_span: HeadSpan,
    pub(super) target: HeadSpan,
    /// All of the target is [`class::PLAIN`]: there is no query, no escape and no bracket to look for.
    pub(super) is_plain: bool,
    pub(super) form: TargetForm,
    pub(super) version: HttpVersion,
    /// Index of the first field line.
    pub(super) next: usize,
}

/// Reads empty lines and the request line from the start of `buf`; `None` if it is cut off.
#[inline]
pub(super) fn parse(buf: &[u8], limits: &MessageLimits) -> Result<Option<StartLine>, RequestError> {
    let Some(start) = skip_empty_lines(buf)? else {
        return Ok(None);
    };
    let Some((method, method_end)) = method(buf, start)? else {
        return Ok(None);
    };
    let target_start = method_end + 1;
    let plain_end = class::run_end(buf, target_start, class::PLAIN);
    let is_plain = buf.get(plain_end) == Some(&b' ');
    // Brackets pass here and are looked at by form.
    let target_end = if is_plain { plain_end } else { class::run_end(buf, plain_end, class::TARGET) };
    if target_end - target_start > limits.target_bytes_max as usize {
        return Err(RequestError::TargetTooLong);
    }
    if target_end == buf.len() {
        return Ok(None);
    }
    if buf[target_end] != b' ' {
        return Err(refused_target_byte(buf[target_end]));
    }
    let form = match (is_plain, buf[target_start], method) {
        (true, b'/', Method::Get | Method::Head | Method::Put | Method::Delete) => TargetForm::Origin,
        _ => form(method, &buf[start..method_end], &buf[target_start..target_end])?,
    };
    let Some((version, next)) = version(buf, target_end + 1)? else {
        return Ok(None);
    };
    Ok(Some(StartLine {
        method,
        method_span: HeadSpan::new(start, method_end),
        target: HeadSpan::new(target_start, target_end),
        is_plain,
        form,
        version,
        next,
    }))
}

#[inline]
fn skip_empty_lines(buf: &[u8]) -> Result<Option<usize>, RequestError> {
    let mut at = 0;
    loop {
        match buf.get(at) {
            None => return Ok(None),
            Some(b'\r' | b'\n') if at == 2 * EMPTY_LINES_MAX => return Err(RequestError::EmptyLines),
            Some(b'\r' | b'\n') => match line::end(buf, at)? {
                Some(next) => at = next,
                None => return Ok(None),
            },
            Some(&TLS_HANDSHAKE) if at == 0 => return Err(RequestError::Tls),
            Some(_) => return Ok(Some(at)),
        }
    }
}

/// The method and the index of the space after it.
#[inline]
fn method(buf: &[u8], start: usize) -> Result<Option<(Method, usize)>, RequestError> {
    if let Some(b"GET ") = buf.get(start..start + 4) {
        return Ok(Some((Method::Get, start + 3)));
    }
    let end = class::run_end(buf, start, class::TOKEN);
    match buf.get(end) {
        None => Ok(None),
        Some(b' ') if end > start => Ok(Some((Method::from_token(&buf[start..end]), end))),
        Some(_) => Err(RequestError::Method),
    }
}

#[cold]
fn refused_target_byte(byte: u8) -> RequestError {
    match byte {
        // A line that ends after its target: HTTP/0.9, or a version that is missing.
        b'\r' => RequestError::VersionSyntax,
        b'\n' => RequestError::Field(FieldError::BareLf),
        _ => RequestError::Target,
    }
}

fn form(method: Method, method_text: &[u8], target: &[u8]) -> Result<TargetForm, RequestError> {
    match (target, method) {
        ([], _) => Err(RequestError::Target),
        (b"*", Method::Options) => Ok(TargetForm::Asterisk),
        (b"*", Method::Other) if method_text == b"PRI" => Err(RequestError::Http2),
        (_, Method::Connect) => authority_form(target),
        ([b'/', ..], _) => no_brackets(target, TargetForm::Origin),
        _ => absolute_form(target),
    }
}

fn no_brackets(path: &[u8], form: TargetForm) -> Result<TargetForm, RequestError> {
    if memchr::memchr2(b'[', b']', path).is_some() { Err(RequestError::Target) } else { Ok(form) }
}

fn authority_form(target: &[u8]) -> Result<TargetForm, RequestError> {
    match authority::split(target) {
        Some((host, port)) if !host.is_empty() && !port.is_empty() => Ok(TargetForm::Authority),
        _ => Err(RequestError::TargetForm),
    }
}

fn absolute_form(target: &[u8]) -> Result<TargetForm, RequestError> {
    let (_, authority, rest) = split_absolute(target).ok_or(RequestError::TargetForm)?;
    match authority::split(authority) {
        Some((host, _)) if !host.is_empty() => no_brackets(rest, TargetForm::Absolute),
        _ => Err(RequestError::Target),
    }
}

/// The version and the index after its line.
#[inline(always)]
fn version(buf: &[u8], start: usize) -> Result<Option<(HttpVersion, usize)>, RequestError> {
    match buf.get(start..start + VERSION_LINE_BYTES) {
        Some(b"HTTP/1.1\r\n") => Ok(Some((HttpVersion::Http11, start + VERSION_LINE_BYTES))),
        Some(b"HTTP/1.0\r\n") => Ok(Some((HttpVersion::Http10, start + VERSION_LINE_BYTES))),
        _ => refused_version(&buf[start..]),
    }
}

/// Bytes of `HTTP/1.1` and its line end.
const VERSION_LINE_BYTES: usize = 10;

/// What is wrong with the end of a request line, or `None` if nothing is and it is cut off.
#[cold]
fn refused_version<T>(rest: &[u8]) -> Result<Option<T>, RequestError> {
    for (at, &byte) in rest.iter().enumerate().take(VERSION_LINE_BYTES) {
        let fits = match at {
            0..5 => byte == b"HTTP/"[at],
            5 | 7 => byte.is_ascii_digit(),
            6 => byte == b'.',
            8 => byte == b'\r',
            _ => byte == b'\n',
        };
        match (fits, at, byte) {
            (true, 7, _) if !matches!(&rest[5..8], b"1.0" | b"1.1") => return Err(RequestError::Version),
            (true, ..) => {}
            (false, 9, _) => return Err(FieldError::BareCr.into()),
            (false, 8, b'\n') => return Err(FieldError::BareLf.into()),
            (false, ..) => return Err(RequestError::VersionSyntax),
        }
    }
    Ok(None)
}
