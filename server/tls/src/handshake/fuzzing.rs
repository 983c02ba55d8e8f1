//! What a client may say to our server, for fuzzing: any bytes.
//!
//! **Not** part of the interface; compiled only for fuzzing and tests. The keys are always the same, and nobody signs: so seeds can
//! hold whole handshakes, and mutants of them get past the hello.
//!
//! **Invariants**: every function accepts any bytes, and panics only if a promise of this crate is broken.

use std::cell::RefCell;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::engine::HandshakeStep;
use super::server::{ServerHandshake, prepare};
use crate::protect::rig::{AGREED, server_config};

thread_local! {
    /// The server's name in the hello that rustls has looked for a certificate for.
    static ASKED_FOR: RefCell<Option<Option<Box<str>>>> = const { RefCell::new(None) };
}

/// Notes the name that is asked for.
#[derive(Debug)]
struct Noting(Arc<dyn ResolvesServerCert>);

impl ResolvesServerCert for Noting {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().map(|name| name.to_ascii_lowercase().into_boxed_str());
        ASKED_FOR.set(Some(name));
        self.0.resolve(hello)
    }
}

/// What became of a handshake.
#[derive(Debug, PartialEq, Eq)]
struct Accepted {
    /// The label of its fault; or whether it is done.
    end: Result<bool, &'static str>,
    said: Vec<u8>,
    /// Permits that it has taken.
    permits: usize,
    server_name: Option<Box<str>>,
    unread: Vec<u8>,
}

/// The first byte chooses what is agreed on and the pieces; the others are what the client says. They are taken the same whole and in
/// pieces, no hello is worked on without a permit, and the name in it is what rustls has read.
pub fn tls_accept(bytes: &[u8]) {
    let Some((&choice, wire)) = bytes.split_first() else { return };
    let mut config = ServerConfig::clone(&server_config(AGREED[usize::from(choice) % AGREED.len()]));
    prepare(&mut config);
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.cert_resolver = Arc::new(Noting(Arc::clone(&config.cert_resolver)));
    let config = Arc::new(config);
    let whole = accept(&config, wire, wire.len().max(1));
    let pieces = accept(&config, wire, 1 + usize::from(choice) / AGREED.len());
    assert_eq!(whole.end, pieces.end);
    assert_eq!(whole, pieces);
}

fn accept(config: &Arc<ServerConfig>, wire: &[u8], piece_bytes: usize) -> Accepted {
    let mut handshake = ServerHandshake::new(config).expect("the configuration is whole");
    let mut accepted = Accepted { end: Ok(false), said: Vec::new(), permits: 0, server_name: None, unread: Vec::new() };
    let mut pieces = wire.chunks(piece_bytes);
    for piece in pieces.by_ref() {
        handshake.push(piece);
        match advance(&mut handshake, &mut accepted) {
            Ok(HandshakeStep::Done) => {
                let finished = handshake.finish().expect("the keys of a handshake that is done can be taken");
                accepted.end = Ok(true);
                accepted.server_name = finished.negotiated.server_name;
                accepted.unread = [finished.unread, pieces.collect::<Vec<_>>().concat()].concat();
                return accepted;
            }
            Ok(_) => {}
            Err(label) => {
                accepted.end = Err(label);
                break;
            }
        }
    }
    accepted
}

fn advance(handshake: &mut ServerHandshake, accepted: &mut Accepted) -> Result<HandshakeStep, &'static str> {
    ASKED_FOR.set(None);
    let mut step = handshake.advance(&mut accepted.said);
    while let Ok(HandshakeStep::NeedsPermit) = step {
        assert_eq!(ASKED_FOR.take(), None, "a hello is worked on with a permit");
        accepted.permits += 1;
        step = handshake.advance_permitted(&mut accepted.said);
        if let Some(name) = ASKED_FOR.take() {
            assert_eq!(handshake.server_name(), name.as_deref(), "the name is what rustls has read");
        }
    }
    assert_eq!(ASKED_FOR.take(), None, "a hello is worked on with a permit");
    step.map_err(|fault| {
        // Whoever has not said it before is told why.
        let is_told = handshake.has_chosen_version() || fault.alert().is_none() || !accepted.said.is_empty();
        assert!(is_told, "{fault} has no alert");
        fault.label()
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rustls::ClientConnection;

    use super::{Accepted, accept, tls_accept};
    use crate::handshake::server::{ServerHandshake, prepare};
    use crate::protect::rig::{AGREED, client_config, name, server_config};
    use std::sync::Arc;

    /// All that a client says in a handshake, and what it says behind it.
    fn client_wire(choice: usize) -> Vec<u8> {
        let mut client = ClientConnection::new(client_config(AGREED[choice]), name()).unwrap();
        let mut config = rustls::ServerConfig::clone(&server_config(AGREED[choice]));
        prepare(&mut config);
        let mut server = ServerHandshake::new(&Arc::new(config)).unwrap();
        let (mut wire, mut sent) = (Vec::new(), 0);
        for _ in 0..3 {
            while client.wants_write() {
                client.write_tls(&mut wire).unwrap();
            }
            server.push(&wire[sent..]);
            sent = wire.len();
            let mut accepted = Accepted { end: Ok(false), said: vec![], permits: 0, server_name: None, unread: vec![] };
            let _ = super::advance(&mut server, &mut accepted);
            client.read_tls(&mut &accepted.said[..]).unwrap();
            client.process_new_packets().unwrap();
        }
        wire
    }

    #[test]
    fn a_seed_holds_a_whole_handshake() {
        for (choice, agreed) in AGREED.into_iter().enumerate() {
            let wire = client_wire(choice);
            let mut config = rustls::ServerConfig::clone(&server_config(agreed));
            prepare(&mut config);
            let accepted = accept(&Arc::new(config), &wire, 100);
            assert_eq!((accepted.end, accepted.permits), (Ok(true), 1));
            assert_eq!(accepted.server_name.as_deref(), Some("host.test"));
            for pieces in [0, 30, 42] {
                tls_accept(&[&[(choice + pieces * AGREED.len()) as u8][..], &wire].concat());
            }
        }
    }

    #[test]
    fn seeds() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/tls_accept");
        let mut seed_count = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            tls_accept(&std::fs::read(entry.unwrap().path()).unwrap());
            seed_count += 1;
        }
        assert!(seed_count >= 8, "the seeds are lost");
    }
}
