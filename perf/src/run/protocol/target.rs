//! Where requests go: a URL taken apart.
//!
//! ```text
//!  http://HOST:PORT/PATH{key}MORE                HTTP/1.1, port 80 unless it says another
//!  redis://HOST:PORT/KEY{key}MORE                RESP2, 6379
//!  memcached://HOST:PORT/KEY{key}MORE            meta protocol, 11211
//!  shard://[KEYSPACE@]HOST:PORT/KEY{key}MORE     shard protocol, 7401; keyspace `default` unless it says another
//! ```
//!
//! **Not** decoded: what stands for the key is what is asked for, byte by byte.
//!
//! **Invariants**: a target that [`LoadTarget::parse`] returns can be asked with every key of a scenario: it is printable ASCII
//! and short enough for its protocol.

use std::net::{SocketAddr, ToSocketAddrs};

use anyhow::{Context, Result, bail, ensure};
use shardstore::key::{KEY_BYTES_MAX, is_keyspace_name};

use super::key::NAME_BYTES_MAX;

/// Longest key of memcached, in bytes (its `doc/protocol.txt`).
const MEMCACHED_KEY_BYTES_MAX: usize = 250;

/// A protocol, as the beginning of a URL names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Redis,
    Memcached,
    Shard,
}

impl Scheme {
    const ALL: [Self; 4] = [Self::Http, Self::Redis, Self::Memcached, Self::Shard];

    const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Redis => "redis",
            Self::Memcached => "memcached",
            Self::Shard => "shard",
        }
    }

    const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Redis => 6379,
            Self::Memcached => 11211,
            Self::Shard => 7401,
        }
    }

    /// Whether its requests name a key and nothing else, so that one scenario can be asked of all that do.
    pub(crate) fn is_key_value(self) -> bool {
        self != Self::Http
    }

    /// The protocol of a URL, and what follows `://`.
    pub(crate) fn of(url: &str) -> Result<(Self, &str)> {
        let spoken = url.split_once("://").and_then(|(name, rest)| {
            Self::ALL.into_iter().find(|scheme| scheme.name() == name).map(|scheme| (scheme, rest))
        });
        let Some(found) = spoken else {
            bail!(
                "url = \"{url}\": it begins with http://, redis://, memcached:// or shard:// (TLS is not spoken yet)"
            );
        };
        Ok(found)
    }
}

/// Where requests go, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LoadTarget {
    pub(crate) scheme: Scheme,
    pub(crate) address: SocketAddr,
    /// Host and port as the URL says them: the `Host` field of HTTP.
    pub(crate) authority: String,
    /// Of the shard protocol; elsewhere `default`, which means nothing there.
    pub(crate) keyspace: String,
    /// What is before and after the number of the key; of HTTP with the slash that begins a path.
    pub(crate) path: (String, String),
    /// Whether there is a place for the key's number at all.
    pub(crate) has_key: bool,
}

impl LoadTarget {
    /// Takes a URL apart, and looks its host up.
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let (scheme, rest) = Scheme::of(url)?;
        let (place, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (keyspace, authority) = match place.split_once('@') {
            Some((keyspace, authority)) => (Some(keyspace), authority),
            None => (None, place),
        };
        check_keyspace(url, scheme, keyspace)?;
        ensure!(
            path.bytes().all(|byte| byte.is_ascii_graphic()),
            "url = \"{url}\": its path has a blank or a character that is not ASCII; write %20 and the like"
        );
        let (before, after, has_key) = match path.split_once("{key}") {
            Some((before, after)) => (before, after, true),
            None => (path, "", false),
        };
        check_key(url, scheme, before.len() + after.len(), has_key)?;
        let before = if scheme == Scheme::Http { format!("/{before}") } else { before.to_owned() };
        Ok(Self {
            scheme,
            address: look_up(url, scheme, authority)?,
            authority: authority.to_owned(),
            keyspace: keyspace.unwrap_or("default").to_owned(),
            path: (before, after.to_owned()),
            has_key,
        })
    }
}

fn look_up(url: &str, scheme: Scheme, authority: &str) -> Result<SocketAddr> {
    let named = if authority.contains(':') { authority.to_owned() } else { format!("{authority}:{}", scheme.port()) };
    let mut addresses =
        named.to_socket_addrs().with_context(|| format!("url = \"{url}\": {named} is no known host with a port"))?;
    addresses.next().with_context(|| format!("url = \"{url}\": {named} has no address"))
}

