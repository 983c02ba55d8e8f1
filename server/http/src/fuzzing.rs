//! What the fuzz targets check, kept here so that the targets are one line each and tests run the same checks.
//!
//! **Not**: part of the interface; compiled only for fuzzing and tests.
//! **Invariants**: every function accepts any bytes, and panics only if a promise of this crate is broken.
//! **Source**: the invariants of [`crate::h1::request`], [`crate::h1::chunked`] and [`crate::h1::response`].

use crate::cache_control::CacheControl;
use crate::conditional::Preconditions;
use crate::entity_tag::EntityTag;
use crate::h1::Parsed;
use crate::h1::request::{FieldMemo, RequestError, Resume, parse, parse_remembering};
use crate::h1::{chunked, response};
use crate::request::{RequestHead, RequestTarget};
use crate::{MessageLimits, Method, range, target};

/// Small bounds, so that a fuzzer reaches all of them.
const LIMITS: MessageLimits = MessageLimits {
    head_bytes_max: 512,
    field_count_max: 8,
    target_bytes_max: 64,
    body_bytes_max: 256,
    chunk_extension_bytes_max: 32,
    trailer_bytes_max: 64,
};

/// The result for a head is the same whole and byte by byte, and everything it gives can be read.
pub fn request_head(bytes: &[u8]) {
    let whole = summary(parse(bytes, &LIMITS, &mut Resume::default()));
    let mut resume = Resume::default();
    let first_byte = usize::from(!bytes.is_empty());
    let growing = (first_byte..=bytes.len())
        .map(|arrived| summary(parse(&bytes[..arrived], &LIMITS, &mut resume)))
        .find(|outcome| *outcome != Ok(None));
    assert_eq!(growing.unwrap_or(Ok(None)), whole);
    // Read again with what the first reading has left, and after a head with another request line.
    let mut memo = FieldMemo::default();
    let fields = memchr::memchr(b'\n', bytes).map_or(bytes, |end| &bytes[end + 1..]);
    let other = [b"GET /other HTTP/1.1\r\n", fields].concat();
    for bytes_before in [&other, bytes] {
        let _ = summary(parse_remembering(bytes_before, &LIMITS, &mut Resume::default(), &mut memo));
        assert_eq!(summary(parse_remembering(bytes, &LIMITS, &mut Resume::default(), &mut memo)), whole);
    }
    if let Ok(Parsed::Complete(head)) = parse(bytes, &LIMITS, &mut Resume::default()) {
        read_everything(&head);
    }
}

fn summary(outcome: Result<Parsed<RequestHead<'_>>, RequestError>) -> Result<Option<String>, RequestError> {
    Ok(match outcome? {
        Parsed::Partial => None,
        Parsed::Complete(head) => Some(format!("{head:?}")),
    })
}

fn read_everything(head: &RequestHead<'_>) {
    assert!(head.head_bytes() <= LIMITS.head_bytes_max as usize);
    assert!(head.fields().count() <= usize::from(LIMITS.field_count_max));
    assert!(head.target_text().len() <= LIMITS.target_bytes_max as usize);
    if let RequestTarget::Origin { path, .. } | RequestTarget::Absolute { path, .. } = head.target() {
        let mut scratch = Vec::new();
        for segment in path.split(|&byte| byte == b'/') {
            if let Ok(decoded) = target::percent_decode(segment, &mut scratch, 16) {
                assert!(decoded.len() <= segment.len().min(16));
                assert!(!head.target_is_plain() || decoded == segment, "a plain path is its own decoding");
            }
        }
        assert!(!head.target_is_plain() || memchr::memchr3(b'%', b'?', b'{', head.target_text()).is_none());
    }
    let conditions = Preconditions::of(head);
    let _any_answer = (
        conditions.evaluate(EntityTag::strong(b"1")),
        conditions.for_write(),
        CacheControl::parse(head.cache_control()),
    );
    if let range::Selection::Part(part) = range::select(head.range().unwrap_or_default(), 10) {
        assert!(part.start < part.end && part.end <= 10);
    }
    let _any_answer = EntityTag::weak(b"1").map(|tag| range::if_range_holds(head.if_range().unwrap_or_default(), tag));
}

/// A body's data and end are the same whole and byte by byte, and keep the bound.
pub fn chunked_body(bytes: &[u8]) {
    assert_eq!(decode(bytes, bytes.len().max(1)), decode(bytes, 1));
}

/// The data, and where the body ended if it did.
fn decode(bytes: &[u8], step: usize) -> Result<(Vec<u8>, Option<usize>), chunked::ChunkedError> {
    let mut decoder = chunked::Decoder::new(&LIMITS);
    let mut data = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let input = &bytes[at..bytes.len().min(at + step)];
        match decoder.decode(input)? {
            chunked::ChunkedPiece::Data(range) => {
                assert!(!range.is_empty());
                data.extend_from_slice(&input[range.clone()]);
                assert!(data.len() as u64 <= LIMITS.body_bytes_max);
                at += range.end;
            }
            chunked::ChunkedPiece::NeedMore => at += input.len(),
            chunked::ChunkedPiece::End(end) => return Ok((data, Some(at + end))),
        }
    }
    // Data at the very end leaves what came before it unsaid only until more bytes come.
    Ok((data, None))
}

/// A head that is whole is partial at every shorter length, and its fields can be read.
pub fn response_head(bytes: &[u8]) {
    for method in [Method::Get, Method::Head] {
        let Ok(Parsed::Complete(head)) = response::parse(bytes, &LIMITS, method) else {
            continue;
        };
        assert!((100..600).contains(&head.status()));
        assert!(head.fields().count() <= usize::from(LIMITS.field_count_max));
        for cut in 0..head.head_bytes() {
            let shorter = response::parse(&bytes[..cut], &LIMITS, method);
            assert!(matches!(shorter, Ok(Parsed::Partial)), "cut at {cut}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// Runs the seeds, so that a seed that found something keeps finding it.
    #[test]
    fn seeds() {
        type Check = fn(&[u8]);
        for (name, check) in [
            ("request_head", super::request_head as Check),
            ("chunked_body", super::chunked_body),
            ("response_head", super::response_head),
        ] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(name);
            let mut seed_count = 0;
            for entry in std::fs::read_dir(folder).unwrap() {
                let seed = std::fs::read(entry.unwrap().path()).unwrap();
                check(&seed);
                for cut in 0..seed.len() {
                    check(&seed[..cut]);
                }
                seed_count += 1;
            }
            assert!(seed_count >= 4, "{name} has lost its seeds");
        }
    }
}
