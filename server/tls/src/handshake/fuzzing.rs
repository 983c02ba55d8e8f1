//! What a client may say to our server, for fuzzing: any bytes.
//!
//! **Not** part of the interface; compiled only for fuzzing and tests. The keys are always the same, time stands still, and nobody signs: so
//! seeds can hold whole handshakes, and mutants of them get past the hello. There is one session, which may be used again and again, for
//! early data.
//!
//! **Invariants**: every function accepts any bytes, and panics only if a promise of this crate is broken.

use std::cell::RefCell;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustls::pki_types::UnixTime;
use rustls::server::{ClientHello, ResolvesServerCert, StoresServerSessions};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, ClientConnection, ServerConfig};

use super::engine::HandshakeStep;
use super::server::{ServerHandshake, prepare};
use crate::protect::rig::{AGREED, Agreed, client_config, name, server_config};

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

/// Most bytes of early data: fewer than a record may have, so that some are too many.
const EARLY_BYTES_MAX: u32 = 1024;

/// What is answered to early data.
const RESPONSE: &[u8] = b"served";

/// The same time for ever.
#[derive(Debug)]
struct Standing;

impl TimeProvider for Standing {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_000)))
    }
}

/// Keeps the first session, and gives it to everybody.
#[derive(Debug, Default)]
struct OneSession(OnceLock<(Vec<u8>, Vec<u8>)>);

impl StoresServerSessions for OneSession {
    fn put(&self, id: Vec<u8>, session: Vec<u8>) -> bool {
        self.0.get_or_init(|| (id, session));
        true
    }

    fn get(&self, id: &[u8]) -> Option<Vec<u8>> {
        self.0.get().filter(|(of, _)| of == id).map(|(_, session)| session.clone())
    }

    fn take(&self, id: &[u8]) -> Option<Vec<u8>> {
        self.get(id)
    }

    fn can_cache(&self) -> bool {
        true
    }
}

/// A server that takes early data of the one session that it has made with `client`.
fn early_config(agreed: Agreed, client: &Arc<ClientConfig>) -> ServerConfig {
    let mut config = ServerConfig::clone(&server_config(agreed));
    config.time_provider = Arc::new(Standing);
    config.session_storage = Arc::new(OneSession::default());
    config.max_early_data_size = EARLY_BYTES_MAX;
    prepare(&mut config);
    let config = Arc::new(config);
    converse(&config, ClientConnection::new(Arc::clone(client), name()).expect("the configuration is whole"));
    ServerConfig::clone(&config)
}

/// The client of the one session.
fn early_client(agreed: Agreed) -> Arc<ClientConfig> {
    let mut config = ClientConfig::clone(&client_config(agreed));
    config.time_provider = Arc::new(Standing);
    config.enable_early_data = true;
    Arc::new(config)
}

/// All that a client says in a handshake with a server.
fn converse(config: &Arc<ServerConfig>, mut client: ClientConnection) -> Vec<u8> {
    let mut server = ServerHandshake::new(config).expect("the configuration is whole");
    let (mut wire, mut sent, mut accepted) = (Vec::new(), 0, Accepted::default());
    for _ in 0..3 {
        while client.wants_write() {
            client.write_tls(&mut wire).expect("a vector takes all");
        }
        server.push(&wire[sent..]);
        sent = wire.len();
        // A server that is done says nothing more.
        let _ = advance(&mut server, &mut accepted);
        client.read_tls(&mut &std::mem::take(&mut accepted.said)[..]).expect("a flight is short");
        client.process_new_packets().expect("it agrees");
    }
    wire
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
    /// Early data that were served.
    early: Vec<u8>,
}

impl Default for Accepted {
    fn default() -> Self {
        let (said, unread, early) = (Vec::new(), Vec::new(), Vec::new());
        Accepted { end: Ok(false), said, permits: 0, server_name: None, unread, early }
    }
}

