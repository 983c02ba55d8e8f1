//! Tests of [`super`]: tables, and the decoder against a plain one that sees the whole body at once.

use super::*;
use proptest::prelude::*;

/// The data and the index after the body; `None` if it is cut off.
type Outcome = Result<Option<(Vec<u8>, usize)>, ChunkedError>;

/// Feeds `body` in pieces whose sizes repeat `steps`.
fn decode_in_steps(body: &[u8], limits: &MessageLimits, steps: &[usize]) -> Outcome {
    let mut decoder = Decoder::new(limits);
    let mut data = Vec::new();
    let mut at = 0;
    for &step in steps.iter().cycle() {
        let input = &body[at..body.len().min(at + step)];
        let mut taken = 0;
        loop {
            match decoder.decode(&input[taken..])? {
                ChunkedPiece::Data(range) => {
                    assert!(!range.is_empty());
                    data.extend_from_slice(&input[taken..][range.clone()]);
                    taken += range.end;
                }
                ChunkedPiece::NeedMore => break,
                ChunkedPiece::End(end) => return Ok(Some((data, at + taken + end))),
            }
        }
        at += input.len();
        if at == body.len() {
            return Ok(None);
        }
    }
    unreachable!("the steps repeat until all was fed")
}

fn decode(body: &[u8], limits: &MessageLimits) -> Outcome {
    decode_in_steps(body, limits, &[body.len().max(1)])
}

/// The plain decoder: takes lines apart with the standard library's searches, one whole line at a time.
mod oracle {
    use super::*;

    pub(super) fn decode(body: &[u8], limits: &MessageLimits) -> Option<(Vec<u8>, usize)> {
        let mut data = Vec::new();
        let mut at = 0;
        let mut extension_bytes = 0;
        loop {
            let line = line(body, at)?;
            at += line.len() + 2;
            let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
            let (size, extension) = line.split_at(digits);
            if size.is_empty() || size.len() > 16 || !is_extension(extension) {
                return None;
            }
            // The end of the line counts with its extension.
            extension_bytes += if extension.is_empty() { 0 } else { extension.len() };
            let size = u64::from_str_radix(std::str::from_utf8(size).ok()?, 16).ok()?;
            if data.len() as u64 + size > limits.body_bytes_max
                || extension_bytes > limits.chunk_extension_bytes_max as usize
            {
                return None;
            }
            if size == 0 {
                return Some((data, trailers(body, at, limits)?));
            }
            let end = at + size as usize;
            data.extend_from_slice(body.get(at..end)?);
            if body.get(end..end + 2)? != b"\r\n" {
                return None;
            }
            at = end + 2;
        }
    }

    /// The line at `at`, up to its CR LF, which may be the only CR and LF in it.
    fn line(body: &[u8], at: usize) -> Option<&[u8]> {
        let rest = body.get(at..)?;
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        let line = &rest[..end];
        (!line.contains(&b'\r') && !line.contains(&b'\n')).then_some(line)
    }

    fn trailers(body: &[u8], start: usize, limits: &MessageLimits) -> Option<usize> {
        let mut at = start;
        let mut count = 0;
        loop {
            let line = line(body, at)?;
            at += line.len() + 2;
            if line.is_empty() {
                // The line feed of the last line is not counted: the decision is made before it.
                let section_bytes = at - start - 1;
                let fits = section_bytes <= limits.trailer_bytes_max as usize;
                return (fits && count <= usize::from(limits.field_count_max)).then_some(at);
            }
            count += 1;
            let colon = line.iter().position(|&byte| byte == b':')?;
            let name_fits = colon > 0 && class::all(&line[..colon], class::TOKEN);
            if !name_fits || !class::all(&line[colon + 1..], class::VALUE) {
                return None;
            }
        }
    }

    /// Takes one extension after the other off the front of the text.
    fn is_extension(extension: &[u8]) -> bool {
        let mut rest = extension;
        while !rest.is_empty() {
            let Some(after) = one_extension(rest) else { return false };
            rest = after;
        }
        true
    }

