//! Tests of [`super`]: tables of what is accepted and refused, and the parser against the plain one.

use super::oracle::{self, Seen};
use super::*;
use crate::Status;
use crate::h1::FramingError;
use crate::h1::line::FieldError;
use crate::request::{RequestBody, RequestTarget};
use proptest::prelude::*;

mod refusals;

fn seen(head: &RequestHead<'_>) -> Seen {
    Seen {
        head_bytes: head.head_bytes(),
        method_text: head.method_text().to_vec(),
        target: head.target_text().to_vec(),
        version: head.version(),
        body: head.body(),
        keep_alive: head.keep_alive(),
        expect_continue: head.expect_continue(),
        fields: head.fields().map(|(name, value)| (name.to_vec(), value.to_vec())).collect(),
    }
}

fn outcome(parsed: Result<Parsed<RequestHead<'_>>, RequestError>) -> Result<Option<Seen>, RequestError> {
    Ok(match parsed? {
        Parsed::Partial => None,
        Parsed::Complete(head) => Some(seen(&head)),
    })
}

fn parse_whole(text: &[u8], limits: &MessageLimits) -> Result<Option<Seen>, RequestError> {
    outcome(parse(text, limits, &mut Resume::default()))
}

/// Longest text whose every prefix is judged anew: a little over the default bound on a target.
const LATE_VERDICT_BYTES_MAX: usize = 9_000;

/// Gives the parser ever more of `text`, growing by the steps in turn.
fn parse_growing(text: &[u8], limits: &MessageLimits, steps: &[usize]) -> Result<Option<Seen>, RequestError> {
    let mut resume = Resume::default();
    let mut arrived = 0;
    for &step in steps.iter().cycle() {
        arrived = text.len().min(arrived + step.max(1));
        // A copy, because a caller may move the bytes between calls.
        let moved = text[..arrived].to_vec();
        let outcome = outcome(parse(&moved, limits, &mut resume));
        assert_eq!(resume.is_under_way(), matches!(outcome, Ok(None)) && arrived > 0);
        if outcome != Ok(None) || arrived == text.len() {
            return outcome;
        }
        // Waiting is right only if nothing is wrong yet. For the longest texts this would take too long.
        if text.len() < LATE_VERDICT_BYTES_MAX {
            assert_eq!(parse_whole(&moved, limits), Ok(None), "a late verdict on {arrived} bytes");
        }
    }
    unreachable!("the steps repeat until all has arrived")
}

/// Reads `text` with what a head that has its fields but another request line has left behind.
fn parse_remembered(text: &[u8], limits: &MessageLimits) -> Result<Option<Seen>, RequestError> {
    let mut memo = FieldMemo::default();
    for line in [&b"GET /first HTTP/1.1\r\n"[..], b"PUT http://a/b?c HTTP/1.0\r\n"] {
        let fields = text.iter().position(|&byte| byte == b'\n').map_or(text, |end| &text[end + 1..]);
        // Whether that head is accepted does not matter.
        let _ = outcome(parse_remembering(&[line, fields].concat(), limits, &mut Resume::default(), &mut memo));
    }
    let first = outcome(parse_remembering(text, limits, &mut Resume::default(), &mut memo));
    let second = outcome(parse_remembering(text, limits, &mut Resume::default(), &mut memo));
    assert_eq!(first, second);
    first
}

fn check_against_oracle(text: &[u8], limits: &MessageLimits) {
    let want = oracle::read(text, limits);
    assert_eq!(parse_remembered(text, limits), parse_whole(text, limits), "{}", text.escape_ascii());
    assert_eq!(parse_whole(text, limits), want, "{:?}", String::from_utf8_lossy(text));
    if let Ok(Parsed::Complete(head)) = parse(text, limits, &mut Resume::default()) {
        assert_eq!(head.method(), oracle::method(head.method_text()));
        check_recorded(&head);
        check_owned(text, limits, &head);
    }
}

/// A head that was kept says what it said when it was read, whatever became of its buffer and its reader.
fn check_owned(text: &[u8], limits: &MessageLimits, head: &RequestHead<'_>) {
    let (mut buffer, mut resume) = (text.to_vec(), Resume::default());
    let owned = match parse(&buffer, limits, &mut resume) {
        Ok(Parsed::Complete(head)) => head.into_owned(),
        other => panic!("it was whole before: {other:?}"),
    };
    buffer.fill(b'?');
    let other = b"PUT http://other HTTP/1.0\r\nRange: x\r\nIf-Match: *\r\nTransfer: y\r\n\r\n";
    assert!(matches!(parse(other, &MessageLimits::default(), &mut resume), Ok(Parsed::Complete(_))));
    let kept = owned.head();
    assert_eq!(format!("{kept:?}"), format!("{head:?}"), "bytes and offsets");
    assert_eq!(seen(&kept), seen(head));
    assert_eq!((kept.as_bytes(), kept.target_end()), (head.as_bytes(), head.target_end()));
    assert_eq!((kept.method(), kept.target()), (head.method(), head.target()));
    assert_eq!(kept.target_is_plain(), head.target_is_plain());
    assert_eq!(kept.is_conditional_or_partial(), head.is_conditional_or_partial());
    check_recorded(&kept);
}

