//! Which resource a path names.
//!
//! ```text
//!   /v1/kv/{keyspace}/{key…}      the key is the percent-decoded rest, slashes included
//! ```
//!
//! **Not** normalised: a key is what was sent.

const PREFIX: &[u8] = b"/v1/kv/";

/// A path, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Path<'a> {
    /// A key; still percent-encoded, perhaps empty.
    Key { keyspace: &'a [u8], raw_key: &'a [u8] },
    /// `/`.
    Root,
    /// Nothing that exists.
    Unknown,
}

impl<'a> Path<'a> {
    #[inline]
    pub(crate) fn parse(path: &'a [u8]) -> Path<'a> {
        let Some(rest) = path.strip_prefix(PREFIX) else {
            return if path == b"/" { Path::Root } else { Path::Unknown };
        };
        // A name is short: a loop finds its end sooner than a search with a start-up cost.
        match rest.iter().position(|&byte| byte == b'/') {
            Some(slash) => Path::Key { keyspace: &rest[..slash], raw_key: &rest[slash + 1..] },
            None => Path::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let key = |keyspace: &'static str, raw_key: &'static str| Path::Key {
            keyspace: keyspace.as_bytes(),
            raw_key: raw_key.as_bytes(),
        };
        let cases = [
            ("/v1/kv/default/a", key("default", "a")),
            ("/v1/kv/default/a/b/c", key("default", "a/b/c")),
            ("/v1/kv/default//", key("default", "/")),
            ("/v1/kv/default/", key("default", "")),
            ("/v1/kv//a", key("", "a")),
            ("/v1/kv/default", Path::Unknown),
            ("/v1/kv/", Path::Unknown),
            ("/v1/kv", Path::Unknown),
            ("/", Path::Root),
            ("", Path::Unknown),
            ("/V1/kv/default/a", Path::Unknown),
            ("//v1/kv/default/a", Path::Unknown),
            ("/v1/kv/../a", key("..", "a")),
        ];
        for (path, expected) in cases {
            assert_eq!(Path::parse(path.as_bytes()), expected, "{path:?}");
        }
    }
}
