//! A request head parser that is slow and plain: one byte after the other, everything copied, no resuming.
//!
//! **Not**: fast; shared code with the parser it is compared with, except for the types of the verdict.
//! **Invariants**: follows the text of the grammar from left to right, and stops at the first byte that cannot be.
//! **Source**: RFC 9112 section 2 to 6, read again without looking at the parser.

use super::RequestError;
use crate::h1::FramingError;
use crate::h1::line::FieldError;
use crate::request::{HttpVersion, RequestBody};
use crate::{MessageLimits, Method};

/// A name and a value, as sent.
type Field = (Vec<u8>, Vec<u8>);

/// What a head says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) head_bytes: usize,
    pub(super) method_text: Vec<u8>,
    pub(super) target: Vec<u8>,
    pub(super) version: HttpVersion,
    pub(super) body: RequestBody,
    pub(super) keep_alive: bool,
    pub(super) expect_continue: bool,
    pub(super) fields: Vec<Field>,
}

/// Why reading stopped before the end of the head.
enum Stop {
    OutOfBytes,
    Refused(RequestError),
}

impl<E: Into<RequestError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Refused(error.into())
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Result<u8, Stop> {
        self.bytes.get(self.at).copied().ok_or(Stop::OutOfBytes)
    }

    fn take(&mut self) -> Result<u8, Stop> {
        let byte = self.peek()?;
        self.at += 1;
        Ok(byte)
    }

    fn take_while(&mut self, keep: impl Fn(u8) -> bool) -> Result<Vec<u8>, Stop> {
        let mut taken = Vec::new();
        while keep(self.peek()?) {
            taken.push(self.take()?);
        }
        Ok(taken)
    }

    /// Takes CR LF.
    fn line_end(&mut self) -> Result<(), Stop> {
        match self.take()? {
            b'\n' => Err(FieldError::BareLf.into()),
            b'\r' if self.take()? != b'\n' => Err(FieldError::BareCr.into()),
            b'\r' => Ok(()),
            _ => Err(FieldError::Value.into()),
        }
    }
}

/// Reads a head; `None` if it is cut off.
pub(super) fn read(buf: &[u8], limits: &MessageLimits) -> Result<Option<Seen>, RequestError> {
    let cut = buf.len().min(limits.head_bytes_max as usize);
    match read_window(&mut Reader { bytes: &buf[..cut], at: 0 }, limits) {
        Ok(seen) => Ok(Some(seen)),
        Err(Stop::Refused(error)) => Err(error),
        Err(Stop::OutOfBytes) if cut == limits.head_bytes_max as usize => Err(RequestError::HeadTooLarge),
        Err(Stop::OutOfBytes) => Ok(None),
    }
}

fn read_window(reader: &mut Reader<'_>, limits: &MessageLimits) -> Result<Seen, Stop> {
    if reader.peek()? == 0x16 {
        return Err(RequestError::Tls.into());
    }
    let mut empty_lines = 0;
    while matches!(reader.peek()?, b'\r' | b'\n') {
        empty_lines += 1;
        if empty_lines > 4 {
            return Err(RequestError::EmptyLines.into());
        }
        reader.line_end()?;
    }
    let method_text = reader.take_while(is_token)?;
    if method_text.is_empty() || reader.take()? != b' ' {
        return Err(RequestError::Method.into());
    }
    let target = target(reader, limits)?;
    check_form(&method_text, &target)?;
    let version = version(reader)?;
    let fields = fields(reader, limits)?;
    finish(
        Seen {
            head_bytes: reader.at,
            method_text,
            target,
            version,
            body: RequestBody::None,
            keep_alive: false,
            expect_continue: false,
            fields,
        },
        limits,
    )
}

fn target(reader: &mut Reader<'_>, limits: &MessageLimits) -> Result<Vec<u8>, Stop> {
    let mut target = Vec::new();
    loop {
        match reader.take()? {
            b' ' if target.is_empty() => return Err(RequestError::Target.into()),
            b' ' => return Ok(target),
            b'\r' => return Err(RequestError::VersionSyntax.into()),
            b'\n' => return Err(FieldError::BareLf.into()),
            byte if is_unreserved(byte) || b"!$&'()*+,;=%:@/?[]".contains(&byte) => target.push(byte),
            _ => return Err(RequestError::Target.into()),
        }
        if target.len() > limits.target_bytes_max as usize {
            return Err(RequestError::TargetTooLong.into());
        }
    }
}

fn check_form(method: &[u8], target: &[u8]) -> Result<(), Stop> {
    let text = String::from_utf8(target.to_vec()).expect("every byte of a target is ASCII");
    let refused = match (method, text.as_str()) {
        (b"OPTIONS", "*") => None,
        (b"PRI", "*") => Some(RequestError::Http2),
        (b"CONNECT", _) => {
            let fits = host_and_port(&text).is_some_and(|(host, port)| !host.is_empty() && !port.is_empty());
            (!fits).then_some(RequestError::TargetForm)
        }
        (_, path) if path.starts_with('/') => path.contains(['[', ']']).then_some(RequestError::Target),
        _ => match absolute(&text) {
            None => Some(RequestError::TargetForm),
            Some((_, authority, rest)) => {
                let fits = host_and_port(&authority).is_some_and(|(host, _)| !host.is_empty());
                (!fits || rest.contains(['[', ']'])).then_some(RequestError::Target)
            }
        },
    };
    refused.map_or(Ok(()), |error| Err(error.into()))
}

