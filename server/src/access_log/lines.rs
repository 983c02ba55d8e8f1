//! A record as one line: JSON or logfmt.
//!
//! ```text
//!  {"time":"2026-01-01T00:00:00.123Z","remote_addr":"10.0.0.7","remote_port":51312,"listener":"0.0.0.0:8080",
//!   "method":"GET","uri":"/v1/kv/default/a","protocol":"HTTP/1.1","status":200,…}
//!  time=2026-01-01T00:00:00.123Z remote_addr=10.0.0.7 remote_port=51312 listener=0.0.0.0:8080 method=GET …
//! ```
//!
//! **Not** on a data core: what can be found out from the target is found out here.
//!
//! **Invariants**: a line is ASCII and has one line end, its last byte, whatever a client sent; bytes of a client that are no
//! printable ASCII, and `"` and `\`, are written `\xNN`, so that a value can be read back; what does not apply is left out.
//!
//! **Source**: docs/access-log.md; RFC 8259; RFC 3339 section 5.6.

use std::io::Write as _;

use control::log::{LogFormat, push_time};
use corelane_http::cache_status::ForwardReason;
use corelane_http::request::HttpVersion;

use super::record::{AccessRecord, ClientAddress, URI_BYTES_MAX};
use crate::exchange::origin::{Keeper, ResponseOrigin};
use crate::services::kv::path::Path;

/// Writes records as lines.
pub(crate) struct RecordEncoder {
    pub(super) format: LogFormat,
    /// The addresses of the edge's listeners, by index.
    listeners: Vec<String>,
    /// The second that came last, and its text without the `Z`.
    second: (u64, String),
}

impl RecordEncoder {
    pub(crate) fn new(format: LogFormat, listeners: Vec<String>) -> Self {
        let mut lines = RecordEncoder { format, listeners, second: (u64::MAX, String::new()) };
        lines.turn_to(0);
        lines
    }

    fn turn_to(&mut self, second: u64) {
        let (known, text) = &mut self.second;
        if *known != second {
            *known = second;
            text.clear();
            push_time(text, second);
            text.pop();
        }
    }

    /// Appends a line.
    pub(crate) fn push(&mut self, record: &AccessRecord, out: &mut Vec<u8>) {
        self.turn_to(record.time_ms / 1000);
        let mut line = FieldWriter { out, format: self.format, is_first: true };
        line.begin();
        line.name("time");
        line.plain(format_args!("{}.{:03}Z", self.second.1, record.time_ms % 1000));
        line.client(&record.client);
        if let Some(listener) = self.listeners.get(usize::from(record.listener)) {
            line.text("listener", listener.as_bytes());
        }
        line.request(record);
        line.response(record);
        line.number("connection_requests", u64::from(record.connection_requests));
        line.number("core", u64::from(record.core));
        line.boolean("sampled", record.is_sampled);
        line.end();
    }
}

struct FieldWriter<'a> {
    out: &'a mut Vec<u8>,
    format: LogFormat,
    is_first: bool,
}

