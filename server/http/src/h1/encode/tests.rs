//! Tests of [`super`].

use super::*;
use crate::cache_status::ForwardReason;
use crate::field::FieldLine;
use crate::h1::{Parsed, response};
use crate::{MessageLimits, Method};

fn encoded(head: &ResponseHead<'_>) -> String {
    let mut out = Vec::new();
    head.encode(&ResponseStart::at_unix_seconds(784_111_777), &mut out);
    String::from_utf8(out).unwrap()
}

const START_200: &str = "HTTP/1.1 200 OK\r\nServer: corelane\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT";

#[test]
fn a_hit() {
    let head = ResponseHead {
        content_length: Some(128),
        content_type: Some(FieldValue::OCTET_STREAM),
        etag: EntityTag::strong(b"42"),
        max_age_s: Some(9),
        cache_status: Some(CacheStatus::Hit(HitSource::Own)),
        accept_ranges: true,
        ..ResponseHead::new(Status::Ok)
    };
    let want = format!(
        "{START_200}\r\nContent-Length: 128\r\nETag: \"42\"\r\nContent-Type: application/octet-stream\r\n\
         Cache-Control: max-age=9\r\nAccept-Ranges: bytes\r\nCache-Status: corelane; hit; detail=own\r\n\r\n"
    );
    assert_eq!(encoded(&head), want);
}

#[test]
fn each_field_alone() {
    let ok = || ResponseHead::new(Status::Ok);
    let part = ContentRange::Part { part: 2..5, value_bytes: 10 };
    let allow = FieldValue::new(b"GET, PUT").unwrap();
    for (head, line) in [
        (ResponseHead { content_length: Some(0), ..ok() }, "Content-Length: 0"),
        (ResponseHead { content_length: Some(u64::MAX), ..ok() }, "Content-Length: 18446744073709551615"),
        (ResponseHead { connection: ConnectionOption::Close, ..ok() }, "Connection: close"),
        (ResponseHead { connection: ConnectionOption::KeepAlive, ..ok() }, "Connection: keep-alive"),
        (ResponseHead { content_range: Some(part), ..ok() }, "Content-Range: bytes 2-4/10"),
        (
            ResponseHead { content_range: Some(ContentRange::Unsatisfied { value_bytes: 7 }), ..ok() },
            "Content-Range: bytes */7",
        ),
        (ResponseHead { allow: Some(allow), ..ok() }, "Allow: GET, PUT"),
        (ResponseHead { retry_after_s: Some(1), ..ok() }, "Retry-After: 1"),
    ] {
        assert_eq!(encoded(&head), format!("{START_200}\r\n{line}\r\n\r\n"));
    }
}

#[test]
fn statuses_without_a_body() {
    for (status, method, sends, counts) in [
        (Status::Ok, Method::Get, true, true),
        (Status::Ok, Method::Head, false, true),
        (Status::NoContent, Method::Delete, false, false),
        (Status::NotModified, Method::Get, false, true),
    ] {
        let head = ResponseHead { content_length: Some(5), ..ResponseHead::new(status) };
        assert_eq!(head.sends_body(method), sends, "{status:?} {method:?}");
        assert_eq!(encoded(&head).contains("Content-Length: 5"), counts, "{status:?}");
    }
    assert!(!ResponseHead { content_length: Some(0), ..ResponseHead::new(Status::Ok) }.sends_body(Method::Get));
}

#[test]
fn upgrade_required_says_to_what() {
    let mut head = ResponseHead::new(Status::UpgradeRequired);
    assert!(encoded(&head).ends_with("\r\nUpgrade: HTTP/1.1\r\nConnection: upgrade\r\n\r\n"));
    head.connection = ConnectionOption::Close;
    assert!(encoded(&head).ends_with("\r\nUpgrade: HTTP/1.1\r\nConnection: upgrade, close\r\n\r\n"));
}

#[test]
fn every_status_is_read_back() {
    for &status in Status::NAMED {
        let text = encoded(&ResponseHead { content_length: Some(3), ..ResponseHead::new(status) });
        let parsed = response::parse(text.as_bytes(), &MessageLimits::default(), Method::Get).unwrap();
        let Parsed::Complete(head) = parsed else { panic!("{text:?}") };
        assert_eq!((head.status(), head.head_bytes()), (status.code(), text.len()));
        let want = if status.has_body() { response::ResponseBody::Length(3) } else { response::ResponseBody::None };
        assert_eq!((head.body(), head.keep_alive()), (want, true), "{status:?}");
    }
}

