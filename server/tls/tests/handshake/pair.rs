//! Configurations, and the pumps between our side and rustls's own.

use std::sync::Arc;

use corelane_tls::crypto::{WallClock, provider};
use corelane_tls::handshake::client::{self, ClientHandshake};
use corelane_tls::handshake::server::{self, ServerHandshake};
use corelane_tls::handshake::{FinishedHandshake, HandshakeFault, HandshakeStep};
use reactor::Random;
use rustls::client::ClientConnectionData;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::server::{ServerConnectionData, WebPkiClientVerifier};
use rustls::{
    ClientConfig, ClientConnection, ConnectionTrafficSecrets, RootCertStore, ServerConfig, ServerConnection,
    SupportedProtocolVersion,
};

use crate::authority::{Authority, Identity, TODAY_MS};

/// Both versions, and each of them.
pub(crate) const BOTH: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];
pub(crate) const ONLY_13: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];
pub(crate) const ONLY_12: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];

pub(crate) fn today() -> Arc<WallClock> {
    let clock = WallClock::default();
    clock.set_wall_ms(TODAY_MS);
    Arc::new(clock)
}

/// What a configuration is made of.
pub(crate) struct Side {
    pub(crate) provider: Arc<CryptoProvider>,
    pub(crate) versions: &'static [&'static SupportedProtocolVersion],
    pub(crate) alpn: Vec<Vec<u8>>,
    /// Our certificate.
    pub(crate) identity: Option<Identity>,
    /// Whom we trust; for a server: it demands certificates.
    pub(crate) trusted: Option<Arc<RootCertStore>>,
}

impl Side {
    pub(crate) fn new() -> Self {
        Side { provider: provider(), versions: BOTH, alpn: Vec::new(), identity: None, trusted: None }
    }

    pub(crate) fn server(identity: &Identity) -> Self {
        Side { identity: Some(identity.clone()), ..Side::new() }
    }

    pub(crate) fn client(authority: &Authority) -> Self {
        Side { trusted: Some(authority.roots()), ..Side::new() }
    }

    pub(crate) fn server_config(self) -> ServerConfig {
        let builder = ServerConfig::builder_with_details(Arc::clone(&self.provider), today());
        let builder = builder.with_protocol_versions(self.versions).unwrap();
        let builder = match self.trusted {
            Some(roots) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, self.provider).build().unwrap();
                builder.with_client_cert_verifier(verifier)
            }
            None => builder.with_no_client_auth(),
        };
        let identity = self.identity.unwrap();
        let mut config = builder.with_single_cert(identity.chain, identity.key).unwrap();
        config.alpn_protocols = self.alpn;
        server::prepare(&mut config);
        config
    }

    pub(crate) fn client_config(self) -> ClientConfig {
        let builder = ClientConfig::builder_with_details(self.provider, today());
        let builder = builder.with_protocol_versions(self.versions).unwrap();
        let builder = builder.with_root_certificates(self.trusted.unwrap());
        let mut config = match self.identity {
            Some(identity) => builder.with_client_auth_cert(identity.chain, identity.key).unwrap(),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = self.alpn;
        client::prepare(&mut config);
        config
    }
}