fn absolute(target: &str) -> Option<(u32, String, String)> {
    let (scheme, rest) = target.split_once("://")?;
    let port = match scheme.to_lowercase().as_str() {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    Some((port, rest[..end].to_owned(), rest[end..].to_owned()))
}

fn host_and_port(authority: &str) -> Option<(String, String)> {
    let (host, port) = match authority.rfind(':') {
        Some(at) if !authority[at..].contains(']') => (&authority[..at], &authority[at + 1..]),
        _ => (authority, ""),
    };
    let is_literal = |host: &str| {
        let inside = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        inside.is_some_and(|address| address.parse::<core::net::Ipv6Addr>().is_ok())
    };
    let mut plain = true;
    let mut bytes = host.bytes();
    while let Some(byte) = bytes.next() {
        plain &= match byte {
            b'%' => {
                [bytes.next(), bytes.next()].iter().flatten().filter(|digit| digit.is_ascii_hexdigit()).count() == 2
            }
            _ => is_unreserved(byte) || b"!$&'()*+,;=".contains(&byte),
        };
    }
    let port_fits = port.len() <= 5 && port.bytes().all(|digit| digit.is_ascii_digit());
    let port_fits = port_fits && (port.is_empty() || port.parse::<u32>().is_ok_and(|port| port <= 65_535));
    ((plain || is_literal(host)) && port_fits).then(|| (host.to_owned(), port.to_owned()))
}

fn version(reader: &mut Reader<'_>) -> Result<HttpVersion, Stop> {
    for &want in b"HTTP/" {
        if reader.take()? != want {
            return Err(RequestError::VersionSyntax.into());
        }
    }
    let mut number = Vec::new();
    for want_digit in [true, false, true] {
        let byte = reader.take()?;
        if byte.is_ascii_digit() != want_digit || (!want_digit && byte != b'.') {
            return Err(RequestError::VersionSyntax.into());
        }
        number.push(byte);
    }
    let version = match &number[..] {
        b"1.0" => HttpVersion::Http10,
        b"1.1" => HttpVersion::Http11,
        _ => return Err(RequestError::Version.into()),
    };
    if !matches!(reader.peek()?, b'\r' | b'\n') {
        return Err(RequestError::VersionSyntax.into());
    }
    reader.line_end()?;
    Ok(version)
}

fn fields(reader: &mut Reader<'_>, limits: &MessageLimits) -> Result<Vec<Field>, Stop> {
    let mut fields: Vec<Field> = Vec::new();
    loop {
        match reader.peek()? {
            b'\r' | b'\n' => {
                reader.line_end()?;
                return Ok(fields);
            }
            b' ' | b'\t' => return Err(FieldError::Folded.into()),
            _ => {}
        }
        let name = reader.take_while(is_token)?;
        match reader.take()? {
            b':' if !name.is_empty() => {}
            b' ' | b'\t' => return Err(FieldError::SpaceBeforeColon.into()),
            b'\n' => return Err(FieldError::BareLf.into()),
            _ => return Err(FieldError::Name.into()),
        }
        let value = reader.take_while(|byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f))?;
        reader.line_end()?;
        if fields.len() == usize::from(limits.field_count_max) {
            return Err(RequestError::TooManyFields.into());
        }
        fields.push((name, trim(&value).to_vec()));
        check_field(&fields)?;
    }
}

/// Checks the last field, given those before it.
fn check_field(fields: &[Field]) -> Result<(), Stop> {
    let ((name, value), before) = fields.split_last().expect("a field was just read");
    let name = name.to_ascii_lowercase();
    let earlier: Vec<&Vec<u8>> =
        before.iter().filter(|(other, _)| other.eq_ignore_ascii_case(&name)).map(|(_, value)| value).collect();
    let text = String::from_utf8_lossy(value).to_lowercase();
    let refused: Option<RequestError> = match &name[..] {
        b"host" if host_and_port(&text).is_none() || text.contains('\u{fffd}') => Some(RequestError::Host),
        b"host" | b"range" | b"if-range" | b"content-type" | b"content-range" if !earlier.is_empty() => {
            Some(RequestError::Repeated)
        }
        b"expect" => (text != "100-continue").then_some(RequestError::Expectation),
        b"content-length" => content_length(&text, &earlier).err().map(Into::into),
        b"transfer-encoding" => transfer_encoding(&text, &earlier).err().map(Into::into),
        b"connection" => {
            let tokens = elements(&text).iter().all(|option| option.bytes().all(is_token));
            (!tokens).then_some(FramingError::Connection.into())
        }
        _ => None,
    };
    refused.map_or(Ok(()), |error| Err(error.into()))
}