/// What is recorded by place is what a search finds.
fn check_recorded(head: &RequestHead<'_>) {
    let all = |name: &str| -> Vec<&[u8]> {
        let named = head.fields().filter(|(sent, _)| sent.eq_ignore_ascii_case(name.as_bytes()));
        named.map(|(_, value)| value).collect()
    };
    assert_eq!(head.host(), all("host").first().copied());
    assert_eq!(head.range(), all("range").first().copied());
    assert_eq!(head.if_range(), all("if-range").first().copied());
    assert_eq!(head.content_type(), all("content-type").first().copied());
    assert_eq!(head.content_range(), all("content-range").first().copied());
    for (lines, name) in [
        (head.if_match(), "if-match"),
        (head.if_none_match(), "if-none-match"),
        (head.cache_control(), "cache-control"),
    ] {
        assert_eq!(lines.is_empty(), all(name).is_empty());
        assert_eq!(lines.collect::<Vec<_>>(), all(name));
    }
}

fn complete(text: &str) -> Seen {
    match parse_whole(text.as_bytes(), &MessageLimits::default()) {
        Ok(Some(seen)) => seen,
        other => panic!("{text:?}: {other:?}"),
    }
}

#[test]
fn targets() {
    let path = |path, query: Option<&'static [u8]>| RequestTarget::Origin { path, query };
    let absolute = |authority, path, query| RequestTarget::Absolute { authority, path, query };
    let cases: &[(&str, RequestTarget<'static>)] = &[
        ("GET /", path(b"/", None)),
        ("GET /a/b?c?d=%20", path(b"/a/b", Some(b"c?d=%20"))),
        ("GET //a", path(b"//a", None)),
        ("OPTIONS *", RequestTarget::Asterisk),
        ("OPTIONS /*", path(b"/*", None)),
        ("CONNECT h:443", RequestTarget::Authority(b"h:443")),
        ("CONNECT [::1]:443", RequestTarget::Authority(b"[::1]:443")),
        ("GET http://h", absolute(b"h", b"", None)),
        ("GET HTTP://H:80/a?b", absolute(b"H:80", b"/a", Some(b"b"))),
        ("GET http://h?b", absolute(b"h", b"", Some(b"b"))),
        ("GET https://h:443/", absolute(b"h:443", b"/", None)),
    ];
    for (line, want) in cases {
        let text = format!("{line} HTTP/1.1\r\nHost: h\r\n\r\n");
        match parse(text.as_bytes(), &MessageLimits::default(), &mut Resume::default()) {
            Ok(Parsed::Complete(head)) => assert_eq!(head.target(), *want, "{line}"),
            other => panic!("{line}: {other:?}"),
        }
    }
}

#[test]
fn methods() {
    for text in ["GET", "HEAD", "PUT", "DELETE", "POST", "OPTIONS", "PATCH", "TRACE", "get", "GETS", "GE", "M-SEARCH"] {
        let head = format!("{text} / HTTP/1.1\r\nHost: h\r\n\r\n");
        check_against_oracle(head.as_bytes(), &MessageLimits::default());
        assert_eq!(complete(&head).method_text, text.as_bytes());
    }
}

#[test]
fn framing_and_connection() {
    for (version, fields, body, keep_alive, expect_continue) in [
        ("1.1", "", RequestBody::None, true, false),
        ("1.1", "Content-Length: 0\r\n", RequestBody::None, true, false),
        ("1.1", "content-length: 5\r\n", RequestBody::Length(5), true, false),
        ("1.1", "Content-Length: 5\r\nContent-Length: 5\r\n", RequestBody::Length(5), true, false),
        ("1.1", "Content-Length: 000000000000000000000005\r\n", RequestBody::Length(5), true, false),
        ("1.1", "Transfer-Encoding: ,chunked,\r\n", RequestBody::Chunked, true, false),
        ("1.1", "TRANSFER-ENCODING: CHUNKED\r\n", RequestBody::Chunked, true, false),
        ("1.1", "Connection: close\r\n", RequestBody::None, false, false),
        ("1.1", "Connection: Upgrade,CLOSE\r\n", RequestBody::None, false, false),
        ("1.1", "Connection: keep-alive\r\nConnection: close\r\n", RequestBody::None, false, false),
        ("1.1", "Connection: closed\r\n", RequestBody::None, true, false),
        ("1.0", "", RequestBody::None, false, false),
        ("1.0", "Connection: Keep-Alive\r\n", RequestBody::None, true, false),
        ("1.0", "Connection: keep-alive, close\r\n", RequestBody::None, false, false),
        ("1.0", "Content-Length: 5\r\nExpect: 100-continue\r\n", RequestBody::Length(5), false, false),
        ("1.1", "Content-Length: 5\r\nExpect: 100-Continue\r\n", RequestBody::Length(5), true, true),
        ("1.1", "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n", RequestBody::Chunked, true, true),
        ("1.1", "Expect: 100-continue\r\n", RequestBody::None, true, false),
    ] {
        let seen = complete(&format!("PUT / HTTP/{version}\r\nHost: h\r\n{fields}\r\n"));
        let got = (seen.body, seen.keep_alive, seen.expect_continue);
        assert_eq!(got, (body, keep_alive, expect_continue), "{version} {fields:?}");
    }
}

#[test]
fn hosts() {
    for host in ["h", "", "h:", "h:80", "127.0.0.1:8080", "[::1]:80", "a_b", "xn--a", "a%20b", "A.b."] {
        complete(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    }
    complete("GET / HTTP/1.0\r\n\r\n");
    complete("GET http://h/ HTTP/1.0\r\n\r\n");
    complete("GET http://h:80/ HTTP/1.1\r\nHost: H\r\n\r\n");
    complete("GET https://h/ HTTP/1.1\r\nHost: h:443\r\n\r\n");
}

#[test]
fn pipelined_requests_are_taken_one_by_one() {
    let one = "\r\nPUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n";
    let two = "GET /b HTTP/1.0\r\n\r\n";
    let three = "DELETE /c HTTP/1.1\r\nHost: h\r\n\r\n";
    let text = format!("{one}xyz{two}{three}GET /d HT");
    let mut rest = text.as_bytes();
    let mut resume = Resume::default();
    for (head_bytes, body_bytes, target) in [(one.len(), 3, "/a"), (two.len(), 0, "/b"), (three.len(), 0, "/c")] {
        let seen = outcome(parse(rest, &MessageLimits::default(), &mut resume)).unwrap().unwrap();
        assert_eq!((seen.head_bytes, &seen.target[..]), (head_bytes, target.as_bytes()));
        rest = &rest[head_bytes + body_bytes..];
    }
    assert_eq!(outcome(parse(rest, &MessageLimits::default(), &mut resume)), Ok(None));
    assert!(resume.is_under_way());
}

#[test]
fn bounds_are_inclusive() {
    let text = b"GET /abc HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n";
    let exact = MessageLimits {
        head_bytes_max: text.len() as u32,
        field_count_max: 2,
        target_bytes_max: 4,
        body_bytes_max: 9,
        ..MessageLimits::default()
    };
    assert!(matches!(parse_whole(text, &exact), Ok(Some(_))));
    for (limits, want) in [
        (MessageLimits { head_bytes_max: exact.head_bytes_max - 1, ..exact }, RequestError::HeadTooLarge),
        (MessageLimits { field_count_max: 1, ..exact }, RequestError::TooManyFields),
        (MessageLimits { target_bytes_max: 3, ..exact }, RequestError::TargetTooLong),
        (MessageLimits { body_bytes_max: 8, ..exact }, RequestError::BodyTooLarge),
    ] {
        assert_eq!(parse_whole(text, &limits), Err(want));
        assert_eq!(parse_growing(text, &limits, &[1]), Err(want));
        check_against_oracle(text, &limits);
    }
}

/// A line that never ends is refused at the bounds, and one that is bad before its end does not have to end.
#[test]
fn endless_lines_are_refused_in_time() {
    let limits = MessageLimits::default();
    for (start, filler, want) in [
        ("GET /", "a", RequestError::TargetTooLong),
        ("GET / HTTP/1.1\r\nHost: h\r\nA: ", "a", RequestError::HeadTooLarge),
        ("GET / HTTP/1.1\r\nHost: h\r\nA: \0", "a", FieldError::Value.into()),
    ] {
        let text = [start.as_bytes(), &filler.repeat(20_000).into_bytes()].concat();
        assert_eq!(parse_growing(&text, &limits, &[1]), Err(want), "{start:?}");
    }
}

/// Counts how often the cut-off line is read again while a long head comes byte by byte.
#[test]
fn rereading_is_linear() {
    let line = format!("A: {}\r\n", "b".repeat(4_000));
    let text = format!("GET / HTTP/1.1\r\nHost: h\r\n{line}{line}{line}\r\n").into_bytes();
    let limits = MessageLimits::default();
    let mut resume = Resume::default();
    let mut bytes_read = 0;
    for arrived in 1..text.len() {
        let due = resume.is_under_way() && resume.is_due(&text[..arrived], &limits);
        if due {
            bytes_read += arrived - resume.progress.next as usize;
        }
        assert_eq!(outcome(parse(&text[..arrived], &limits, &mut resume)), Ok(None));
    }
    assert!(bytes_read < 4 * text.len(), "{bytes_read} bytes were read again for {}", text.len());
    assert!(matches!(outcome(parse(&text, &limits, &mut resume)), Ok(Some(_))));
}

/// Pieces from which heads are built that are mostly right, so that what is wrong lies deep.
const LINES: &[&str] = &[
    "GET / HTTP/1.1\r\n",
    "GET /v1/kv/default/key?x=%41 HTTP/1.1\r\n",
    "PUT /a HTTP/1.0\r\n",
    "OPTIONS * HTTP/1.1\r\n",
    "CONNECT a:1 HTTP/1.1\r\n",
    "GET http://a:80/b HTTP/1.1\r\n",
    "POST https://[::1]/[ HTTP/1.1\r\n",
];
const FIELDS: &[&str] = &[
    "Host: a\r\n",
    "host:a:80\r\n",
    "Host: [::1]:8\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: 05\r\n",
    "Content-Length: 77777777777777777777\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: gzip, chunked\r\n",
    "Connection: close, te\r\n",
    "Connection: keep-alive\r\n",
    "Connection: \"a, b\"\r\n",
    "Expect: 100-continue\r\n",
    "If-None-Match: \"1\"\r\n",
    "If-Match: *\r\n",
    "Range: bytes=0-1\r\n",
    "Cache-Control: max-age=1\r\n",
    "Content-Type: \t text/plain \t\r\n",
    "X-Long: 0123456789012345678901234567890123456789\u{e9}\r\n",
    "A:\r\n",
    " folded\r\n",
    "B : c\r\n",
    "C: d\n",
    "\r\n",
];
const BYTES: &[u8] = b"\r\n\0\t :,%/?*[]\"\\\x7f\xff\x16aG19";

#[derive(Debug, Clone)]
struct Built {
    text: Vec<u8>,
    limits: MessageLimits,
}

fn built() -> impl Strategy<Value = Built> {
    let fields = prop::collection::vec(prop::sample::select(FIELDS), 0..8);
    let mutations = prop::collection::vec((any::<prop::sample::Index>(), 0..3u8, prop::sample::select(BYTES)), 0..3);
    let small_limits = (1..200u32, 1..6u16, 1..40u32, 0..8u64, any::<bool>());
    ("(\r\n){0,6}", prop::sample::select(LINES), fields, mutations, small_limits).prop_map(
        |(
            empty,
            line,
            fields,
            mutations,
            (head_bytes_max, field_count_max, target_bytes_max, body_bytes_max, small),
        )| {
            let mut text = format!("{}{line}{}\r\nrest", if small { &empty } else { "" }, fields.concat()).into_bytes();
            for (at, kind, byte) in mutations {
                let at = at.index(text.len());
                match kind {
                    0 => text[at] = byte,
                    1 => text.insert(at, byte),
                    _ => drop(text.remove(at)),
                }
            }
            let limits = MessageLimits {
                head_bytes_max,
                field_count_max,
                target_bytes_max,
                body_bytes_max,
                ..MessageLimits::default()
            };
            Built { text, limits: if small { limits } else { MessageLimits::default() } }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4_000) })]

    #[test]
    fn agrees_with_the_plain_parser(built in built()) {
        check_against_oracle(&built.text, &built.limits);
    }

    #[test]
    fn any_split_gives_the_same(built in built(), steps in prop::collection::vec(1..40usize, 1..6)) {
        let whole = parse_whole(&built.text, &built.limits);
        prop_assert_eq!(&parse_growing(&built.text, &built.limits, &steps), &whole);
        prop_assert_eq!(&parse_growing(&built.text, &built.limits, &[1]), &whole);
    }

    #[test]
    fn any_bytes_are_judged_alike(text in prop::collection::vec(prop::sample::select(BYTES), 0..60)) {
        check_against_oracle(&text, &MessageLimits::default());
    }
}
