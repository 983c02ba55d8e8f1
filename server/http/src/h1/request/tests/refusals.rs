//! What is refused, one table by status.
//!
//! **Not**: the grammar of single parts, which their own modules test.
//! **Invariants**: every case is refused alike whole, byte by byte, and by the plain parser.
//! **Source**: the rejection list of docs/specification.md.

use super::*;

const VALID: &str = "Host: h\r\n\r\n";

/// A text, and why it is refused.
type Case = (String, RequestError);

fn raw(text: &str, error: RequestError) -> Case {
    (text.to_owned(), error)
}

fn line(line: &str, error: RequestError) -> Case {
    (format!("{line}\r\n{VALID}"), error)
}

fn field(field: &str, error: RequestError) -> Case {
    (format!("PUT / HTTP/1.1\r\nHost: h\r\n{field}\r\n\r\n"), error)
}

/// All cases of 400.
fn bad_requests() -> Vec<Case> {
    [methods_and_target_bytes(), target_forms_and_versions(), line_ends_and_fields(), hosts_and_repeats(), framings()]
        .concat()
}

fn methods_and_target_bytes() -> Vec<Case> {
    use RequestError::{EmptyLines, Method, Target};
    vec![
        raw("\x16\x03\x01\x02\0\x01\0\x01\u{7c}\x03\x03", RequestError::Tls),
        raw("\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", EmptyLines),
        raw("\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", FieldError::BareLf.into()),
        raw("\r\rGET / HTTP/1.1\r\nHost: h\r\n\r\n", FieldError::BareCr.into()),
        line(" GET / HTTP/1.1", Method),
        line("\tGET / HTTP/1.1", Method),
        line("GET\t/ HTTP/1.1", Method),
        line("GET", Method),
        line("G(T / HTTP/1.1", Method),
        line("G\u{e9}T / HTTP/1.1", Method),
        line("\0GET / HTTP/1.1", Method),
        line(":GET / HTTP/1.1", Method),
        line("GET  / HTTP/1.1", Target),
        line("GET  HTTP/1.1", Target),
        line("GET /a\tb HTTP/1.1", Target),
        line("GET /a\0b HTTP/1.1", Target),
        line("GET /a\x7fb HTTP/1.1", Target),
        line("GET /\u{e9} HTTP/1.1", Target),
        line("GET /a#b HTTP/1.1", Target),
        line("GET /a\"b HTTP/1.1", Target),
        line("GET /a<b HTTP/1.1", Target),
        line("GET /a\\b HTTP/1.1", Target),
        line("GET /a^b HTTP/1.1", Target),
        line("GET /a|b HTTP/1.1", Target),
        line("GET /{a} HTTP/1.1", Target),
        line("GET /a[0] HTTP/1.1", Target),
        line("GET /?a[]=1 HTTP/1.1", Target),
        line("GET http://h/[ HTTP/1.1", Target),
        line("GET http:///a HTTP/1.1", Target),
        line("GET http://u@h/ HTTP/1.1", Target),
        line("GET http://h:99999/ HTTP/1.1", Target),
        line("GET http://[::1/ HTTP/1.1", Target),
    ]
}

fn target_forms_and_versions() -> Vec<Case> {
    use RequestError::{TargetForm, VersionSyntax};
    vec![
        line("GET * HTTP/1.1", TargetForm),
        line("OPTIONS ** HTTP/1.1", TargetForm),
        line("GET a HTTP/1.1", TargetForm),
        line("GET ?a HTTP/1.1", TargetForm),
        line("GET h:443 HTTP/1.1", TargetForm),
        line("GET ftp://h/ HTTP/1.1", TargetForm),
        line("GET http:/h HTTP/1.1", TargetForm),
        line("GET file:///etc HTTP/1.1", TargetForm),
        line("CONNECT / HTTP/1.1", TargetForm),
        line("CONNECT h HTTP/1.1", TargetForm),
        line("CONNECT h: HTTP/1.1", TargetForm),
        line("CONNECT :443 HTTP/1.1", TargetForm),
        line("CONNECT http://h:1/ HTTP/1.1", TargetForm),
        line("GET /", VersionSyntax),
        line("GET / ", VersionSyntax),
        line("GET /a b HTTP/1.1", VersionSyntax),
        line("GET /  HTTP/1.1", VersionSyntax),
        line("GET / http/1.1", VersionSyntax),
        line("GET / HTTP/1", VersionSyntax),
        line("GET / HTTP/11.1", VersionSyntax),
        line("GET / HTTP/x.1", VersionSyntax),
        line("GET / HTTP/1.1 ", VersionSyntax),
        line("GET / HTTP/1.11", VersionSyntax),
        line("GET / HTTPS/1.1", VersionSyntax),
    ]
}

