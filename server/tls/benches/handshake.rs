//! Times a server's part of a handshake, with the layer that it ends with.
//!
//! **Not**: a gate; absolute times differ by host. The client's part is run and not counted.
//! **Invariants**: prints the median of many handshakes, and the least.

#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a benchmark reads the clock")]
#![allow(dead_code, reason = "what tests use besides")]

#[path = "../tests/handshake/authority.rs"]
mod authority;
#[path = "../tests/handshake/pair.rs"]
mod pair;

use std::sync::Arc;
use std::time::{Duration, Instant};

use corelane_tls::crypto::provider;
use corelane_tls::handshake::HandshakeStep;
use corelane_tls::handshake::server::ServerHandshake;
use corelane_tls::protect::{KernelSide, RecordLayer};
use rcgen::ExtendedKeyUsagePurpose;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::{ClientConfig, ClientConnection, NamedGroup, ServerConfig};

use authority::{Authority, Key, Wanted};
use pair::{ONLY_12, ONLY_13, Side, give, name, written_by};

const HANDSHAKES: usize = 1_500;

/// The time of the server's steps: the hello, the client's second flight, and the layer.
type Steps = [Duration; 3];

fn handshake(server: &Arc<ServerConfig>, client: &Arc<ClientConfig>) -> Steps {
    let mut client = ClientConnection::new(Arc::clone(client), name("corelane.test")).unwrap();
    let hello = written_by(&mut client);
    let mut wire = Vec::with_capacity(16 * 1024);

    let began = Instant::now();
    let mut handshake = Box::new(ServerHandshake::new(server).unwrap());
    handshake.push(&hello);
    handshake.advance(&mut wire).unwrap();
    let mut step = handshake.advance_permitted(&mut wire).unwrap();
    let mut steps = [began.elapsed(), Duration::ZERO, Duration::ZERO];

    while step != HandshakeStep::Done {
        give(&mut client, &wire).unwrap();
        let flight = written_by(&mut client);
        wire.clear();
        let began = Instant::now();
        handshake.push(&flight);
        step = handshake.advance(&mut wire).unwrap();
        steps[1] += began.elapsed();
    }
    // Its tickets, for the next one.
    give(&mut client, &wire).unwrap();
    let began = Instant::now();
    let finished = handshake.finish().unwrap();
    let version = finished.negotiated.version;
    let layer = RecordLayer::new(finished.secrets, KernelSide::Server(finished.kernel), version);
    steps[2] = began.elapsed();
    drop(layer);
    steps
}

fn time(what: &str, server: ServerConfig, client: Side, resumes: bool) {
    let server = Arc::new(server);
    let client = Arc::new(client.client_config());
    let fresh = || {
        let mut fresh = ClientConfig::clone(&client);
        fresh.resumption = rustls::client::Resumption::disabled();
        Arc::new(fresh)
    };
    let client = if resumes { client } else { fresh() };
    for _ in 0..100 {
        handshake(&server, &client);
    }
    let mut all: Vec<Steps> = (0..HANDSHAKES).map(|_| handshake(&server, &client)).collect();
    all.sort_by_key(|steps| steps.iter().sum::<Duration>());
    let us = |time: Duration| time.as_nanos() as f64 / 1000.0;
    let median = all[HANDSHAKES / 2];
    let sum = |steps: Steps| us(steps.iter().sum());
    let [hello, finished, layer] = median.map(us);
    println!(
        "{what:<44} {:>7.1} us (least {:.1}): hello {hello:.1}, finished {finished:.1}, layer {layer:.1}",
        sum(median),
        sum(all[0])
    );
}

fn main() {
    let authority = Authority::new(Key::P256);
    let of_group = |group: NamedGroup| {
        let mut only = CryptoProvider::clone(&provider());
        only.kx_groups.retain(|it| it.name() == group);
        Arc::new(only)
    };
    let server = |key| {
        let identity = authority.issue(&Wanted { key, ..Wanted::default() });
        let mut config = Side::server(&identity).server_config();
        config.ticketer = Ticketer::new().unwrap();
        config
    };
    let client = |group, versions| Side { provider: of_group(group), versions, ..Side::client(&authority) };
    let x25519 = || client(NamedGroup::X25519, ONLY_13);
    time("P-256, X25519", server(Key::P256), x25519(), false);
    time("P-256, X25519MLKEM768", server(Key::P256), client(NamedGroup::X25519MLKEM768, ONLY_13), false);
    time("P-256, secp256r1", server(Key::P256), client(NamedGroup::secp256r1, ONLY_13), false);
    time("RSA-2048, X25519", server(Key::Rsa2048), x25519(), false);
    time("TLS 1.2, P-256, X25519", server(Key::P256), client(NamedGroup::X25519, ONLY_12), false);
    time("resumed, X25519", server(Key::P256), x25519(), true);
    let purpose = ExtendedKeyUsagePurpose::ClientAuth;
    let identity = authority.issue(&Wanted { purpose, ..Wanted::default() });
    let node = authority.issue(&Wanted::default());
    let demanding = Side { trusted: Some(authority.roots()), ..Side::server(&node) }.server_config();
    time("P-256 of both, X25519", demanding, Side { identity: Some(identity), ..x25519() }, false);
}
