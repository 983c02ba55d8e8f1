//! Taking request targets apart, and percent-decoding.
//!
//! **Not**: which paths exist; normalisation (`.` and `..` are bytes like any other, a key is what was sent).
//! **Invariants**: a decoded part never aliases bytes it was not decoded from; `+` is a plus; what has no `%` is
//! returned as it stands, without a copy.
//! **Source**: RFC 3986 section 2.1, 3.3 and 3.4.

use thiserror::Error;

/// Why a part of a target could not be decoded. The peer's fault; answer 400, or 414 for `TooLong`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// A `%` is not followed by two hexadecimal digits.
    #[error("a percent sign in the request target is not followed by two hexadecimal digits")]
    Percent,
    /// The decoded bytes are more than the bound.
    #[error("a part of the request target is too long once decoded")]
    TooLong,
}

/// Default port, authority, and path with query of an absolute target; `None` if its scheme is not one of HTTP's.
pub(crate) fn split_absolute(target: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let colon = target.iter().position(|&byte| byte == b':')?;
    let default_port = match &target[..colon] {
        scheme if scheme.eq_ignore_ascii_case(b"http") => 80,
        scheme if scheme.eq_ignore_ascii_case(b"https") => 443,
        _ => return None,
    };
    let rest = target[colon..].strip_prefix(b"://")?;
    let authority_end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(authority_end);
    Some((default_port, authority, rest))
}

/// Splits at the first `?`; the query is without it.
#[inline]
#[must_use]
pub fn split_query(target: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(b'?', target) {
        Some(at) => (&target[..at], Some(&target[at + 1..])),
        None => (target, None),
    }
}

/// Percent-decodes `raw`, which is returned itself if it holds no `%`; else `scratch` is overwritten and lent.
///
/// # Errors
///
/// The peer's fault: a malformed escape, or more than `bytes_max` decoded bytes.
#[inline]
pub fn percent_decode<'a>(raw: &'a [u8], scratch: &'a mut Vec<u8>, bytes_max: usize) -> Result<&'a [u8], DecodeError> {
    let Some(first) = memchr::memchr(b'%', raw) else {
        return if raw.len() <= bytes_max { Ok(raw) } else { Err(DecodeError::TooLong) };
    };
    decode_into(raw, first, scratch)?;
    if scratch.len() <= bytes_max { Ok(scratch) } else { Err(DecodeError::TooLong) }
}

fn decode_into(raw: &[u8], first: usize, scratch: &mut Vec<u8>) -> Result<(), DecodeError> {
    scratch.clear();
    scratch.reserve(raw.len());
    scratch.extend_from_slice(&raw[..first]);
    let mut rest = &raw[first..];
    while let [byte, after @ ..] = rest {
        if *byte != b'%' {
            scratch.push(*byte);
            rest = after;
            continue;
        }
        let [high, low, after @ ..] = after else {
            return Err(DecodeError::Percent);
        };
        let byte = hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low);
        scratch.push(byte.ok_or(DecodeError::Percent)?);
        rest = after;
    }
    Ok(())
}

/// The value of a hexadecimal digit of either case.
pub(crate) fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decoding() {
        for (raw, want) in [
            ("", Ok(&b""[..])),
            ("a+b/c", Ok(b"a+b/c")),
            ("%00%fF%2f%25", Ok(b"\0\xff/%")),
            ("ab%20c", Ok(b"ab c")),
            ("%", Err(DecodeError::Percent)),
            ("%1", Err(DecodeError::Percent)),
            ("a%g1", Err(DecodeError::Percent)),
            ("a%1g", Err(DecodeError::Percent)),
            ("%%41", Err(DecodeError::Percent)),
            ("123456789", Err(DecodeError::TooLong)),
            ("12345678%39", Err(DecodeError::TooLong)),
            ("%31%32%33%34%35%36%37%38", Ok(b"12345678")),
        ] {
            let mut scratch = b"left over".to_vec();
            assert_eq!(percent_decode(raw.as_bytes(), &mut scratch, 8), want, "{raw:?}");
        }
    }

    #[test]
    fn what_has_no_escape_is_not_copied() {
        let raw = b"key";
        let mut scratch = Vec::new();
        assert!(std::ptr::eq(percent_decode(raw, &mut scratch, 3).unwrap(), raw));
        assert_eq!(scratch.capacity(), 0);
    }

    #[test]
    fn queries() {
        for (target, path, query) in [("/a", "/a", None), ("/a?", "/a", Some("")), ("/a?b?c", "/a", Some("b?c"))] {
            assert_eq!(split_query(target.as_bytes()), (path.as_bytes(), query.map(str::as_bytes)));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_survive_encoding(bytes in proptest::collection::vec(any::<u8>(), 0..64), plain in any::<u64>()) {
            let encoded: Vec<u8> = bytes.iter().enumerate().flat_map(|(at, &byte)| {
                let as_is = byte.is_ascii_alphanumeric() && plain >> (at % 64) & 1 == 1;
                if as_is { vec![byte] } else { format!("%{byte:02X}").into_bytes() }
            }).collect();
            let mut scratch = Vec::new();
            prop_assert_eq!(percent_decode(&encoded, &mut scratch, 64).unwrap(), &bytes[..]);
        }
    }
}
