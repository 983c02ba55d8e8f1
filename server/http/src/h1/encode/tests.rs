//! Tests of [`super`].

use super::*;
use crate::cache_status::{CacheStatus, HitSource};
use crate::h1::response;
use crate::{Limits, Method};

fn encoded(head: &ResponseHead<'_>) -> String {
    let mut out = Vec::new();
    head.encode(&HttpDate::from_unix_seconds(784_111_777), &mut out);
    String::from_utf8(out).unwrap()
}

const START_200: &str = "HTTP/1.1 200 OK\r\nServer: corelane\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT";

#[test]
fn a_hit() {
    let head = ResponseHead {
        content_length: Some(128),
        content_type: Some(FieldValue::OCTET_STREAM),
        etag: Some(42),
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
        (ResponseHead { connection: Connection::Close, ..ok() }, "Connection: close"),
        (ResponseHead { connection: Connection::KeepAlive, ..ok() }, "Connection: keep-alive"),
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
    head.connection = Connection::Close;
    assert!(encoded(&head).ends_with("\r\nUpgrade: HTTP/1.1\r\nConnection: upgrade, close\r\n\r\n"));
}

#[test]
fn every_status_is_read_back() {
    for &status in Status::ALL {
        let text = encoded(&ResponseHead { content_length: Some(3), ..ResponseHead::new(status) });
        let parsed = response::parse(text.as_bytes(), &Limits::default(), Method::Get).unwrap();
        let response::Parsed::Complete(head) = parsed else { panic!("{text:?}") };
        assert_eq!((head.status(), head.head_bytes()), (status.code(), text.len()));
        let want = if status.has_body() { response::Body::Length(3) } else { response::Body::None };
        assert_eq!((head.body(), head.keep_alive()), (want, true), "{status:?}");
    }
}

#[test]
fn a_vector_with_room_does_not_grow() {
    let head = ResponseHead { content_length: Some(1), ..ResponseHead::new(Status::Ok) };
    let mut out = Vec::with_capacity(4096);
    for _ in 0..20 {
        let place = out.as_ptr();
        out.clear();
        head.encode(&HttpDate::from_unix_seconds(0), &mut out);
        assert_eq!((out.as_ptr(), out.capacity()), (place, 4096));
    }
}