fn line_ends_and_fields() -> Vec<Case> {
    vec![
        raw("GET / HTTP/1.1\nHost: h\n\n", FieldError::BareLf.into()),
        raw("GET /\nHost: h\n\n", FieldError::BareLf.into()),
        raw("GET / HTTP/1.1\rHost: h\r\n\r\n", FieldError::BareCr.into()),
        raw("GET / HTTP/1.1\r\nHost: h\n\r\n", FieldError::BareLf.into()),
        raw("GET / HTTP/1.1\r\nHost: h\r\n\n", FieldError::BareLf.into()),
        raw("GET / HTTP/1.1\r\nHost: h\r\rA: b\r\n\r\n", FieldError::BareCr.into()),
        raw("GET / HTTP/1.1\r\nHost: h\r\n\rA: b\r\n", FieldError::BareCr.into()),
        raw("GET / HTTP/1.1\r\n Host: h\r\n\r\n", FieldError::Folded.into()),
        field("A: b\r\n c", FieldError::Folded.into()),
        field("A: b\r\n\tc: d", FieldError::Folded.into()),
        field("Content-Length : 5", FieldError::SpaceBeforeColon.into()),
        field("Transfer-Encoding\t: chunked", FieldError::SpaceBeforeColon.into()),
        field(": a", FieldError::Name.into()),
        field("A", FieldError::Name.into()),
        field("A(b: c", FieldError::Name.into()),
        field("A\0b: c", FieldError::Name.into()),
        field("\u{e9}: c", FieldError::Name.into()),
        field("A: b\0c", FieldError::Value.into()),
        field("A: b\x01", FieldError::Value.into()),
        field("A: b\x7f", FieldError::Value.into()),
        field("A: \x1b[31m", FieldError::Value.into()),
    ]
}

fn hosts_and_repeats() -> Vec<Case> {
    use RequestError::{Host, HostMismatch, HostMissing, Repeated};
    vec![
        raw("GET / HTTP/1.1\r\n\r\n", HostMissing),
        field("Host: h", Repeated),
        field("Host: other", Repeated),
        field("Range: bytes=0-1\r\nRange: bytes=2-3", Repeated),
        field("Content-Type: a/b\r\nContent-Type: a/c", Repeated),
        field("If-Range: \"1\"\r\nif-range: \"1\"", Repeated),
        field("Content-Range: bytes 0-1/2\r\nContent-Range: bytes 0-1/2", Repeated),
        raw("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", Host),
        raw("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", Host),
        raw("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", Host),
        raw("GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", Host),
        raw("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", Host),
        raw("GET / HTTP/1.0\r\nHost: [::1\r\n\r\n", Host),
        raw("GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", HostMismatch),
        raw("GET http://a/ HTTP/1.1\r\nHost:\r\n\r\n", HostMismatch),
        raw("GET http://a:8080/ HTTP/1.1\r\nHost: a\r\n\r\n", HostMismatch),
        raw("GET http://a/ HTTP/1.1\r\nHost: a:443\r\n\r\n", HostMismatch),
    ]
}

