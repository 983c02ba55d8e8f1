//! What lines hold, for readers that share no code with the writer.

use std::collections::BTreeMap;

use corelane_http::cache_status::ForwardReason;
use serde_json::Value;

use super::super::record::{RequestLine, ResponseNote};
use super::*;

#[path = "../../../tests/support/logfmt.rs"]
mod logfmt;

const CLIENT: &str = "[2001:db8::7]:51312";

fn record(line: &RequestLine<'_>, origin: ResponseOrigin) -> AccessRecord {
    let response = ResponseNote { status: 200, sent_bytes: 5, received_bytes: 6, origin };
    AccessRecord {
        time_ms: 1_767_225_600_007,
        duration_us: 1234,
        response,
        connection_requests: 3,
        listener: 1,
        core: 2,
        is_sampled: true,
        ..AccessRecord::of(line, ClientAddress::Tcp(CLIENT.parse().unwrap()))
    }
}

fn text(record: &AccessRecord, format: LogFormat) -> String {
    let mut lines = RecordEncoder::new(format, vec!["10.0.0.1:80".to_owned(), "unix:/run/a b".to_owned()]);
    let mut out = Vec::new();
    lines.push(record, &mut out);
    let text = String::from_utf8(out).unwrap();
    assert!(text.is_ascii() && text.ends_with('\n') && text.matches(['\n', '\r']).count() == 1, "{text:?}");
    text
}

/// The pairs of the line in JSON, with all values as text; those in logfmt are the same.
fn pairs(record: &AccessRecord) -> BTreeMap<String, String> {
    let json: BTreeMap<String, Value> = serde_json::from_str(&text(record, LogFormat::Json)).unwrap();
    let as_text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let json: BTreeMap<String, String> = json.into_iter().map(|(name, value)| (name, as_text(value))).collect();
    assert_eq!(logfmt::pairs(text(record, LogFormat::Logfmt).trim_end()).unwrap(), json);
    json
}

fn request<'a>(method: &'a str, uri: &'a str) -> RequestLine<'a> {
    RequestLine { method: method.as_bytes(), uri: uri.as_bytes(), protocol: Some(HttpVersion::Http11) }
}

#[test]
fn every_field_has_its_place() {
    let node = ResponseOrigin::Node { id: 7, reason: ForwardReason::Miss, collapsed: false };
    let line = text(&record(&request("GET", "/v1/kv/users/a?q=1"), node), LogFormat::Json);
    let expected = r#"{"time":"2026-01-01T00:00:00.007Z","remote_addr":"2001:db8::7","remote_port":51312,"listener":"unix:/run/a b","method":"GET","uri":"/v1/kv/users/a?q=1","protocol":"HTTP/1.1","route":"read","keyspace":"users","status":200,"body_bytes_sent":5,"body_bytes_received":6,"duration_us":1234,"source":"node","node":7,"cache":"miss","connection_requests":3,"core":2,"sampled":true}"#;
    assert_eq!(line.trim_end(), expected);
    let pairs = pairs(&record(&request("GET", "/v1/kv/users/a?q=1"), node));
    assert_eq!(pairs.len(), 19);
}

#[test]
fn the_time_follows_the_second() {
    let mut lines = RecordEncoder::new(LogFormat::Logfmt, Vec::new());
    for (time_ms, expected) in
        [(0, "1970-01-01T00:00:00.000Z"), (1_999, "1970-01-01T00:00:01.999Z"), (1_000, "1970-01-01T00:00:01.000Z")]
    {
        let mut out = Vec::new();
        let record = AccessRecord { time_ms, ..record(&request("GET", "/"), ResponseOrigin::Nobody) };
        lines.push(&record, &mut out);
        assert!(out.starts_with(format!("time={expected} ").as_bytes()), "{}", out.escape_ascii());
    }
}

