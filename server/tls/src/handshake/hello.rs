//! Where a ClientHello is complete, and the server name in it.
//!
//! **Not** a check: rustls checks the same bytes afterwards, and refuses what is broken. What cannot be read here has no name.
//!
//! **Invariants**: accepts any bytes; keeps at most a flight of them, and none once the hello is complete.
//!
//! **Source**: RFC 8446 sections 4.1.2 and 5.1, RFC 6066 section 3.

use rustls::pki_types::DnsName;

const RECORD_HEADER_BYTES: usize = 5;
const HANDSHAKE_RECORD: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_NAME: u16 = 0;
const EARLY_DATA: u16 = 42;
const HOST_NAME: u8 = 0;

/// Gathers the messages of plaintext records until a ClientHello is complete.
#[derive(Default)]
pub(super) struct HelloWatch {
    /// What came of a hello in earlier records; nothing of one that is in one record.
    gathered: Vec<u8>,
}

/// What is read of a complete ClientHello.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SeenHello {
    /// The name of the server that it asks for, in small letters.
    pub(super) server_name: Option<Box<str>>,
    /// It is of a version before TLS 1.2. Later ones have 1.2 in the place of the version.
    pub(super) is_before_tls12: bool,
    /// Data follow it that are sealed with keys of an earlier connection.
    pub(super) offers_early_data: bool,
}

impl HelloWatch {
    /// Looks at a whole record, and reads the ClientHello that it completes.
    pub(super) fn observe(&mut self, record: &[u8]) -> Option<SeenHello> {
        if record.first() != Some(&HANDSHAKE_RECORD) || record.len() < RECORD_HEADER_BYTES {
            return None;
        }
        let content = &record[RECORD_HEADER_BYTES..];
        if self.gathered.is_empty() {
            let seen = SeenHello::of(content);
            if seen.is_none() && content.first() == Some(&CLIENT_HELLO) {
                self.gathered = content.to_vec();
            }
            return seen;
        }
        let mut gathered = std::mem::take(&mut self.gathered);
        gathered.extend_from_slice(content);
        let seen = SeenHello::of(&gathered);
        if seen.is_none() {
            self.gathered = gathered;
        }
        seen
    }
}

impl SeenHello {
    /// `None`: it is not complete, or it is none.
    fn of(message: &[u8]) -> Option<Self> {
        let mut reader = HelloReader(message);
        if reader.take(1)? != [CLIENT_HELLO] {
            return None;
        }
        let body = reader.block(3)?;
        let is_before_tls12 = body.get(..2).is_some_and(|version| version < &[3, 3]);
        let mut seen = SeenHello { server_name: None, is_before_tls12, offers_early_data: false };
        seen.read_extensions(body);
        Some(seen)
    }

    /// Reads what is of interest among the extensions; `None` where they end.
    fn read_extensions(&mut self, body: &[u8]) -> Option<()> {
        let mut extensions = extensions(body)?;
        let mut has_name = false;
        loop {
            let kind = extensions.number(2)?;
            let content = extensions.block(2)?;
            if kind == usize::from(SERVER_NAME) && !has_name {
                (self.server_name, has_name) = (host_name(content), true);
            }
            self.offers_early_data |= kind == usize::from(EARLY_DATA);
        }
    }
}

/// The extensions of a ClientHello.
fn extensions(body: &[u8]) -> Option<HelloReader<'_>> {
    let mut body = HelloReader(body);
    // The version and random bytes.
    body.take(2 + 32)?;
    for length_bytes in [1, 2, 1] {
        // Session id, suites, compression methods.
        body.block(length_bytes)?;
    }
    body.block(2).map(HelloReader)
}

fn host_name(extension: &[u8]) -> Option<Box<str>> {
    let mut names = HelloReader(HelloReader(extension).block(2)?);
    if names.take(1)? != [HOST_NAME] {
        return None;
    }
    let name = DnsName::try_from(names.block(2)?).ok()?;
    Some(name.as_ref().to_ascii_lowercase().into_boxed_str())
}

/// Takes numbers and blocks off the front of bytes.
struct HelloReader<'a>(&'a [u8]);