fn check_keyspace(url: &str, scheme: Scheme, keyspace: Option<&str>) -> Result<()> {
    let Some(name) = keyspace else { return Ok(()) };
    ensure!(
        scheme == Scheme::Shard,
        "url = \"{url}\": only shard:// has a keyspace before its host; leave \"{name}@\" out"
    );
    ensure!(
        is_keyspace_name(name.as_bytes()),
        "url = \"{url}\": a keyspace is 1 to 63 characters of a-z, 0-9, '_' and '-', which \"{name}\" is not"
    );
    Ok(())
}

fn check_key(url: &str, scheme: Scheme, fixed_bytes: usize, has_key: bool) -> Result<()> {
    let bytes_max = match scheme {
        Scheme::Http | Scheme::Redis => return ensure_some(url, scheme, fixed_bytes, has_key),
        Scheme::Memcached => MEMCACHED_KEY_BYTES_MAX,
        Scheme::Shard => KEY_BYTES_MAX,
    };
    let bytes = fixed_bytes + if has_key { NAME_BYTES_MAX } else { 0 };
    ensure!(
        bytes <= bytes_max,
        "url = \"{url}\": its keys have up to {bytes} bytes with their number; {} takes {bytes_max}",
        scheme.name()
    );
    ensure_some(url, scheme, fixed_bytes, has_key)
}

fn ensure_some(url: &str, scheme: Scheme, fixed_bytes: usize, has_key: bool) -> Result<()> {
    let names_one = has_key || fixed_bytes > 0 || scheme == Scheme::Http;
    ensure!(names_one, "url = \"{url}\": it names no key; write one behind the slash, such as /k{{key}}");
    Ok(())
}

/// The same URL at another address, in the protocol that is spoken there.
pub(crate) fn relocated(url: &str, scheme: Scheme, address: SocketAddr) -> Result<String> {
    let (_, rest) = Scheme::of(url)?;
    let (place, path) = rest.split_once('/').unwrap_or((rest, ""));
    let keyspace = match place.split_once('@') {
        Some((name, _)) if scheme == Scheme::Shard => format!("{name}@"),
        _ => String::new(),
    };
    Ok(format!("{}://{keyspace}{address}/{path}", scheme.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(url: &str) -> (Scheme, u16, String, String, String) {
        let target = LoadTarget::parse(url).expect(url);
        (target.scheme, target.address.port(), target.keyspace, target.path.0, target.path.1)
    }

    fn expected(scheme: Scheme, port: u16, texts: [&str; 3]) -> (Scheme, u16, String, String, String) {
        let [keyspace, before, after] = texts.map(str::to_owned);
        (scheme, port, keyspace, before, after)
    }

    #[test]
    fn urls_are_taken_apart() {
        for (url, scheme, port, texts) in [
            ("http://127.0.0.1:8080/a{key}/b", Scheme::Http, 8080, ["default", "/a", "/b"]),
            ("http://127.0.0.1", Scheme::Http, 80, ["default", "/", ""]),
            ("redis://127.0.0.1/a/{key}", Scheme::Redis, 6379, ["default", "a/", ""]),
            ("memcached://127.0.0.1/k", Scheme::Memcached, 11211, ["default", "k", ""]),
            ("shard://127.0.0.1/k{key}", Scheme::Shard, 7401, ["default", "k", ""]),
            ("shard://s-1@127.0.0.1:9/k{key}", Scheme::Shard, 9, ["s-1", "k", ""]),
        ] {
            assert_eq!(parts(url), expected(scheme, port, texts), "{url}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let long = format!("memcached://127.0.0.1/{}{{key}}", "k".repeat(240));
        for (url, named) in [
            ("https://127.0.0.1/", "redis://"),
            ("127.0.0.1/", "redis://"),
            ("redis://127.0.0.1/", "no key"),
            ("memcached://127.0.0.1", "no key"),
            (long.as_str(), "304 bytes"),
            ("redis://name@127.0.0.1/k", "keyspace"),
            ("shard://UPPER@127.0.0.1/k", "UPPER"),
            ("shard://127.0.0.1/a b", "blank"),
        ] {
            let error = format!("{:#}", LoadTarget::parse(url).expect_err(url));
            assert!(error.contains(named), "{url}: {error}");
        }
    }

    #[test]
    fn a_url_moves_to_another_server_and_protocol() {
        let address = "127.0.0.1:1".parse().expect("an address");
        for (url, scheme, moved) in [
            ("http://h:2/a{key}", Scheme::Http, "http://127.0.0.1:1/a{key}"),
            ("shard://s@h/k{key}", Scheme::Shard, "shard://s@127.0.0.1:1/k{key}"),
            ("shard://s@h/k{key}", Scheme::Redis, "redis://127.0.0.1:1/k{key}"),
        ] {
            assert_eq!(relocated(url, scheme, address).expect(url), moved);
        }
    }
}
