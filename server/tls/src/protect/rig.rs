//! Connections in memory for tests and fuzzing: a layer at one end, rustls or another layer at the other.
//!
//! **Not** part of the interface; compiled only for fuzzing, tests and a counted path. Nobody signs, everybody is believed, and
//! nothing is drawn by lot, since it is records that are looked at: two handshakes of the same agreement have the same keys.

use std::sync::Arc;

use rustls::client::UnbufferedClientConnection;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    ActiveKeyExchange, CryptoProvider, GetRandomFailed, SecureRandom, SharedSecret, SupportedKxGroup, aws_lc_rs,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::UnbufferedServerConnection;
use rustls::sign::{CertifiedKey, Signer, SigningKey, SingleCertAndKey};
use rustls::unbuffered::{ConnectionState, EncodeError, UnbufferedStatus};
use rustls::version::{TLS12, TLS13};
use rustls::{
    CipherSuite, ClientConfig, ClientConnection, DigitallySignedStruct, Error, ExtractedSecrets, NamedGroup,
    ProtocolVersion,
};
use rustls::{ServerConfig, ServerConnection, SignatureAlgorithm, SignatureScheme, SupportedProtocolVersion};

use super::side::KernelSide;

/// What is agreed on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Agreed {
    pub(crate) version: ProtocolVersion,
    pub(crate) suite: CipherSuite,
}

/// Every version and suite that records are made for.
pub(crate) const AGREED: [Agreed; 6] = [
    Agreed { version: ProtocolVersion::TLSv1_3, suite: CipherSuite::TLS13_AES_128_GCM_SHA256 },
    Agreed { version: ProtocolVersion::TLSv1_3, suite: CipherSuite::TLS13_AES_256_GCM_SHA384 },
    Agreed { version: ProtocolVersion::TLSv1_3, suite: CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 },
    Agreed { version: ProtocolVersion::TLSv1_2, suite: CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 },
    Agreed { version: ProtocolVersion::TLSv1_2, suite: CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 },
    Agreed { version: ProtocolVersion::TLSv1_2, suite: CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 },
];

/// A key that signs nothing.
#[derive(Debug)]
struct Unsigned;

impl SigningKey for Unsigned {
    fn choose_scheme(&self, _: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        Some(Box::new(Unsigned))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

impl Signer for Unsigned {
    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(vec![0; 64])
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ECDSA_NISTP256_SHA256
    }
}

/// Believes everybody.
#[derive(Debug)]
struct Believer;

impl ServerCertVerifier for Believer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

/// Draws the same every time.
#[derive(Debug)]
struct Unmixed;

impl SecureRandom for Unmixed {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), GetRandomFailed> {
        bytes.fill(7);
        Ok(())
    }
}

/// Agrees on the same secret every time.
#[derive(Debug)]
struct Agreement;

impl SupportedKxGroup for Agreement {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        Ok(Box::new(Agreement))
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

impl ActiveKeyExchange for Agreement {
    fn complete(self: Box<Self>, _: &[u8]) -> Result<SharedSecret, Error> {
        Ok(SharedSecret::from(&[7; 32][..]))
    }

    fn pub_key(&self) -> &[u8] {
        &[7; 32]
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

fn provider(agreed: Agreed) -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.retain(|suite| suite.suite() == agreed.suite);
    provider.kx_groups = vec![&Agreement];
    provider.secure_random = &Unmixed;
    Arc::new(provider)
}

static ONLY_13: [&SupportedProtocolVersion; 1] = [&TLS13];
static ONLY_12: [&SupportedProtocolVersion; 1] = [&TLS12];

fn versions(agreed: Agreed) -> &'static [&'static SupportedProtocolVersion] {
    match agreed.version {
        ProtocolVersion::TLSv1_3 => &ONLY_13,
        _ => &ONLY_12,
    }
}

pub(crate) fn server_config(agreed: Agreed) -> Arc<ServerConfig> {
    let certified = CertifiedKey::new(vec![CertificateDer::from(vec![0x30, 0])], Arc::new(Unsigned));
    let mut config = ServerConfig::builder_with_provider(provider(agreed))
        .with_protocol_versions(versions(agreed))
        .expect("the version has its suite")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.enable_secret_extraction = true;
    Arc::new(config)
}

pub(crate) fn client_config(agreed: Agreed) -> Arc<ClientConfig> {
    let mut config = ClientConfig::builder_with_provider(provider(agreed))
        .with_protocol_versions(versions(agreed))
        .expect("the version has its suite")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Believer))
        .with_no_client_auth();
    config.enable_secret_extraction = true;
    Arc::new(config)
}

pub(crate) fn name() -> ServerName<'static> {
    ServerName::try_from("host.test").expect("it is a name")
}

/// What a layer is made of.
pub(crate) type Parts = (ExtractedSecrets, KernelSide);

/// One end of a handshake.
trait End {
    /// Reads what has come, and says what is to be sent.
    fn turn(&mut self, incoming: &mut Vec<u8>) -> Vec<u8>;

    fn is_done(&self) -> bool;
}

/// rustls's buffered connection.
macro_rules! buffered {
    ($connection:ty) => {
        impl End for $connection {
            fn turn(&mut self, incoming: &mut Vec<u8>) -> Vec<u8> {
                while !incoming.is_empty() {
                    let used = self.read_tls(&mut incoming.as_slice()).expect("memory can be read");
                    incoming.drain(..used);
                    self.process_new_packets().expect("the other end is right");
                }
                let mut outgoing = Vec::new();
                while self.wants_write() {
                    self.write_tls(&mut outgoing).expect("memory can be written");
                }
                outgoing
            }

            fn is_done(&self) -> bool {
                !self.is_handshaking()
            }
        }
    };
}
buffered!(ClientConnection);
buffered!(ServerConnection);

