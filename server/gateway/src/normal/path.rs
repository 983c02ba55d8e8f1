//! The normal form of a path.
//!
//! **Not**: queries, and not the forms of a target without a path.
//!
//! **Invariants**: a plain path (no escape, no dot segment) costs one scan and is lent; dots are removed after octets are
//! decoded, so that `%2e%2e` is a dot segment.
//!
//! **Source**: RFC 3986 sections 5.2.4 and 6.2.2.

use super::{NormalError, decode_unreserved};

/// The normal form of a path as it was sent: `raw` itself where it is normal already, else in `scratch`.
///
/// # Errors
///
/// The client's: a bad escape, an octet of zero (escaped or not), or no slash at the beginning.
#[inline]
pub fn path<'a>(raw: &'a [u8], scratch: &'a mut Vec<u8>) -> Result<&'a [u8], NormalError> {
    if raw.first() != Some(&b'/') {
        return Err(NormalError::Path);
    }
    if is_normal(raw) {
        return Ok(raw);
    }
    scratch.clear();
    decode_unreserved(raw, scratch)?;
    if memchr::memchr(0, scratch).is_some() {
        return Err(NormalError::Nul);
    }
    remove_dot_segments(scratch);
    Ok(scratch)
}

/// Whether nothing is to be done. A path with an escape is looked at closely, whatever escape it is; one with an octet of
/// zero is, too.
#[inline]
fn is_normal(raw: &[u8]) -> bool {
    memchr::memchr3_iter(b'%', b'.', 0, raw).all(|at| raw[at] == b'.' && !is_dot_segment(raw, at))
}

/// Whether a segment of one or two dots begins at `at`, which is a dot.
#[inline]
fn is_dot_segment(raw: &[u8], at: usize) -> bool {
    if at == 0 || raw[at - 1] != b'/' {
        return false;
    }
    matches!(&raw[at + 1..], [] | [b'/', ..] | [b'.'] | [b'.', b'/', ..])
}

/// Removes dot segments of a path that begins with a slash; dots above the root are dropped.
fn remove_dot_segments(path: &mut Vec<u8>) {
    let (mut read, mut write) = (0, 0);
    while read < path.len() {
        // `read` is at a slash: a segment goes up to the next one.
        let end = memchr::memchr(b'/', &path[read + 1..]).map_or(path.len(), |at| read + 1 + at);
        let is_last = end == path.len();
        match &path[read + 1..end] {
            b"." => {}
            b".." => write = memchr::memrchr(b'/', &path[..write]).unwrap_or(0),
            _ => {
                path.copy_within(read..end, write);
                write += end - read;
                read = end;
                continue;
            }
        }
        // What a dot segment ends with is the folder it leads to.
        if is_last {
            path[write] = b'/';
            write += 1;
        }
        read = end;
    }
    path.truncate(write);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        for (raw, normal) in [
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a.b/..c/...", "/a.b/..c/..."),
            ("/.well-known/x", "/.well-known/x"),
            ("/a//b/", "/a//b/"),
            ("/%41%2d%2E%5f%7e", "/A-._~"),
            ("/%2f%2F%3f%25%c3%a9", "/%2F%2F%3F%25%C3%A9"),
            ("/%2541", "/%2541"),
            ("/a/./b", "/a/b"),
            ("/a/../b", "/b"),
            ("/a/b/..", "/a/"),
            ("/a/b/.", "/a/b/"),
            ("/..", "/"),
            ("/../../a", "/a"),
            ("/.", "/"),
            ("//..", "/"),
            ("//../a", "/a"),
            ("/a//../b", "/a/b"),
            ("/a/%2e%2E/b", "/b"),
            ("/a/.%2e/b/%2e", "/b/"),
            ("/a/..%2fb", "/a/..%2Fb"),
            ("/a/..;/b", "/a/..;/b"),
            ("/mid/content=5/../6", "/mid/6"),
        ] {
            let mut scratch = Vec::new();
            let got = path(raw.as_bytes(), &mut scratch).map(<[u8]>::to_vec);
            assert_eq!(got.as_deref(), Ok(normal.as_bytes()), "{raw}");
        }
    }

    #[test]
    fn refused_paths() {
        for (raw, error) in [
            (&b""[..], NormalError::Path),
            (b"a", NormalError::Path),
            (b"*", NormalError::Path),
            (b"/%", NormalError::Escape),
            (b"/%4", NormalError::Escape),
            (b"/%4g", NormalError::Escape),
            (b"/%+1", NormalError::Escape),
            (b"/%%41", NormalError::Escape),
            (b"/%00", NormalError::Nul),
            (b"/a\0", NormalError::Nul),
        ] {
            assert_eq!(path(raw, &mut Vec::new()), Err(error), "{}", raw.escape_ascii());
        }
    }

    #[test]
    fn what_is_normal_is_lent() {
        let mut scratch = Vec::new();
        for raw in ["/", "/a/b.html", "/.well-known/acme-challenge/x"] {
            let got = path(raw.as_bytes(), &mut scratch).unwrap();
            assert!(std::ptr::eq(got, raw.as_bytes()));
        }
        assert_eq!(scratch.capacity(), 0);
    }
}
