//! What the fuzz targets check, kept here so that the targets are one line each and tests run the same checks.
//!
//! **Not**: part of the interface; compiled only for fuzzing and tests.
//! **Invariants**: every function accepts any bytes, and panics only if a promise of this crate is broken.
//! **Source**: the invariants of [`crate::normal`].

use corelane_http::target::percent_decode;

use crate::normal::{self, NormalAuthority, NormalError, RequestScheme};

/// The input is a path, up to the first line feed, and a host.
///
/// A normal form is its own normal form; it is what a naive reader makes of the path; and whoever decodes it whole, or
/// removes dots once more, or takes it as it is, sees the same resource.
pub fn normal_form(bytes: &[u8]) {
    let path_end = memchr::memchr(b'\n', bytes).unwrap_or(bytes.len());
    normal_path(&bytes[..path_end]);
    for scheme in [RequestScheme::Http, RequestScheme::Https] {
        normal_authority(bytes.get(path_end + 1..).unwrap_or_default(), scheme);
    }
}

fn normal_path(raw: &[u8]) {
    let (mut scratch, mut again) = (Vec::new(), Vec::new());
    let normal = normal::path(raw, &mut scratch);
    assert_eq!(normal.map(<[u8]>::to_vec), naive_path(raw), "{}", raw.escape_ascii());
    let Ok(normal) = normal else { return };
    assert_eq!(normal::path(normal, &mut again), Ok(normal), "not idempotent: {}", raw.escape_ascii());
    for segment in normal.split(|byte| *byte == b'/') {
        let mut decoded = Vec::new();
        let decoded = percent_decode(segment, &mut decoded, segment.len()).expect("its escapes are whole");
        assert!(!matches!(decoded, b"." | b".."), "a dot segment is left: {}", raw.escape_ascii());
        assert!(!decoded.contains(&0), "an octet of zero is left: {}", raw.escape_ascii());
    }
}

/// The normal form by the letter of its definition: octets, each with whether it is written as an escape.
fn naive_path(raw: &[u8]) -> Result<Vec<u8>, NormalError> {
    if raw.first() != Some(&b'/') {
        return Err(NormalError::Path);
    }
    let spelled: Vec<String> = naive_octets(raw)?;
    let mut kept: Vec<&[String]> = Vec::new();
    let segments: Vec<&[String]> = spelled[1..].split(|octet| octet == "/").collect();
    for (index, segment) in segments.iter().enumerate() {
        let is_last = index + 1 == segments.len();
        match segment.concat().as_str() {
            "." => {}
            ".." => drop(kept.pop()),
            _ => {
                kept.push(segment);
                continue;
            }
        }
        if is_last {
            kept.push(&[]);
        }
    }
    let mut path = Vec::new();
    for segment in kept {
        path.push(b'/');
        for octet in segment {
            path.extend(octet.chars().map(|character| character as u8));
        }
    }
    Ok(path)
}

/// Each octet as it is spelled: itself, or an escape. A string's characters are bytes here (U+0000 to U+00FF).
fn naive_octets(raw: &[u8]) -> Result<Vec<String>, NormalError> {
    let mut octets = Vec::new();
    let mut has_nul = false;
    let mut at = 0;
    while at < raw.len() {
        if raw[at] != b'%' {
            has_nul |= raw[at] == 0;
            octets.push(char::from(raw[at]).to_string());
            at += 1;
            continue;
        }
        let digits: Option<Vec<u32>> =
            raw.get(at + 1..at + 3).and_then(|two| two.iter().map(|digit| char::from(*digit).to_digit(16)).collect());
        let Some(digits) = digits else { return Err(NormalError::Escape) };
        let octet = char::from(u8::try_from(digits[0] * 16 + digits[1]).expect("two digits are an octet"));
        if octet == '\0' {
            return Err(NormalError::Nul);
        }
        let is_unreserved = octet.is_ascii_alphanumeric() || "-._~".contains(octet);
        octets.push(if is_unreserved { octet.to_string() } else { format!("%{:02X}", u32::from(octet)) });
        at += 3;
    }
    if has_nul { Err(NormalError::Nul) } else { Ok(octets) }
}

fn normal_authority(raw: &[u8], scheme: RequestScheme) {
    let (mut scratch, mut again) = (Vec::new(), Vec::new());
    let Ok(NormalAuthority { host, port }) = normal::authority(raw, scheme, &mut scratch) else { return };
    assert_ne!(port, Some(scheme.default_port()));
    let written = [host, port.map(|port| format!(":{port}")).unwrap_or_default().as_bytes()].concat();
    let once_more = normal::authority(&written, scheme, &mut again);
    assert_eq!(once_more, Ok(NormalAuthority { host, port }), "not idempotent: {}", raw.escape_ascii());
    assert!(host.is_ascii() && !host.contains(&b'/') && !host.contains(&b'@'), "{}", raw.escape_ascii());
    let escapes = host.split(|byte| *byte == b'%').skip(1).map(|rest| &rest[..2]);
    let capitals = escapes.flatten().filter(|digit| digit.is_ascii_uppercase()).count();
    assert_eq!(host.iter().filter(|byte| byte.is_ascii_uppercase()).count(), capitals, "{}", raw.escape_ascii());
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    /// Pieces of which unlike readers make unlike things.
    const PIECES: &[&str] = &[
        "/",
        "/",
        ".",
        "..",
        "%2e",
        "%2E",
        "%2f",
        "%2F",
        "%5c",
        "%00",
        "%25",
        "%41",
        "%c3%a9",
        "%7E",
        "%",
        "%4",
        "a",
        "B",
        "-",
        ";",
        "*",
        "\\",
        "?",
        ":",
        ":80",
        ":443",
        "[::1]",
        "[",
        "]",
        "example.com",
        "@",
    ];

    proptest! {
        #[test]
        fn pieces_that_readers_disagree_about(path in vec(select(PIECES), 0..12), host in vec(select(PIECES), 0..5)) {
            normal_form(format!("/{}\n{}", path.concat(), host.concat()).as_bytes());
        }

        #[test]
        fn any_bytes(bytes in vec(any::<u8>(), 0..64)) {
            normal_form(&bytes);
            normal_form(&[b"/", &bytes[..]].concat());
        }
    }

    /// Runs the seeds, so that a seed that found something keeps finding it.
    #[test]
    fn seeds() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/normal_form");
        let seeds: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(seeds.len() >= 4, "seeds are lost");
        for path in seeds {
            normal_form(&std::fs::read(path).unwrap());
        }
    }
}
