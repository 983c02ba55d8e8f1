//! The HTTP side of a hit: its request's head read, its answer's head written.
//!
//! **Invariants**: the answer has the fields that a hit has by default, as `server/src/services/kv/hit.rs` gives them.

use std::hint::black_box;

use corelane_http::cache_status::{CacheStatus, HitSource};
use corelane_http::entity_tag::{EntityTag, TagRoom};
use corelane_http::field::FieldValue;
use corelane_http::h1::Parsed;
use corelane_http::h1::ResponseStart;
use corelane_http::h1::request::{FieldMemo, RequestError, Resume, parse, parse_remembering};
use corelane_http::request::{HttpVersion, RequestHead};
use corelane_http::response::{ConnectionOption, ResponseHead};
use corelane_http::{MessageLimits, Status};

const PLAIN: &[u8] = b"GET /v1/kv/default/key-0000 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";

const BROWSER: &[u8] = b"GET /v1/kv/default/key-0000 HTTP/1.1\r\n\
Host: cache.example.com\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
Accept-Language: en-US,en;q=0.5\r\n\
Accept-Encoding: gzip, deflate, br, zstd\r\n\
Connection: keep-alive\r\n\
Upgrade-Insecure-Requests: 1\r\n\
Sec-Fetch-Dest: document\r\n\
Sec-Fetch-Mode: navigate\r\n\
Sec-Fetch-Site: none\r\n\
Priority: u=0, i\r\n\
If-None-Match: \"123456\"\r\n\
\r\n";

/// A head with the one field that HTTP/1.1 requires.
pub(crate) fn parse_plain(count: u64) {
    parse_many(PLAIN, count);
}

/// A head as a browser sends it.
pub(crate) fn parse_browser(count: u64) {
    parse_many(BROWSER, count);
}

/// The same with the memory that a core keeps of fields: all heads but the first are recalled.
pub(crate) fn parse_remembered(count: u64) {
    let (limits, mut resume, mut memo) = (MessageLimits::default(), Resume::default(), FieldMemo::default());
    for _ in 0..=count {
        look_at(&parse_remembering(black_box(BROWSER), black_box(&limits), &mut resume, &mut memo));
    }
}

// One copy of the parser for both heads: two would be inlined apart, and the shorter head would move with the longer.
#[inline(never)]
fn parse_many(bytes: &[u8], count: u64) {
    let (limits, mut resume) = (MessageLimits::default(), Resume::default());
    for _ in 0..count {
        look_at(&parse(black_box(bytes), black_box(&limits), &mut resume));
    }
}

/// Takes out of a head what a server needs to answer.
#[inline(always)]
fn look_at(parsed: &Result<Parsed<RequestHead<'_>>, RequestError>) {
    let Ok(Parsed::Complete(head)) = parsed else { panic!("the head is whole and right: {parsed:?}") };
    black_box(needed_of(head));
}

#[inline(always)]
fn needed_of<'a>(head: &RequestHead<'a>) -> (&'a [u8], bool, bool, usize) {
    (head.target_text(), head.keep_alive(), head.is_conditional_or_partial(), head.head_bytes())
}

/// The head of a 200 with 128 bytes.
pub(crate) fn answer_head(count: u64) {
    let start = ResponseStart::at_unix_seconds(1_700_000_000);
    let mut out = Vec::with_capacity(1024);
    let mut head_bytes = 0;
    for _ in 0..count {
        out.clear();
        write_head(
            black_box((HttpVersion::Http11, 128, b"text/plain", 1_234_567_890_123)),
            black_box(&start),
            &mut out,
        );
        head_bytes = black_box(&out).len();
    }
    assert!(count == 0 || head_bytes > 128, "a head has a status, a date and its fields");
}

#[inline(never)]
fn write_head(
    (version, value_bytes, content_type, item_version): (HttpVersion, u64, &[u8; 10], u64),
    start: &ResponseStart,
    out: &mut Vec<u8>,
) {
    let mut room = TagRoom::new();
    let answer = ResponseHead {
        connection: ConnectionOption::open_for(version),
        content_length: Some(value_bytes),
        content_type: FieldValue::new(content_type),
        etag: Some(EntityTag::number(item_version, &mut room)),
        cache_status: Some(CacheStatus::Hit(HitSource::Own)),
        ..ResponseHead::new(Status::Ok)
    };
    answer.encode(start, out);
}