    fn one_extension(text: &[u8]) -> Option<&[u8]> {
        let text = text.trim_ascii_start_blank().strip_prefix(b";")?.trim_ascii_start_blank();
        let name = text.iter().take_while(|&&byte| class::is(byte, class::TOKEN)).count();
        let rest = (name > 0).then(|| &text[name..])?;
        let Some(value) = rest.trim_ascii_start_blank().strip_prefix(b"=") else {
            return Some(rest);
        };
        let value = value.trim_ascii_start_blank();
        let Some(mut quoted) = value.strip_prefix(b"\"") else {
            let bytes = value.iter().take_while(|&&byte| class::is(byte, class::TOKEN)).count();
            return (bytes > 0).then(|| &value[bytes..]);
        };
        loop {
            match quoted {
                [b'"', rest @ ..] => return Some(rest),
                [b'\\', escaped, rest @ ..] if class::is(*escaped, class::VALUE) => quoted = rest,
                [byte, rest @ ..] if class::is(*byte, class::VALUE) && *byte != b'\\' => quoted = rest,
                _ => return None,
            }
        }
    }

    trait TrimBlank {
        fn trim_ascii_start_blank(&self) -> &[u8];
    }

    impl TrimBlank for [u8] {
        fn trim_ascii_start_blank(&self) -> &[u8] {
            let blanks = self.iter().take_while(|&&byte| byte == b' ' || byte == b'\t').count();
            &self[blanks..]
        }
    }
}

#[test]
fn accepted() {
    for (body, want) in [
        ("0\r\n\r\n", ""),
        ("3\r\nabc\r\n0\r\n\r\n", "abc"),
        ("3\r\n\r\n\r\r\n0\r\n\r\n", "\r\n\r"),
        ("A\r\n0123456789\r\n1\r\na\r\n000\r\n\r\n", "0123456789a"),
        ("0000000000000001\r\na\r\n0\r\n\r\n", "a"),
        ("1;a\r\nx\r\n0;b=c\r\n\r\n", "x"),
        ("1 ; a = \"q\\\"\t;\" ;b\r\nx\r\n0\r\n\r\n", "x"),
        ("1;a;b=c;d=\"\"\r\nx\r\n0\r\n\r\n", "x"),
        ("1\r\nx\r\n0\r\nA: b\r\nC:\r\n\r\n", "x"),
    ] {
        for rest in ["", "GET / HTTP/1.1\r\n"] {
            let text = [body, rest].concat();
            let want = Some((want.as_bytes().to_vec(), body.len()));
            assert_eq!(oracle::decode(text.as_bytes(), &MessageLimits::default()), want, "{body:?}");
            for step in 1..=text.len() {
                assert_eq!(
                    decode_in_steps(text.as_bytes(), &MessageLimits::default(), &[step]),
                    Ok(want.clone()),
                    "{body:?}"
                );
            }
        }
        for cut in 0..body.len() {
            assert_eq!(decode(&body.as_bytes()[..cut], &MessageLimits::default()), Ok(None), "{body:?} cut at {cut}");
        }
    }
}

#[test]
fn refused() {
    use ChunkedError::{DataEnd, Extension, Size, Trailer};
    for (body, want) in [
        ("\r\n", Size),
        ("g\r\n", Size),
        ("+1\r\n", Size),
        ("-1\r\n", Size),
        ("0x1\r\n", Size),
        (" 1\r\n", Size),
        (";a\r\n", Size),
        ("1_0\r\n", Size),
        ("1\n", Size),
        ("10000000000000000\r\n", Size),
        ("00000000000000001\r\n", Size),
        ("1 \r\n", Extension),
        ("1\t\r\n", Extension),
        ("1\ra", Extension),
        ("1\r\r\n", Extension),
        ("1;\r\n", Extension),
        ("1;a=\r\n", Extension),
        ("1;a \r\n", Extension),
        ("1;a=b \r\n", Extension),
        ("1;=b\r\n", Extension),
        ("1;a b\r\n", Extension),
        ("1;a=b c\r\n", Extension),
        ("1;a\n", Extension),
        ("1;a\0\r\n", Extension),
        ("1;a=\"\r\n", Extension),
        ("1;a=\"b\n\"\r\n", Extension),
        ("1;a=\"b\"c\r\n", Extension),
        ("1;a=\"\\\r\"\r\n", Extension),
        ("1\r\nab\r\n", DataEnd),
        ("1\r\na\n", DataEnd),
        ("1\r\na\ra", DataEnd),
        ("1\r\na0\r\n\r\n", DataEnd),
        ("0\r\na\r\n\r\n", Trailer),
        ("0\r\na : b\r\n\r\n", Trailer),
        ("0\r\n a: b\r\n\r\n", Trailer),
        ("0\r\n: b\r\n\r\n", Trailer),
        ("0\r\na: b\0\r\n\r\n", Trailer),
        ("0\r\na: b\n\r\n", Trailer),
        ("0\r\na: b\rc\r\n\r\n", Trailer),
        ("0\r\n\n", Trailer),
        ("0\r\n\ra", Trailer),
    ] {
        assert_eq!(decode(body.as_bytes(), &MessageLimits::default()), Err(want), "{body:?}");
        assert_eq!(decode_in_steps(body.as_bytes(), &MessageLimits::default(), &[1]), Err(want), "{body:?}");
        assert_eq!(oracle::decode(body.as_bytes(), &MessageLimits::default()), None, "{body:?}");
        assert_eq!(want.status(), Status::BadRequest);
    }
}