/// rustls's unbuffered connection. It is handed one record after the other, and none behind the last of its handshake.
macro_rules! unbuffered {
    ($connection:ty) => {
        impl End for $connection {
            fn turn(&mut self, incoming: &mut Vec<u8>) -> Vec<u8> {
                let mut outgoing = Vec::new();
                loop {
                    let whole = incoming
                        .first_chunk::<5>()
                        .map(|header| 5 + usize::from(u16::from_be_bytes([header[3], header[4]])))
                        .filter(|&length| self.is_handshaking() && length <= incoming.len())
                        .unwrap_or_default();
                    let UnbufferedStatus { discard, state } = self.process_tls_records(&mut incoming[..whole]);
                    let mut goes_on = true;
                    match state.expect("the other end is right") {
                        ConnectionState::EncodeTlsData(mut encode) => {
                            let start = outgoing.len();
                            let Err(EncodeError::InsufficientSize(needed)) = encode.encode(&mut []) else {
                                panic!("nothing fits in nothing")
                            };
                            outgoing.resize(start + needed.required_size, 0);
                            encode.encode(&mut outgoing[start..]).expect("it is as long as it said");
                        }
                        ConnectionState::TransmitTlsData(transmit) => transmit.done(),
                        _ => goes_on = false,
                    }
                    incoming.drain(..discard);
                    if !goes_on && (discard == 0 || whole == 0) {
                        return outgoing;
                    }
                }
            }

            fn is_done(&self) -> bool {
                !self.is_handshaking()
            }
        }
    };
}
unbuffered!(UnbufferedClientConnection);
unbuffered!(UnbufferedServerConnection);

/// Lets two ends agree. What the server has sent behind its handshake (tickets) is left over: it is sealed for the client's layer.
fn agree(client: &mut impl End, server: &mut impl End) -> Vec<u8> {
    let (mut to_client, mut to_server) = (Vec::new(), Vec::new());
    for _ in 0..8 {
        to_server.extend(client.turn(&mut to_client));
        to_client.extend(server.turn(&mut to_server));
        if client.is_done() && server.is_done() {
            assert!(to_server.is_empty(), "all of a client's handshake is the server's");
            return to_client;
        }
    }
    panic!("a handshake has fewer turns");
}

/// The server's parts, and rustls's client.
pub(crate) fn server_parts(agreed: Agreed) -> (Parts, ClientConnection) {
    let mut client = ClientConnection::new(client_config(agreed), name()).expect("the configuration is right");
    let mut server = UnbufferedServerConnection::new(server_config(agreed)).expect("the configuration is right");
    let mut tickets = agree(&mut client, &mut server);
    client.turn(&mut tickets);
    let (secrets, kernel) = server.dangerous_into_kernel_connection().expect("the handshake is over");
    ((secrets, KernelSide::Server(kernel)), client)
}

/// The server's parts, behind texts that rustls has sealed for it.
#[cfg(test)]
pub(crate) fn server_parts_after(agreed: Agreed, texts: &[&[u8]]) -> (Parts, Vec<Vec<u8>>) {
    let mut client = ClientConnection::new(client_config(agreed), name()).expect("the configuration is right");
    let mut server = UnbufferedServerConnection::new(server_config(agreed)).expect("the configuration is right");
    agree(&mut client, &mut server);
    let mut sealed = Vec::new();
    for text in texts {
        let Ok(ConnectionState::WriteTraffic(mut traffic)) = server.process_tls_records(&mut []).state else {
            panic!("the handshake is over")
        };
        let mut wire = vec![0; text.len() + 100];
        let length = traffic.encrypt(text, &mut wire).expect("there is room");
        wire.truncate(length);
        sealed.push(wire);
    }
    let (secrets, kernel) = server.dangerous_into_kernel_connection().expect("the handshake is over");
    ((secrets, KernelSide::Server(kernel)), sealed)
}

/// The client's parts, rustls's server, and the tickets that are on their way.
pub(crate) fn client_parts(agreed: Agreed) -> (Parts, ServerConnection, Vec<u8>) {
    let mut client =
        UnbufferedClientConnection::new(client_config(agreed), name()).expect("the configuration is right");
    let mut server = ServerConnection::new(server_config(agreed)).expect("the configuration is right");
    let tickets = agree(&mut client, &mut server);
    let (secrets, kernel) = client.dangerous_into_kernel_connection().expect("the handshake is over");
    ((secrets, KernelSide::Client(kernel)), server, tickets)
}

/// The parts of both: the client's, the server's, and the tickets that are on their way.
#[cfg(not(fuzzing))]
pub(crate) fn both_parts(agreed: Agreed) -> (Parts, Parts, Vec<u8>) {
    let mut client =
        UnbufferedClientConnection::new(client_config(agreed), name()).expect("the configuration is right");
    let mut server = UnbufferedServerConnection::new(server_config(agreed)).expect("the configuration is right");
    let tickets = agree(&mut client, &mut server);
    let (client_secrets, client) = client.dangerous_into_kernel_connection().expect("the handshake is over");
    let (server_secrets, server) = server.dangerous_into_kernel_connection().expect("the handshake is over");
    ((client_secrets, KernelSide::Client(client)), (server_secrets, KernelSide::Server(server)), tickets)
}