pub(crate) fn name(text: &'static str) -> ServerName<'static> {
    ServerName::try_from(text).unwrap()
}

/// Cuts bytes into pieces: where the generator says, or not at all.
pub(crate) struct Splits(Option<Random>);

impl Splits {
    pub(crate) fn none() -> Self {
        Splits(None)
    }

    pub(crate) fn random(seed: u64) -> Self {
        Splits(Some(Random::new(seed)))
    }

    fn next_piece(&mut self, left: usize) -> usize {
        let Some(random) = &mut self.0 else { return left };
        // Mostly small pieces, so that headers and messages are cut, and now and then all.
        match random.below(8) {
            0 => left,
            1 => left.min(random.between(1, 400) as usize),
            _ => left.min(random.between(1, 9) as usize),
        }
    }

    pub(crate) fn each(&mut self, mut bytes: &[u8], mut take: impl FnMut(&[u8])) {
        while !bytes.is_empty() {
            let (piece, rest) = bytes.split_at(self.next_piece(bytes.len()));
            take(piece);
            bytes = rest;
        }
    }
}

/// What was written by a rustls connection of the ordinary kind.
pub(crate) fn written_by<C, D>(connection: &mut C) -> Vec<u8>
where
    C: std::ops::DerefMut<Target = rustls::ConnectionCommon<D>>,
    D: rustls::SideData,
{
    let mut wire = Vec::new();
    while connection.wants_write() {
        connection.write_tls(&mut wire).unwrap();
    }
    wire
}

/// Gives bytes to a rustls connection of the ordinary kind.
pub(crate) fn give<C, D>(connection: &mut C, mut wire: &[u8]) -> Result<(), rustls::Error>
where
    C: std::ops::DerefMut<Target = rustls::ConnectionCommon<D>>,
    D: rustls::SideData,
{
    while !wire.is_empty() {
        connection.read_tls(&mut wire).unwrap();
        connection.process_new_packets()?;
    }
    Ok(())
}

/// Runs our server, with a permit whenever it needs one, on bytes in pieces.
pub(crate) fn serve(
    server: &mut ServerHandshake,
    wire: &[u8],
    splits: &mut Splits,
) -> (Vec<u8>, Result<bool, HandshakeFault>) {
    let (mut out, mut result) = (Vec::new(), Ok(false));
    splits.each(wire, |piece| {
        if result.is_err() {
            return;
        }
        server.push(piece);
        let mut step = server.advance(&mut out);
        while matches!(step, Ok(HandshakeStep::NeedsPermit)) {
            step = server.advance_permitted(&mut out);
        }
        result = step.map(|step| step == HandshakeStep::Done);
    });
    (out, result)
}

/// Our server with rustls's ordinary client. Both sides' ends; the client's result is of what it read last.
pub(crate) struct Served {
    pub(crate) result: Result<FinishedHandshake<ServerConnectionData>, HandshakeFault>,
    pub(crate) client: ClientConnection,
    pub(crate) client_result: Result<(), rustls::Error>,
}

/// Runs one until the server is done or has failed; `change` may change what the client sends.
pub(crate) fn with_our_server(
    config: &Arc<ServerConfig>,
    mut client: ClientConnection,
    splits: &mut Splits,
    mut change: impl FnMut(&mut Vec<u8>),
) -> Served {
    let mut server = ServerHandshake::new(config).unwrap();
    let mut client_result = Ok(());
    for _ in 0..8 {
        let mut wire = written_by(&mut client);
        change(&mut wire);
        let (out, result) = serve(&mut server, &wire, splits);
        client_result = client_result.and(give(&mut client, &out));
        match result {
            Ok(true) => return Served { result: server.finish(), client, client_result },
            Ok(false) => {}
            Err(fault) => return Served { result: Err(fault), client, client_result },
        }
        if client_result.is_err() && !client.wants_write() {
            break;
        }
    }
    let fault = server.refuse(HandshakeFault::Closed, &mut Vec::new());
    Served { result: Err(fault), client, client_result }
}

/// Our client with rustls's ordinary server.
pub(crate) fn with_our_client(
    config: &Arc<ClientConfig>,
    server_name: ServerName<'static>,
    server: &mut ServerConnection,
    splits: &mut Splits,
) -> (Result<FinishedHandshake<ClientConnectionData>, HandshakeFault>, Result<(), rustls::Error>) {
    let mut client = ClientHandshake::new(config, server_name).unwrap();
    let mut out = Vec::new();
    let mut step = client.advance(&mut out);
    let mut server_result = Ok(());
    for _ in 0..8 {
        server_result = server_result.and(give(server, &std::mem::take(&mut out)));
        match step {
            Ok(HandshakeStep::Done) => return (client.finish(), server_result),
            Ok(_) => {}
            Err(fault) => return (Err(fault), server_result),
        }
        splits.each(&written_by(server), |piece| {
            if !matches!(step, Ok(HandshakeStep::NeedsBytes)) {
                // Pieces behind the last one that was needed stay unread.
                return client.push(piece);
            }
            client.push(piece);
            step = client.advance(&mut out);
        });
    }
    panic!("the handshake does not end");
}

/// A direction's key and iv, for comparing.
pub(crate) fn key_and_iv(secrets: &ConnectionTrafficSecrets) -> (Vec<u8>, Vec<u8>) {
    match secrets {
        ConnectionTrafficSecrets::Aes128Gcm { key, iv }
        | ConnectionTrafficSecrets::Aes256Gcm { key, iv }
        | ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => (key.as_ref().to_vec(), iv.as_ref().to_vec()),
        _ => panic!("a suite that is not spoken"),
    }
}

/// Our keys are the other side's, and both count from the same record.
pub(crate) fn assert_same_keys(ours: &rustls::ExtractedSecrets, theirs: &rustls::ExtractedSecrets) {
    for (from, to) in [(&ours.tx, &theirs.rx), (&ours.rx, &theirs.tx)] {
        assert_eq!(from.0, to.0, "sequence numbers");
        assert_eq!(key_and_iv(&from.1), key_and_iv(&to.1));
    }
}