#[test]
fn bounds_are_inclusive() {
    let body = b"2;ab\r\nxy\r\n1;c\r\nz\r\n0\r\nA: b\r\nC: d\r\n\r\n";
    let exact = MessageLimits {
        body_bytes_max: 3,
        // Each extension with the CR that ends its line.
        chunk_extension_bytes_max: 5,
        trailer_bytes_max: 13,
        field_count_max: 2,
        ..MessageLimits::default()
    };
    assert_eq!(decode(body, &exact), Ok(Some((b"xyz".to_vec(), body.len()))));
    for (limits, want, status) in [
        (MessageLimits { body_bytes_max: 2, ..exact }, ChunkedError::BodyTooLarge, Status::ContentTooLarge),
        (MessageLimits { chunk_extension_bytes_max: 4, ..exact }, ChunkedError::ExtensionsTooLarge, Status::BadRequest),
        (MessageLimits { trailer_bytes_max: 12, ..exact }, ChunkedError::TrailersTooLarge, Status::HeadTooLarge),
        (MessageLimits { field_count_max: 1, ..exact }, ChunkedError::TrailersTooLarge, Status::HeadTooLarge),
    ] {
        assert_eq!(decode(body, &limits), Err(want));
        assert_eq!(want.status(), status);
    }
    assert_eq!(decode(b"ffffffffffffffff\r\n", &MessageLimits::default()), Err(ChunkedError::BodyTooLarge));
}

#[test]
fn an_error_stays() {
    let mut decoder = Decoder::new(&MessageLimits::default());
    assert_eq!(decoder.decode(b"x"), Err(ChunkedError::Size));
    assert_eq!(decoder.decode(b"0\r\n\r\n"), Err(ChunkedError::Size));
}

#[test]
fn the_end_stays() {
    let mut decoder = Decoder::new(&MessageLimits::default());
    assert_eq!(decoder.decode(b"0\r\n\r\nx"), Ok(ChunkedPiece::End(5)));
    assert_eq!(decoder.decode(b"x"), Ok(ChunkedPiece::End(0)));
}

const PIECES: &[&str] = &[
    "0\r\n\r\n",
    "3\r\nabc\r\n",
    "1;a=\"b\"\r\nx\r\n",
    "2 ;c\r\n\r\n\r\n",
    "00a\r\n0123456789\r\n",
    "0\r\nA: b\r\n\r\n",
    "5",
];
const BYTES: &[u8] = b"\r\n\0 \t;=\"\\0aAfg:\x7f\xff";

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4_000) })]

    #[test]
    fn agrees_with_the_plain_decoder(
        pieces in prop::collection::vec(prop::sample::select(PIECES), 0..6),
        mutations in prop::collection::vec((any::<prop::sample::Index>(), 0..3u8, prop::sample::select(BYTES)), 0..3),
        steps in prop::collection::vec(1..12usize, 1..6),
    ) {
        let mut body = format!("{}0\r\n\r\n", pieces.concat()).into_bytes();
        for (at, kind, byte) in mutations {
            let at = at.index(body.len());
            match kind {
                0 => body[at] = byte,
                1 => body.insert(at, byte),
                _ => drop(body.remove(at)),
            }
        }
        let limits = MessageLimits::default();
        let whole = decode(&body, &limits);
        prop_assert_eq!(whole.clone().ok().flatten(), oracle::decode(&body, &limits));
        prop_assert_eq!(&decode_in_steps(&body, &limits, &steps), &whole);
        prop_assert_eq!(&decode_in_steps(&body, &limits, &[1]), &whole);
    }
}