#[test]
fn a_vector_with_room_does_not_grow() {
    let head = ResponseHead { content_length: Some(1), ..ResponseHead::new(Status::Ok) };
    let start = ResponseStart::at_unix_seconds(0);
    let mut out = Vec::with_capacity(4096);
    for _ in 0..20 {
        let place = out.as_ptr();
        out.clear();
        head.encode(&start, &mut out);
        assert_eq!((out.as_ptr(), out.capacity()), (place, 4096));
    }
}

#[test]
fn any_status_and_any_fields_are_read_back() {
    let names: [&[u8]; 3] = [b"X-A", b"Set-Cookie", b"set-cookie"];
    let lines = names.map(|name| FieldLine::new(name, b"v; \xff").unwrap());
    for status in (100..600).filter_map(Status::from_code) {
        let mut out = Vec::new();
        let head = ResponseHead { content_length: Some(3), fields: &lines, ..ResponseHead::new(status) };
        head.encode(&ResponseStart::at_unix_seconds(0), &mut out);
        let parsed = response::parse(&out, &MessageLimits::default(), Method::Get).unwrap();
        let Parsed::Complete(read) = parsed else { panic!("{status:?}") };
        assert_eq!((read.status(), read.head_bytes()), (status.code(), out.len()));
        let want = if status.has_body() { response::ResponseBody::Length(3) } else { response::ResponseBody::None };
        assert_eq!(read.body(), want, "{status:?}");
        assert_eq!(read.field("content-length").is_some(), status.has_length(), "{status:?}");
        let sent: Vec<_> = read.fields().filter(|(_, value)| *value == b"v; \xff").map(|(name, _)| name).collect();
        assert_eq!(sent, names, "{status:?}");
    }
}

#[test]
fn tags_are_quoted_and_marked() {
    for (tag, line) in [
        (EntityTag::strong(b""), "ETag: \"\""),
        (EntityTag::strong(b"a-1"), "ETag: \"a-1\""),
        (EntityTag::weak(b"a-1"), "ETag: W/\"a-1\""),
    ] {
        let head = ResponseHead { etag: tag, ..ResponseHead::new(Status::Ok) };
        assert_eq!(encoded(&head), format!("{START_200}\r\n{line}\r\n\r\n"));
    }
}

#[test]
fn every_cache_status_is_a_line() {
    let forwarded = CacheStatus::Forwarded { reason: ForwardReason::Miss, node: 7, collapsed: true };
    for (cache_status, value) in [
        (CacheStatus::Hit(HitSource::Own), "hit; detail=own"),
        (CacheStatus::Hit(HitSource::Core), "hit; detail=core"),
        (CacheStatus::Miss, "fwd=miss"),
        (forwarded, "fwd=miss; collapsed; detail=\"node 7\""),
    ] {
        let head = ResponseHead { cache_status: Some(cache_status), ..ResponseHead::new(Status::Ok) };
        assert_eq!(encoded(&head), format!("{START_200}\r\nCache-Status: corelane; {value}\r\n\r\n"));
    }
}

#[test]
fn whole_problems() {
    let problem = Problem { limit: None, status: Status::BadRequest, slug: "x", detail: "y" };
    let (mut body, mut out) = (b"left over".to_vec(), b"before".to_vec());
    problem.encode(ConnectionOption::Close, &ResponseStart::at_unix_seconds(0), &mut body, &mut out);
    let text = String::from_utf8(out).unwrap();
    let (head, sent) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("beforeHTTP/1.1 400 Bad Request\r\n"), "{head}");
    assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", sent.len())), "{head}");
    assert!(head.contains("\r\nContent-Type: application/problem+json\r\n"), "{head}");
    assert!(head.ends_with("\r\nConnection: close"), "{head}");
    assert!(!head.contains("Retry-After"), "{head}");
    assert_eq!(sent.as_bytes(), body);
}