fn content_length(text: &str, earlier: &[&Vec<u8>]) -> Result<u64, FramingError> {
    if !text.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(FramingError::ContentLength);
    }
    let length: u64 = text.parse().map_err(|_| FramingError::ContentLength)?;
    for other in earlier {
        if content_length(&String::from_utf8_lossy(other), &[]) != Ok(length) {
            return Err(FramingError::ContentLengthDiffers);
        }
    }
    Ok(length)
}

fn transfer_encoding(text: &str, earlier: &[&Vec<u8>]) -> Result<(), FramingError> {
    let codings = elements(text);
    let chunked = codings.iter().filter(|coding| *coding == "chunked").count();
    let tokens = codings.iter().all(|coding| is_token(coding.as_bytes()[0]));
    if !earlier.is_empty() || chunked != 1 || !tokens || codings.last().is_none_or(|last| last != "chunked") {
        return Err(FramingError::TransferEncoding);
    }
    if codings.len() > 1 { Err(FramingError::TransferCoding) } else { Ok(()) }
}

fn finish(mut seen: Seen, limits: &MessageLimits) -> Result<Seen, Stop> {
    let values = |wanted: &str| -> Vec<String> {
        let named = seen.fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted.as_bytes()));
        named.map(|(_, value)| String::from_utf8_lossy(value).to_lowercase()).collect()
    };
    let hosts = values("host");
    let http11 = seen.version == HttpVersion::Http11;
    if hosts.is_empty() && http11 {
        return Err(RequestError::HostMissing.into());
    }
    let length: Option<u64> = values("content-length").first().map(|text| text.parse().expect("it was checked"));
    let chunked = !values("transfer-encoding").is_empty();
    if chunked && !http11 {
        return Err(FramingError::TransferEncodingVersion.into());
    }
    if chunked && length.is_some() {
        return Err(FramingError::Both.into());
    }
    let text = String::from_utf8(seen.target.clone()).expect("every byte of a target is ASCII").to_lowercase();
    if seen.method_text != b"CONNECT" && !text.starts_with('/') && text != "*" && !hosts.is_empty() {
        let (port, authority, _) = absolute(&text).expect("it was checked");
        let origin = |(host, digits): (String, String)| (host, digits.parse().unwrap_or(port));
        if host_and_port(&hosts[0]).map(origin) != host_and_port(&authority).map(origin) {
            return Err(RequestError::HostMismatch.into());
        }
    }
    if length.is_some_and(|length| length > limits.body_bytes_max) {
        return Err(RequestError::BodyTooLarge.into());
    }
    let options: Vec<String> = values("connection").iter().flat_map(|value| elements(value)).collect();
    let has = |option: &str| options.iter().any(|other| other == option);
    let keep_alive = !has("close") && (http11 || has("keep-alive"));
    let body = match (chunked, length.unwrap_or(0)) {
        (true, _) => RequestBody::Chunked,
        (false, 0) => RequestBody::None,
        (false, length) => RequestBody::Length(length),
    };
    let expect_continue = http11 && body != RequestBody::None && !values("expect").is_empty();
    (seen.body, seen.keep_alive, seen.expect_continue) = (body, keep_alive, expect_continue);
    Ok(seen)
}

/// The method a text names, told without the parser's table.
pub(super) fn method(text: &[u8]) -> Method {
    let named = [
        ("GET", Method::Get),
        ("HEAD", Method::Head),
        ("PUT", Method::Put),
        ("DELETE", Method::Delete),
        ("POST", Method::Post),
        ("OPTIONS", Method::Options),
        ("PATCH", Method::Patch),
        ("TRACE", Method::Trace),
        ("CONNECT", Method::Connect),
    ];
    named.iter().find(|(name, _)| name.as_bytes() == text).map_or(Method::Other, |&(_, method)| method)
}

/// Elements of a list, quotes respected.
fn elements(text: &str) -> Vec<String> {
    let (mut elements, mut element, mut quoted, mut escaped) = (Vec::new(), String::new(), false, false);
    for letter in text.chars() {
        if letter == ',' && !quoted {
            elements.push(std::mem::take(&mut element));
            continue;
        }
        element.push(letter);
        if escaped {
            escaped = false;
        } else if letter == '\\' && quoted {
            escaped = true;
        } else if letter == '"' {
            quoted = !quoted;
        }
    }
    elements.push(element);
    elements.iter().map(|element| element.trim_matches([' ', '\t']).to_owned()).filter(|e| !e.is_empty()).collect()
}

fn trim(value: &[u8]) -> &[u8] {
    let blank = |byte: &u8| *byte == b' ' || *byte == b'\t';
    let start = value.iter().position(|byte| !blank(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !blank(byte)).map_or(start, |last| last + 1);
    &value[start..end]
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}