impl<'a> HelloReader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self, bytes: usize) -> Option<usize> {
        Some(self.take(bytes)?.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }

    /// A block behind its length.
    fn block(&mut self, length_bytes: usize) -> Option<&'a [u8]> {
        let count = self.number(length_bytes)?;
        self.take(count)
    }
}

#[cfg(test)]
mod tests {
    use super::{HelloWatch, SeenHello};

    /// A ClientHello with these extensions, each a kind and its content.
    fn hello(extensions: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = [&[3, 3][..], &[7; 32], &[0], &[0, 2, 0x13, 0x01], &[1, 0]].concat();
        let extensions = extensions.iter().flat_map(|(kind, content)| {
            [&kind.to_be_bytes()[..], &(content.len() as u16).to_be_bytes(), content].concat()
        });
        let extensions: Vec<u8> = extensions.collect();
        body.extend_from_slice(&(extensions.len() as u16).to_be_bytes());
        body.extend_from_slice(&extensions);
        [&[1, 0][..], &(body.len() as u16).to_be_bytes(), &body].concat()
    }

    fn names(kind: u8, name: &[u8]) -> Vec<u8> {
        let entry = [&[kind][..], &(name.len() as u16).to_be_bytes(), name].concat();
        [&(entry.len() as u16).to_be_bytes()[..], &entry].concat()
    }

    fn record(content: &[u8]) -> Vec<u8> {
        [&[22, 3, 1][..], &(content.len() as u16).to_be_bytes(), content].concat()
    }

    fn seen(message: &[u8]) -> Option<SeenHello> {
        HelloWatch::default().observe(&record(message))
    }

    #[test]
    fn the_name_is_found_wherever_it_is() {
        let name = names(0, b"Corelane.Test");
        let named = [hello(&[(0, &name)]), hello(&[(43, &[2, 3, 4]), (0, &name), (16, &[])])];
        for hello in named {
            assert_eq!(seen(&hello).unwrap().server_name.as_deref(), Some("corelane.test"));
        }
        for hello in [hello(&[]), hello(&[(43, &[2, 3, 4])])] {
            assert_eq!(seen(&hello).unwrap().server_name, None);
        }
        for broken in [names(1, b"a"), names(0, b""), names(0, b"10.0.0.1"), names(0, b"a b"), vec![0, 9, 0], vec![]] {
            assert_eq!(seen(&hello(&[(0, &broken)])).unwrap().server_name, None, "{broken:?}");
        }
    }

    #[test]
    fn versions_before_tls12_are_known() {
        let mut old = hello(&[]);
        assert!(!seen(&old).unwrap().is_before_tls12);
        for version in [[3, 2], [3, 0], [2, 9]] {
            old[4..6].copy_from_slice(&version);
            assert!(seen(&old).unwrap().is_before_tls12);
        }
        assert!(!seen(&[1, 0, 0, 1, 3]).unwrap().is_before_tls12, "it says no version");
    }

    #[test]
    fn a_hello_is_complete_with_the_record_that_ends_it() {
        let whole = hello(&[(0, &names(0, b"corelane.test"))]);
        for cut in 1..whole.len() {
            let mut watch = HelloWatch::default();
            assert!(watch.observe(&record(&whole[..cut])).is_none(), "{cut}");
            let seen = watch.observe(&record(&whole[cut..])).unwrap();
            assert_eq!(seen.server_name.as_deref(), Some("corelane.test"));
            assert_eq!(watch.gathered.capacity(), 0, "nothing is kept");
        }
        let mut watch = HelloWatch::default();
        for other in
            [record(&[2, 0, 0, 0]), vec![20, 3, 3, 0, 1, 1], vec![23, 3, 3, 0, 4, 1, 0, 0, 0], vec![22, 3], vec![]]
        {
            assert!(watch.observe(&other).is_none());
            assert!(watch.gathered.is_empty());
        }
        assert!(watch.observe(&record(&whole)).is_some());
        assert_eq!(watch.gathered.capacity(), 0, "a hello in one record is not copied");
    }
}