/// The first byte chooses what is agreed on and the pieces; the others are what the client says. They are taken the same whole and in
/// pieces, no hello is worked on without a permit, and the name in it is what rustls has read.
pub fn tls_accept(bytes: &[u8]) {
    let Some((&choice, wire)) = bytes.split_first() else { return };
    static CONFIGS: [OnceLock<ServerConfig>; AGREED.len()] = [const { OnceLock::new() }; AGREED.len()];
    let chosen = usize::from(choice) % AGREED.len();
    let config = CONFIGS[chosen].get_or_init(|| early_config(AGREED[chosen], &early_client(AGREED[chosen])));
    let mut config = config.clone();
    config.cert_resolver = Arc::new(Noting(Arc::clone(&config.cert_resolver)));
    let config = Arc::new(config);
    let whole = accept(&config, wire, wire.len().max(1));
    let pieces = accept(&config, wire, 1 + usize::from(choice) / AGREED.len());
    assert_eq!(whole.end, pieces.end);
    assert_eq!(whole, pieces);
}

fn accept(config: &Arc<ServerConfig>, wire: &[u8], piece_bytes: usize) -> Accepted {
    let mut handshake = ServerHandshake::new(config).expect("the configuration is whole");
    let mut accepted = Accepted::default();
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
    while let Ok(HandshakeStep::NeedsPermit | HandshakeStep::HasEarlyData) = step {
        assert_eq!(ASKED_FOR.take(), None, "a hello is worked on with a permit");
        if let Ok(HandshakeStep::HasEarlyData) = step {
            accepted.early.append(&mut handshake.take_early());
            assert!(accepted.early.len() <= EARLY_BYTES_MAX as usize, "early data have a bound");
            handshake.seal_early(RESPONSE, &mut accepted.said).expect("early data can be answered");
            step = handshake.advance(&mut accepted.said);
            continue;
        }
        accepted.permits += 1;
        // Of the hello that is worked on: the next may be there already, after a HelloRetryRequest.
        let named = handshake.server_name().map(str::to_owned);
        step = handshake.advance_permitted(&mut accepted.said);
        if let Some(name) = ASKED_FOR.take() {
            assert_eq!(named.as_deref(), name.as_deref(), "the name is what rustls has read");
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
    use std::io::Write;
    use std::path::Path;

    use super::*;

    /// All that a client says in a handshake.
    fn client_wire(choice: usize) -> Vec<u8> {
        let mut config = ServerConfig::clone(&server_config(AGREED[choice]));
        prepare(&mut config);
        converse(&Arc::new(config), ClientConnection::new(client_config(AGREED[choice]), name()).unwrap())
    }

    /// The same of one that sends this early.
    fn early_wire(agreed: Agreed, early: &[u8]) -> (ServerConfig, Vec<u8>) {
        let client = early_client(agreed);
        let config = early_config(agreed, &client);
        let mut client = ClientConnection::new(client, name()).unwrap();
        let sent = client.early_data().unwrap().write(early).unwrap();
        assert_eq!(sent, early.len());
        let wire = converse(&Arc::new(config.clone()), client);
        (config, wire)
    }

    #[test]
    fn a_seed_holds_a_whole_handshake() {
        for (choice, agreed) in AGREED.into_iter().enumerate() {
            let wire = client_wire(choice);
            let mut config = ServerConfig::clone(&server_config(agreed));
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
    fn a_seed_holds_early_data() {
        for (choice, agreed) in AGREED.into_iter().enumerate().take(3) {
            let (config, wire) = early_wire(agreed, b"early");
            let accepted = accept(&Arc::new(config), &wire, 100);
            assert_eq!((accepted.end, accepted.early.as_slice()), (Ok(true), &b"early"[..]));
            for pieces in [0, 30, 42] {
                tls_accept(&[&[(choice + pieces * AGREED.len()) as u8][..], &wire].concat());
            }
            // That is the session of every run: a seed that was kept is served as well.
            let config = Arc::new(early_config(agreed, &early_client(agreed)));
            assert_eq!(accept(&config, &wire, 1).early, b"early");
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
        assert!(seed_count >= 16, "the seeds are lost");
    }
}