fn framings() -> Vec<Case> {
    vec![
        field("Content-Length:", FramingError::ContentLength.into()),
        field("Content-Length: +5", FramingError::ContentLength.into()),
        field("Content-Length: -5", FramingError::ContentLength.into()),
        field("Content-Length: 5, 5", FramingError::ContentLength.into()),
        field("Content-Length: 5 5", FramingError::ContentLength.into()),
        field("Content-Length: 0x5", FramingError::ContentLength.into()),
        field("Content-Length: 5.0", FramingError::ContentLength.into()),
        field("Content-Length: \"5\"", FramingError::ContentLength.into()),
        field("Content-Length: 18446744073709551616", FramingError::ContentLength.into()),
        field("Content-Length: 5\r\nContent-Length: 6", FramingError::ContentLengthDiffers.into()),
        field("Content-Length: 5\r\nTransfer-Encoding: chunked", FramingError::Both.into()),
        field("Transfer-Encoding: chunked\r\nContent-Length: 0", FramingError::Both.into()),
        field("Transfer-Encoding:", FramingError::TransferEncoding.into()),
        field("Transfer-Encoding: gzip", FramingError::TransferEncoding.into()),
        field("Transfer-Encoding: identity", FramingError::TransferEncoding.into()),
        field("Transfer-Encoding: xchunked", FramingError::TransferEncoding.into()),
        field("Transfer-Encoding: chunked;a=b", FramingError::TransferEncoding.into()),
        field("Transfer-Encoding: \"chunked\"", FramingError::TransferEncoding.into()),
        field("Transfer-Encoding: chunked, gzip", FramingError::TransferEncoding.into()),
        field("Transfer-Encoding: chunked, chunked", FramingError::TransferEncoding.into()),
        field("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", FramingError::TransferEncoding.into()),
        field("Transfer-Encoding: @, chunked", FramingError::TransferEncoding.into()),
        field("Transfer-Encoding: \x0bchunked", FieldError::Value.into()),
        field("Connection: a b", FramingError::Connection.into()),
        field("Connection: \"close\"", FramingError::Connection.into()),
        raw("PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", FramingError::TransferEncodingVersion.into()),
    ]
}

#[test]
fn refusals() {
    let limits = MessageLimits { body_bytes_max: 100, ..MessageLimits::default() };
    let with_fields = |count: usize| format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(count));
    let put = |field: &str| format!("PUT / HTTP/1.1\r\nHost: h\r\n{field}\r\n\r\n");
    let get = |target: &str, version: &str| format!("GET {target} {version}\r\n{VALID}");
    let mut cases: Vec<_> = bad_requests().into_iter().map(|(text, error)| (text, Status::BadRequest, error)).collect();
    cases.extend([
        (put("Content-Length: 101"), Status::ContentTooLarge, RequestError::BodyTooLarge),
        (get(&format!("/{}", "a".repeat(8_192)), "HTTP/1.1"), Status::UriTooLong, RequestError::TargetTooLong),
        (put("Expect: 200-ok"), Status::ExpectationFailed, RequestError::Expectation),
        (put("Expect:"), Status::ExpectationFailed, RequestError::Expectation),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), Status::UpgradeRequired, RequestError::Http2),
        (with_fields(101), Status::HeadTooLarge, RequestError::TooManyFields),
        (put(&format!("A: {}", "b".repeat(17_000))), Status::HeadTooLarge, RequestError::HeadTooLarge),
        (put("Transfer-Encoding: gzip, chunked"), Status::NotImplemented, FramingError::TransferCoding.into()),
        (get("/", "HTTP/2.0"), Status::VersionNotSupported, RequestError::Version),
        (get("/", "HTTP/1.2"), Status::VersionNotSupported, RequestError::Version),
        (get("/", "HTTP/0.9"), Status::VersionNotSupported, RequestError::Version),
    ]);
    for (text, status, error) in cases {
        let short: String = text.chars().take(80).collect();
        assert_eq!(parse_whole(text.as_bytes(), &limits), Err(error), "{short:?}");
        assert_eq!(error.status(), status, "{short:?}");
        assert_eq!(parse_growing(text.as_bytes(), &limits, &[1]), Err(error), "{short:?}, byte by byte");
        check_against_oracle(text.as_bytes(), &limits);
    }
}

#[test]
fn every_error_has_its_own_slug_and_sentence() {
    let mut slugs: Vec<&str> = bad_requests().iter().map(|(_, error)| error.slug()).collect();
    slugs.sort_unstable();
    slugs.dedup();
    let mut details: Vec<String> = bad_requests().iter().map(|(_, error)| error.to_string()).collect();
    details.sort_unstable();
    details.dedup();
    assert_eq!(slugs.len(), details.len());
    assert!(slugs.len() >= 18, "the table has lost cases: {slugs:?}");
}
