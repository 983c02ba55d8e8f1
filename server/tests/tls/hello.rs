//! A ClientHello by hand, and what a server says to whom it does not go on with.

use std::io::Read;
use std::net::SocketAddr;

use crate::support::client::{Client, Socket, uninterrupted};

/// Bytes of the largest record.
const RECORD_BYTES_MAX: usize = 16 * 1024;

/// What came until the end of a connection; a reset is an end, too.
pub(super) fn rest(socket: &mut Socket) -> Vec<u8> {
    let mut all = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        match uninterrupted(|| socket.read(&mut chunk)) {
            Ok(0) => return all,
            Ok(count) => all.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return all,
            Err(error) => panic!("the connection does not end: {error}; so far {:?}", all.escape_ascii().to_string()),
        }
    }
}

/// What comes back to these bytes until the connection ends.
pub(super) fn answer_to(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut client = Client::connect(address);
    client.try_send(bytes);
    rest(&mut client.socket)
}

/// A ClientHello that can be answered, with a padding of this many bytes, in as few records as can be.
pub(super) fn client_hello(padding: usize) -> Vec<u8> {
    records(&message(&extensions(padding)))
}

fn extensions(padding: usize) -> Vec<u8> {
    let key_share = [&[0, 36, 0, 29, 0, 32][..], &[9; 32]].concat();
    let all: [(u16, &[u8]); 6] = [
        // TLS 1.3 and 1.2; X25519; ECDSA on P-256 with SHA-256; a key; the extended master secret.
        (43, &[4, 3, 4, 3, 3]),
        (10, &[0, 2, 0, 29]),
        (13, &[0, 2, 4, 3]),
        (51, &key_share),
        (23, &[]),
        (21, &vec![0; padding]),
    ];
    let each = all.iter().map(|(kind, content)| {
        [&kind.to_be_bytes()[..], &u16::try_from(content.len()).unwrap().to_be_bytes(), content].concat()
    });
    each.collect::<Vec<_>>().concat()
}

fn message(extensions: &[u8]) -> Vec<u8> {
    // The version, random bytes, no session, two suites, no compression.
    let mut body = [&[3, 3][..], &[7; 32], &[0], &[0, 4, 0x13, 0x01, 0xc0, 0x2b], &[1, 0]].concat();
    body.extend_from_slice(&u16::try_from(extensions.len()).unwrap().to_be_bytes());
    body.extend_from_slice(extensions);
    [&[1][..], &u32::try_from(body.len()).unwrap().to_be_bytes()[1..], &body].concat()
}

/// Handshake bytes as records.
pub(super) fn records(message: &[u8]) -> Vec<u8> {
    let record = |part: &[u8]| [&[22, 3, 1][..], &u16::try_from(part.len()).unwrap().to_be_bytes(), part].concat();
    message.chunks(RECORD_BYTES_MAX).map(record).collect::<Vec<_>>().concat()
}
