use super::*;
use crate::h1::Parsed;
use crate::h1::request::{self, Resume};
use crate::h1::response::{self, ResponseBody};
use crate::{MessageLimits, Method};

const DATE: u64 = 784_111_777;

fn request(text: &str, added: &[FieldLine<'_>]) -> String {
    let mut resume = Resume::default();
    let Ok(Parsed::Complete(head)) = request::parse(text.as_bytes(), &MessageLimits::default(), &mut resume) else {
        panic!("{text:?} is no head")
    };
    let forwarded = OriginRequest {
        method: head.method_text(),
        target: head.target_text(),
        host: b"origin",
        body: head.body(),
        fields: EndToEnd::of(head.fields()).unwrap(),
        added,
    };
    let mut out = Vec::new();
    forwarded.encode(|name| name.eq_ignore_ascii_case(b"x-forwarded-for"), &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn a_request_has_one_framing_and_our_host() {
    let via = [FieldLine::new(b"Via", b"1.1 corelane").unwrap()];
    let cases = [
        ("GET /a?b HTTP/1.1\r\nHost: h\r\nA: 1\r\n\r\n", "GET /a?b HTTP/1.1\r\nHost: origin\r\nA: 1\r\n"),
        ("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "GET /a HTTP/1.1\r\nHost: origin\r\n"),
        (
            "POST /a HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: evil\r\nExpect: 100-continue\r\nContent-Length: 007\r\n\r\n",
            "POST /a HTTP/1.1\r\nHost: origin\r\nContent-Length: 7\r\n",
        ),
        ("POST /a HTTP/1.1\r\nHost: h\r\n\r\n", "POST /a HTTP/1.1\r\nHost: origin\r\nContent-Length: 0\r\n"),
        (
            "PUT /a HTTP/1.1\r\nHost: h\r\nB: \t2 \r\nTransfer-Encoding: CHUNKED\r\n\r\n",
            "PUT /a HTTP/1.1\r\nHost: origin\r\nTransfer-Encoding: chunked\r\nB: 2\r\n",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(request(text, &via), format!("{expected}Via: 1.1 corelane\r\n\r\n"), "{text:?}");
    }
}

/// What the client of `version` gets of a response to `method`.
fn response(text: &str, method: Method, version: HttpVersion) -> String {
    let Ok(Parsed::Complete(head)) = response::parse(text.as_bytes(), &MessageLimits::default(), method) else {
        panic!("{text:?} is no head")
    };
    let body = match head.body() {
        ResponseBody::None => ForwardedBody::None { length: head.content_length() },
        ResponseBody::Length(bytes) => ForwardedBody::Length(bytes),
        ResponseBody::Chunked | ResponseBody::UntilClose => ForwardedBody::open_for(version),
    };
    let forwarded = ForwardedHead {
        status: Status::from_code(head.status()).unwrap(),
        connection: ConnectionOption::open_for(version),
        body,
        fields: EndToEnd::of(head.fields()).unwrap(),
        added: &[],
    };
    let mut out = Vec::new();
    forwarded.encode(HttpDate::from_unix_seconds(DATE), |name| name.eq_ignore_ascii_case(b"x-secret"), &mut out);
    String::from_utf8(out).unwrap()
}

const OWN_DATE: &str = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";

#[test]
fn a_response_is_framed_for_its_client() {
    use HttpVersion::{Http10, Http11};
    let get = Method::Get;
    let cases = [
        (
            "HTTP/1.1 200 Fine\r\nContent-Length: 3\r\nX-Secret: 1\r\n\r\n",
            get,
            Http11,
            "200 OK",
            "Content-Length: 3\r\n",
        ),
        ("HTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n", get, Http11, "299 ", "Content-Length: 0\r\n"),
        (
            "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n",
            get,
            Http10,
            "200 OK",
            "Content-Length: 3\r\nConnection: keep-alive\r\n",
        ),
        ("HTTP/1.1 200 OK\r\n\r\n", get, Http11, "200 OK", CHUNKED_TEXT),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", get, Http11, "200 OK", CHUNKED_TEXT),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", get, Http10, "200 OK", "Connection: close\r\n"),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", get, Http11, "204 No Content", ""),
        (
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
            get,
            Http11,
            "304 Not Modified",
            "Content-Length: 5\r\n",
        ),
        ("HTTP/1.1 304 Not Modified\r\n\r\n", get, Http11, "304 Not Modified", ""),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", Method::Head, Http11, "200 OK", "Content-Length: 9\r\n"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Method::Head, Http11, "200 OK", ""),
    ];
    for (text, method, version, status, framing) in cases {
        let expected = format!("HTTP/1.1 {status}\r\n{OWN_DATE}{framing}\r\n");
        assert_eq!(response(text, method, version), expected, "{text:?}");
    }
}

const CHUNKED_TEXT: &str = "Transfer-Encoding: chunked\r\n";

#[test]
fn the_origins_date_stays_and_an_interim_head_has_no_framing() {
    let dated = response("HTTP/1.1 200 OK\r\ndate: x\r\nContent-Length: 0\r\n\r\n", Method::Get, HttpVersion::Http11);
    assert_eq!(dated, "HTTP/1.1 200 OK\r\ndate: x\r\nContent-Length: 0\r\n\r\n");
    let early = response("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", Method::Get, HttpVersion::Http11);
    assert_eq!(early, "HTTP/1.1 103 \r\nLink: </a>\r\n\r\n");
}

#[test]
fn chunks_are_what_the_decoder_takes() {
    let mut out = Vec::new();
    for bytes in [1, 9, 10, 15, 16, 255, 256, 65_536] {
        push_chunk(&mut out, &vec![b'x'; bytes]);
    }
    out.extend_from_slice(LAST_CHUNK);
    let mut decoder = crate::h1::chunked::Decoder::new(&MessageLimits::default());
    let (mut at, mut found) = (0, 0);
    while let crate::h1::chunked::ChunkedPiece::Data(range) = decoder.decode(&out[at..]).unwrap() {
        found += range.len();
        at += range.end;
    }
    assert_eq!(found, 1 + 9 + 10 + 15 + 16 + 255 + 256 + 65_536);
}
