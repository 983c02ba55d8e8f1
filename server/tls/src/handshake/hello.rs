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
const HOST_NAME: u8 = 0;

/// Gathers the messages of plaintext records until a ClientHello is complete.
#[derive(Default)]
pub(super) struct HelloWatch {
    gathered: Vec<u8>,
}

impl HelloWatch {
    /// Looks at a whole record: the ClientHello that it completes, without its header.
    pub(super) fn observe(&mut self, record: &[u8]) -> Option<Vec<u8>> {
        if record.first() != Some(&HANDSHAKE_RECORD) || record.len() < RECORD_HEADER_BYTES {
            return None;
        }
        self.gathered.extend_from_slice(&record[RECORD_HEADER_BYTES..]);
        let mut message = HelloReader(&self.gathered);
        if self.gathered.first() != Some(&CLIENT_HELLO) {
            // Another message: what a hello is not begins anew with each record.
            self.gathered = Vec::new();
            return None;
        }
        message.take(1)?;
        message.block(3)?;
        let gathered = std::mem::take(&mut self.gathered);
        Some(gathered)
    }
}

/// The name of the server that a ClientHello asks for, in small letters.
pub(super) fn server_name(hello: &[u8]) -> Option<Box<str>> {
    let mut message = HelloReader(hello);
    message.take(1)?;
    let mut body = HelloReader(message.block(3)?);
    body.take(2 + 32)?;
    for length_bytes in [1, 2, 1] {
        // Session id, suites, compression methods.
        body.block(length_bytes)?;
    }
    let mut extensions = HelloReader(body.block(2)?);
    loop {
        let kind = extensions.number(2)?;
        let content = extensions.block(2)?;
        if kind == usize::from(SERVER_NAME) {
            return host_name(content);
        }
    }
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