impl FieldWriter<'_> {
    fn begin(&mut self) {
        if self.format == LogFormat::Json {
            self.out.push(b'{');
        }
    }

    fn end(&mut self) {
        self.out.extend_from_slice(if self.format == LogFormat::Json { b"}\n" } else { b"\n" });
    }

    fn client(&mut self, client: &ClientAddress) {
        match client {
            ClientAddress::Tcp(address) => {
                self.name("remote_addr");
                self.plain(format_args!("{}", address.ip()));
                self.number("remote_port", u64::from(address.port()));
            }
            ClientAddress::Unix => self.text("remote_addr", b"unix:"),
            ClientAddress::Unknown => {}
        }
    }

    fn request(&mut self, record: &AccessRecord) {
        if !record.method().is_empty() {
            self.text("method", record.method());
        }
        if !record.uri().is_empty() {
            self.text("uri", record.uri());
        }
        if record.uri_bytes as usize > URI_BYTES_MAX {
            self.number("uri_bytes", u64::from(record.uri_bytes));
        }
        let Some(protocol) = record.protocol else { return };
        let protocol: &[u8] = if protocol == HttpVersion::Http11 { b"HTTP/1.1" } else { b"HTTP/1.0" };
        self.text("protocol", protocol);
        let keyspace = keyspace_of(record.uri());
        self.text("route", route_of(record.method(), keyspace.is_some()).as_bytes());
        if let Some(keyspace) = keyspace {
            self.text("keyspace", keyspace);
        }
    }

    fn response(&mut self, record: &AccessRecord) {
        let response = &record.response;
        self.number("status", u64::from(response.status));
        self.number("body_bytes_sent", response.sent_bytes);
        self.number("body_bytes_received", response.received_bytes);
        self.number("duration_us", record.duration_us);
        let (source, cache) = origin_words(response.origin);
        self.text("source", source.as_bytes());
        if let ResponseOrigin::Node { id, .. } = response.origin {
            self.number("node", u64::from(id));
        }
        if let Some(cache) = cache {
            self.text("cache", cache.as_bytes());
        }
    }

    fn name(&mut self, name: &str) {
        let is_first = std::mem::replace(&mut self.is_first, false);
        match self.format {
            LogFormat::Json => {
                self.out.extend_from_slice(if is_first { b"\"" } else { b",\"" });
                self.out.extend_from_slice(name.as_bytes());
                self.out.extend_from_slice(b"\":");
            }
            LogFormat::Logfmt => {
                if !is_first {
                    self.out.push(b' ');
                }
                self.out.extend_from_slice(name.as_bytes());
                self.out.push(b'=');
            }
        }
    }

    fn number(&mut self, name: &str, number: u64) {
        self.name(name);
        self.out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }

    fn boolean(&mut self, name: &str, value: bool) {
        self.name(name);
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    /// A value of ours, which needs no escapes.
    fn plain(&mut self, value: std::fmt::Arguments<'_>) {
        let quote: &[u8] = if self.format == LogFormat::Json { b"\"" } else { b"" };
        self.out.extend_from_slice(quote);
        self.out.write_fmt(value).expect("memory takes all that is written to it");
        self.out.extend_from_slice(quote);
    }

    /// Bytes from anywhere.
    fn text(&mut self, name: &str, bytes: &[u8]) {
        self.name(name);
        let is_quoted = self.format == LogFormat::Json || bytes.is_empty() || !bytes.iter().all(|byte| is_bare(*byte));
        if is_quoted {
            self.out.push(b'"');
        }
        if bytes.iter().all(|byte| is_plain(*byte)) {
            self.out.extend_from_slice(bytes);
        } else {
            bytes.iter().for_each(|byte| self.escaped(*byte));
        }
        if is_quoted {
            self.out.push(b'"');
        }
    }

    fn escaped(&mut self, byte: u8) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        if is_plain(byte) {
            self.out.push(byte);
        } else {
            // The backslash of the value is itself escaped, in both formats in the same way.
            let [high, low] = [byte >> 4, byte & 15].map(|half| HEX[usize::from(half)]);
            self.out.extend_from_slice(&[b'\\', b'\\', b'x', high, low]);
        }
    }
}

/// Whether a byte stands for itself in a value.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')
}

/// Whether a byte may stand in a logfmt value without quotes.
fn is_bare(byte: u8) -> bool {
    is_plain(byte) && !matches!(byte, b' ' | b'=')
}

/// The keyspace that a target names, whether or not there is such a keyspace.
fn keyspace_of(uri: &[u8]) -> Option<&[u8]> {
    let path = match uri.windows(3).position(|part| part == b"://") {
        Some(scheme) if !uri.starts_with(b"/") => {
            let rest = &uri[scheme + 3..];
            &rest[rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len())..]
        }
        _ => uri,
    };
    match Path::parse(path.split(|byte| *byte == b'?').next().unwrap_or_default()) {
        Path::Key { keyspace, .. } => Some(keyspace),
        Path::Root | Path::Unknown => None,
    }
}

fn route_of(method: &[u8], is_key: bool) -> &'static str {
    match method {
        b"GET" | b"HEAD" if is_key => "read",
        b"PUT" | b"DELETE" if is_key => "write",
        _ => "other",
    }
}

/// Where a response came from, and what the cache had to do with it.
fn origin_words(origin: ResponseOrigin) -> (&'static str, Option<&'static str>) {
    let of = |keeper| match keeper {
        Keeper::OwnCore => "own_core",
        Keeper::OtherCore => "other_core",
        Keeper::EdgeCopy => "edge_copy",
    };
    match origin {
        ResponseOrigin::Nobody => ("none", None),
        ResponseOrigin::Hit(keeper) => (of(keeper), Some("hit")),
        ResponseOrigin::Absent(keeper) => (of(keeper), Some("miss")),
        ResponseOrigin::Written(keeper) => (of(keeper), None),
        ResponseOrigin::Node { reason: ForwardReason::Method, .. } => ("node", None),
        ResponseOrigin::Node { reason: ForwardReason::Request, .. } => ("node", Some("bypass")),
        ResponseOrigin::Node { collapsed: true, .. } => ("node", Some("coalesced")),
        ResponseOrigin::Node { reason: ForwardReason::Miss, .. } => ("node", Some("miss")),
    }
}

#[cfg(test)]
mod tests;
