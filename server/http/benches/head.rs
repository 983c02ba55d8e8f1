//! Times the two pure costs of a hit: parsing a request head and encoding a response head.
//!
//! **Not**: a gate; absolute times differ by host. The gates count instructions.
//! **Invariants**: prints the best of many short runs, which other load on the host disturbs least.
//! **Source**: the request of the benchmark scenarios.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use corelane_http::cache_status::{CacheStatus, HitSource};
use corelane_http::entity_tag::{EntityTag, TagRoom};
use corelane_http::field::FieldValue;
use corelane_http::h1::Parsed;
use corelane_http::h1::ResponseStart;
use corelane_http::h1::request::{Resume, parse};
use corelane_http::response::ResponseHead;
use corelane_http::{MessageLimits, Status};
use std::hint::black_box;
use std::time::Instant;

const RUNS: usize = 200;
const CALLS_PER_RUN: usize = 10_000;

const SHORT: &[u8] = b"GET /v1/kv/default/key-0000 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";
const BROWSER: &[u8] = b"GET /v1/kv/default/key-0000 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: Mozilla/5.0 \
(X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\nAccept: text/html,application/xhtml+xml,application/xml;\
q=0.9,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nConnection: \
keep-alive\r\nCookie: session=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\r\n\
If-None-Match: \"123456\"\r\n\r\n";

fn best_ns(mut call: impl FnMut()) -> f64 {
    let run = |_| {
        let start = Instant::now();
        for _ in 0..CALLS_PER_RUN {
            call();
        }
        start.elapsed().as_nanos() as f64 / CALLS_PER_RUN as f64
    };
    (0..RUNS).map(run).fold(f64::INFINITY, f64::min)
}

fn time_parse(name: &str, head: &[u8]) {
    let limits = MessageLimits::default();
    let mut resume = Resume::default();
    let ns = best_ns(|| match parse(black_box(head), black_box(&limits), &mut resume) {
        Ok(Parsed::Complete(head)) => {
            black_box((head.method(), head.target(), head.body(), head.keep_alive(), head.head_bytes()));
        }
        other => panic!("a benchmark's request is valid: {other:?}"),
    });
    println!("parse {name}, {} bytes: {ns:.1} ns", head.len());
}

fn main() {
    time_parse("short", SHORT);
    time_parse("browser", BROWSER);
    let start = ResponseStart::at_unix_seconds(1_700_000_000);
    let mut out = Vec::with_capacity(1024);
    let mut room = TagRoom::new();
    let head = ResponseHead {
        content_length: Some(128),
        content_type: Some(FieldValue::OCTET_STREAM),
        etag: Some(EntityTag::number(1_234_567_890_123, &mut room)),
        cache_status: Some(CacheStatus::Hit(HitSource::Own)),
        accept_ranges: true,
        ..ResponseHead::new(Status::Ok)
    };
    let ns = best_ns(|| {
        out.clear();
        black_box(&head).encode(black_box(&start), &mut out);
        black_box(&out);
    });
    println!("encode, {} bytes: {ns:.1} ns", out.len());
}