#[test]
fn what_a_client_sends_breaks_no_line() {
    let hostile: [&[u8]; 8] = [
        b"/a\nstatus=200",
        b"/\"},{\"status\":500",
        b"/\\x0a\\",
        b"/\r\n\t\0\x7f\x1b[31m",
        b"/\xff\xfe\xc3\x28",
        "/größe\u{2028}\u{85}".as_bytes(),
        b"/a b=c",
        b" ",
    ];
    for bytes in hostile {
        let line = RequestLine { method: bytes, uri: bytes, protocol: None };
        let pairs = pairs(&record(&line, ResponseOrigin::Nobody));
        for name in ["method", "uri"] {
            let kept = if name == "method" { &bytes[..bytes.len().min(20)] } else { bytes };
            assert_eq!(logfmt::bytes_of(&pairs[name]), kept, "{}", bytes.escape_ascii());
        }
        assert_eq!(pairs["status"], "200");
    }
    let all: Vec<u8> = (0..=255).collect();
    let pairs = pairs(&record(&RequestLine { method: b"GET", uri: &all, protocol: None }, ResponseOrigin::Nobody));
    assert_eq!(logfmt::bytes_of(&pairs["uri"]), all);
}

#[test]
fn what_does_not_apply_is_left_out() {
    let mut unknown = record(&RequestLine::of_bytes(b""), ResponseOrigin::Nobody);
    (unknown.client, unknown.listener) = (ClientAddress::Unknown, 9);
    let names: Vec<String> = pairs(&unknown).into_keys().collect();
    let expected = [
        "body_bytes_received",
        "body_bytes_sent",
        "connection_requests",
        "core",
        "duration_us",
        "sampled",
        "source",
        "status",
        "time",
    ];
    assert_eq!(names, expected);
    unknown.client = ClientAddress::Unix;
    assert_eq!(pairs(&unknown)["remote_addr"], "unix:");
    let long = "/".repeat(1000);
    let cut = pairs(&record(&request("GET", &long), ResponseOrigin::Nobody));
    assert_eq!((cut["uri"].len(), cut["uri_bytes"].as_str()), (URI_BYTES_MAX, "1000"));
}

#[test]
fn routes_and_keyspaces_are_those_of_the_target() {
    let cases = [
        ("GET", "/v1/kv/a/b", "read", Some("a")),
        ("HEAD", "/v1/kv/a/b?c=/d", "read", Some("a")),
        ("PUT", "http://h:1/v1/kv/a/b", "write", Some("a")),
        ("DELETE", "/v1/kv/a/", "write", Some("a")),
        ("POST", "/v1/kv/a/b", "other", Some("a")),
        ("GET", "/v1/kv/a", "other", None),
        ("GET", "/x?http://h/v1/kv/a/b", "other", None),
        ("GET", "/", "other", None),
        ("GET", "http://h", "other", None),
        ("OPTIONS", "*", "other", None),
    ];
    for (method, uri, route, keyspace) in cases {
        let pairs = pairs(&record(&request(method, uri), ResponseOrigin::Nobody));
        let found = (pairs["route"].as_str(), pairs.get("keyspace").map(String::as_str));
        assert_eq!(found, (route, keyspace), "{method} {uri}");
    }
}

#[test]
fn every_origin_has_its_words() {
    let node = |reason, collapsed| ResponseOrigin::Node { id: 0, reason, collapsed };
    let cases = [
        (ResponseOrigin::Nobody, "none", None),
        (ResponseOrigin::Hit(Keeper::OwnCore), "own_core", Some("hit")),
        (ResponseOrigin::Hit(Keeper::OtherCore), "other_core", Some("hit")),
        (ResponseOrigin::Hit(Keeper::EdgeCopy), "edge_copy", Some("hit")),
        (ResponseOrigin::Absent(Keeper::OtherCore), "other_core", Some("miss")),
        (ResponseOrigin::Written(Keeper::OwnCore), "own_core", None),
        (node(ForwardReason::Miss, false), "node", Some("miss")),
        (node(ForwardReason::Miss, true), "node", Some("coalesced")),
        (node(ForwardReason::Request, false), "node", Some("bypass")),
        (node(ForwardReason::Method, false), "node", None),
    ];
    for (origin, source, cache) in cases {
        let pairs = pairs(&record(&request("GET", "/"), origin));
        let found = (pairs["source"].as_str(), pairs.get("cache").map(String::as_str));
        assert_eq!(found, (source, cache), "{origin:?}");
        assert_eq!(pairs.contains_key("node"), source == "node");
    }
}
