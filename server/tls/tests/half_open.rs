//! What a handshake that is under way costs in memory: a peer that goes no further holds this much, and no more.
//!
//! Counted on Rust's heap. What the computing library keeps (the key exchange) is over when the first flight is written.

#![expect(clippy::unwrap_used, reason = "a test")]
#![allow(dead_code, reason = "what other tests use besides")]

#[path = "handshake/authority.rs"]
mod authority;
#[path = "handshake/pair.rs"]
mod pair;

use std::alloc::System;
use std::io::Write;
use std::sync::{Arc, OnceLock};

use corelane_tls::handshake::HandshakeStep;
use corelane_tls::handshake::server::{ServerHandshake, prepare};
use rustls::server::StoresServerSessions;
use rustls::{ClientConnection, ServerConfig};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use authority::{Authority, Key, Wanted};
use pair::{ONLY_12, ONLY_13, Side, Splits, name, with_our_server, written_by};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Handshakes that are held at a time, so that what is allocated once does not count.
const HELD: usize = 64;

/// Bytes of each of some handshakes that have come as far as `go` takes them.
fn bytes_each(config: &Arc<ServerConfig>, go: impl Fn(&mut ServerHandshake)) -> usize {
    let mut each = [0; 2];
    for bytes in &mut each {
        let mut held = Vec::with_capacity(HELD);
        let region = Region::new(HEAP);
        for _ in 0..HELD {
            let mut handshake = Box::new(ServerHandshake::new(config).unwrap());
            go(&mut handshake);
            held.push(handshake);
        }
        let change = region.change();
        *bytes = (change.bytes_allocated - change.bytes_deallocated) / HELD;
    }
    each[1]
}

/// In one test, for both count the same heap.
#[test]
fn a_handshake_under_way_is_small_and_its_longest_flight_has_a_bound() {
    half_open_handshakes_are_small();
    handshakes_with_early_data_are_small();
    the_longest_flight_has_a_bound();
}

fn half_open_handshakes_are_small() {
    let authority = Authority::new(Key::P256);
    let side = || Side::server(&authority.issue(&Wanted::default()));
    let demanding = Side { trusted: Some(authority.roots()), ..side() };
    for (config, versions, bytes_max) in [
        (side(), ONLY_13, 3_200),
        (side(), ONLY_12, 3_200),
        // A client that is asked for its certificate: the whole transcript is kept.
        (demanding, ONLY_13, 9_600),
    ] {
        let config = Arc::new(config.server_config());
        let client = Side { versions, ..Side::client(&authority) }.client_config();
        let hello = written_by(&mut ClientConnection::new(Arc::new(client), name("corelane.test")).unwrap());
        let mut wire = Vec::with_capacity(16 * 1024);
        let waits = bytes_each(&config, |handshake| {
            handshake.push(&hello);
            assert_eq!(handshake.advance(&mut Vec::new()).unwrap(), HandshakeStep::NeedsPermit);
        });
        let wire = std::cell::RefCell::new(&mut wire);
        let half_open = bytes_each(&config, |handshake| {
            handshake.push(&hello);
            handshake.advance(&mut Vec::new()).unwrap();
            let mut wire = wire.borrow_mut();
            wire.clear();
            assert_eq!(handshake.advance_permitted(&mut wire).unwrap(), HandshakeStep::NeedsBytes);
        });
        println!("a handshake: {waits} bytes while it waits, {half_open} behind its first flight");
        assert!(waits <= bytes_max + hello.len(), "{waits}");
        assert!(half_open <= bytes_max, "{half_open}");
    }
}

/// Gives the session that it has to everybody.
#[derive(Debug, Default)]
struct OneSession(OnceLock<Vec<u8>>);

impl StoresServerSessions for OneSession {
    fn put(&self, _: Vec<u8>, session: Vec<u8>) -> bool {
        self.0.set(session).is_ok()
    }

    fn get(&self, _: &[u8]) -> Option<Vec<u8>> {
        self.0.get().cloned()
    }

    fn take(&self, id: &[u8]) -> Option<Vec<u8>> {
        self.get(id)
    }

    fn can_cache(&self) -> bool {
        true
    }
}

/// What is held of a client whose early data were served and that has not finished.
fn handshakes_with_early_data_are_small() {
    let authority = Authority::new(Key::P256);
    let mut config = Side::server(&authority.issue(&Wanted::default())).server_config();
    (config.session_storage, config.max_early_data_size) = (Arc::new(OneSession::default()), 16_384);
    prepare(&mut config);
    let config = Arc::new(config);
    let mut client = Side::client(&authority).client_config();
    client.enable_early_data = true;
    let client = Arc::new(client);
    let connect = || ClientConnection::new(Arc::clone(&client), name("corelane.test")).unwrap();
    with_our_server(&config, connect(), &mut Splits::none(), |_| {}).result.unwrap();
    let mut client = connect();
    client.early_data().unwrap().write_all(&[b'x'; 4096]).unwrap();
    let flight = written_by(&mut client);
    let wire = std::cell::RefCell::new(Vec::with_capacity(16 * 1024));
    let unconfirmed = bytes_each(&config, |handshake| {
        let mut wire = wire.borrow_mut();
        wire.clear();
        handshake.push(&flight);
        assert_eq!(handshake.advance(&mut wire).unwrap(), HandshakeStep::NeedsPermit);
        assert_eq!(handshake.advance_permitted(&mut wire).unwrap(), HandshakeStep::HasEarlyData);
        assert_eq!(handshake.take_early().len(), 4096);
        assert_eq!(handshake.advance(&mut wire).unwrap(), HandshakeStep::NeedsBytes);
        handshake.seal_early(b"served", &mut wire).unwrap();
    });
    println!("a handshake whose early data were served: {unconfirmed} bytes");
    assert!(unconfirmed <= 3_200, "{unconfirmed}");
}

fn the_longest_flight_has_a_bound() {
    let authority = Authority::new(Key::P256);
    let config = Arc::new(Side::server(&authority.issue(&Wanted::default())).server_config());
    // A hello that says that it is as long as it may be, in records of the longest kind, all but its last bytes.
    let mut flight = vec![22, 3, 1, 0x3f, 0xf0, 1, 0, 0xff, 0xd0];
    flight.resize(5 + 0x3ff0, 7);
    for _ in 0..3 {
        flight.extend_from_slice(&[22, 3, 1, 0x3f, 0xf0]);
        flight.resize(flight.len() + 0x3ff0, 7);
    }
    flight.truncate(65_000);
    let bytes = bytes_each(&config, |handshake| {
        for piece in flight.chunks(4096) {
            handshake.push(piece);
            assert_eq!(handshake.advance(&mut Vec::new()).unwrap(), HandshakeStep::NeedsBytes);
        }
    });
    // Twice, because it is in more than one record; and twice that, because memory grows by doubling.
    assert!((65_000..4 * 65_536 + 3_200).contains(&bytes), "{bytes}");
}
