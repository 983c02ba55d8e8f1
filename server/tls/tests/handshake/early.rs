//! Early data of rustls's ordinary client: served before it has finished, once, within bounds, and with whatever it does then.

use std::io::{Read, Write};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use corelane_tls::crypto::provider;
use corelane_tls::handshake::server::{ServerHandshake, prepare};
use corelane_tls::handshake::{EarlyData, HandshakeFault, HandshakeStep};
use reactor::{Connection, ConnectionError};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::ServerSessionMemoryCache;
use rustls::{ClientConfig, ClientConnection, HandshakeKind, ServerConfig};

use crate::authority::{Authority, Identity, Key, Wanted};
use crate::driven::{Scene, Seat, on_both_in, scene};
use crate::pair::{Side, Splits, assert_same_keys, give, name, with_our_server, written_by};

const EARLY_BYTES_MAX: u32 = 16 * 1024;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\n\r\n";

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\n\r\n";

/// A server that takes early data, and a client that sends them.
struct Rig {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
    identity: Identity,
}

fn takes_early(config: &mut ServerConfig, bytes_max: u32) {
    config.session_storage = ServerSessionMemoryCache::new(64);
    config.max_early_data_size = bytes_max;
    prepare(config);
}

impl Rig {
    /// The client has a session already.
    fn new() -> Self {
        let authority = Authority::new(Key::P256);
        let identity = authority.issue(&Wanted::default());
        let mut server = Side::server(&identity).server_config();
        takes_early(&mut server, EARLY_BYTES_MAX);
        let mut client = Side::client(&authority).client_config();
        client.enable_early_data = true;
        let rig = Rig { server: Arc::new(server), client: Arc::new(client), identity };
        rig.begin();
        rig
    }

    /// Has the client make a session.
    fn begin(&self) {
        let served = with_our_server(&self.server, self.connect(), &mut Splits::none(), |_| {});
        assert_ne!(served.result.unwrap().negotiated.early_data, EarlyData::Accepted);
    }

    fn connect(&self) -> ClientConnection {
        ClientConnection::new(Arc::clone(&self.client), name("corelane.test")).unwrap()
    }

    /// A client that sends this early; what it sends.
    fn connect_with(&self, early: &[u8]) -> (ClientConnection, Vec<u8>) {
        let mut client = self.connect();
        assert_eq!(client.early_data().expect("it has a session").write(early).unwrap(), early.len());
        let wire = written_by(&mut client);
        (client, wire)
    }
}

/// A server in the middle of a handshake.
struct Serving {
    handshake: ServerHandshake,
    early: Vec<u8>,
    wire: Vec<u8>,
    result: Result<HandshakeStep, HandshakeFault>,
}

impl Serving {
    fn new(config: &Arc<ServerConfig>) -> Self {
        let handshake = ServerHandshake::new(config).unwrap();
        Serving { handshake, early: Vec::new(), wire: Vec::new(), result: Ok(HandshakeStep::NeedsBytes) }
    }

    fn take(&mut self, wire: &[u8], splits: &mut Splits) {
        let Serving { handshake, early, wire: out, result } = self;
        splits.each(wire, |piece| {
            if result.is_err() {
                return;
            }
            handshake.push(piece);
            if matches!(result, Ok(HandshakeStep::Done)) {
                return;
            }
            let mut step = handshake.advance(out);
            loop {
                step = match step {
                    Ok(HandshakeStep::NeedsPermit) => handshake.advance_permitted(out),
                    Ok(HandshakeStep::HasEarlyData) => {
                        early.extend_from_slice(&handshake.take_early());
                        handshake.advance(out)
                    }
                    _ => break,
                };
            }
            *result = step;
        });
    }

    fn label(&self) -> Result<HandshakeStep, &'static str> {
        self.result.as_ref().map(|step| *step).map_err(HandshakeFault::label)
    }
}

fn read(client: &mut ClientConnection, bytes: usize) -> Vec<u8> {
    let mut text = vec![0; bytes];
    client.reader().read_exact(&mut text).unwrap();
    text
}

#[test]
fn early_data_are_answered_before_the_client_has_finished_and_its_keys_go_on() {
    let rig = Rig::new();
    for seed in 0..100 {
        let mut splits = Splits::random(seed);
        let (mut client, wire) = rig.connect_with(REQUEST);
        let mut serving = Serving::new(&rig.server);
        serving.take(&wire, &mut splits);
        assert_eq!(
            (serving.early.as_slice(), serving.label()),
            (REQUEST, Ok(HandshakeStep::NeedsBytes)),
            "seed {seed}"
        );
        let negotiated = serving.handshake.negotiated().unwrap();
        assert_eq!((negotiated.early_data, negotiated.kind), (EarlyData::Accepted, HandshakeKind::Resumed));
        serving.handshake.seal_early(RESPONSE, &mut serving.wire).unwrap();
        give(&mut client, &std::mem::take(&mut serving.wire)).unwrap();
        assert!(client.is_early_data_accepted());
        assert_eq!(read(&mut client, RESPONSE.len()), RESPONSE);

        // The end of its early data, its Finished, and traffic behind it.
        let finishing = written_by(&mut client);
        let mut traffic = Vec::new();
        if seed % 2 == 1 {
            client.writer().write_all(REQUEST).unwrap();
            traffic = written_by(&mut client);
        }
        serving.take(&[finishing, traffic.clone()].concat(), &mut splits);
        assert_eq!((serving.early.as_slice(), serving.label()), (REQUEST, Ok(HandshakeStep::Done)), "seed {seed}");
        give(&mut client, &serving.wire).unwrap();
        let finished = serving.handshake.finish().unwrap();
        assert_eq!(finished.unread, traffic, "seed {seed}: what is behind Finished is not rustls's");
        assert_eq!(finished.negotiated.early_data, EarlyData::Accepted);
        assert_eq!(finished.secrets.tx.0, 2, "a response, and tickets");
        if traffic.is_empty() {
            assert_same_keys(&finished.secrets, &client.dangerous_extract_secrets().unwrap());
        }
    }
}

#[test]
fn a_first_flight_that_is_sent_again_is_no_early_data() {
    let rig = Rig::new();
    let (_, wire) = rig.connect_with(REQUEST);
    for is_replay in [false, true, true] {
        let mut serving = Serving::new(&rig.server);
        serving.take(&wire, &mut Splits::none());
        assert_eq!(serving.label(), Ok(HandshakeStep::NeedsBytes));
        let negotiated = serving.handshake.negotiated().unwrap();
        let expected = match is_replay {
            false => (REQUEST, EarlyData::Accepted, HandshakeKind::Resumed),
            true => (&[][..], EarlyData::Refused, HandshakeKind::Full),
        };
        assert_eq!((serving.early.as_slice(), negotiated.early_data, negotiated.kind), expected);
    }
}

#[test]
fn a_client_whose_early_data_are_refused_sends_them_again() {
    let rig = Rig::new();
    let mut stateless = ServerConfig::clone(&rig.server);
    (stateless.ticketer, stateless.max_early_data_size) = (Ticketer::new().unwrap(), 0);
    // Of another group, so that it asks for another hello.
    let kx_groups = vec![rustls::crypto::aws_lc_rs::kx_group::SECP384R1];
    let provider = Arc::new(CryptoProvider { kx_groups, ..CryptoProvider::clone(&provider()) });
    let mut retrying = Side { provider, ..Side::server(&rig.identity) }.server_config();
    takes_early(&mut retrying, EARLY_BYTES_MAX);
    retrying.session_storage = Arc::clone(&rig.server.session_storage);
    for config in [Arc::new(stateless), Arc::new(retrying)] {
        // Of what it throws away rustls counts whole records, so that it does not throw away as much as it would take.
        for early in [vec![1], vec![EARLY_BYTES_MAX as usize - 17], vec![700; 20], vec![1; 400]] {
            let mut client = rig.connect();
            for bytes in &early {
                client.early_data().unwrap().write_all(&vec![b'x'; *bytes]).unwrap();
            }
            let mut serving = Serving::new(&config);
            for _ in 0..4 {
                serving.take(&written_by(&mut client), &mut Splits::random(early.len() as u64));
                give(&mut client, &std::mem::take(&mut serving.wire)).unwrap();
            }
            assert!(!client.is_early_data_accepted());
            assert_eq!((serving.early.len(), serving.label()), (0, Ok(HandshakeStep::Done)), "{} records", early.len());
            assert_eq!(serving.handshake.finish().unwrap().negotiated.early_data, EarlyData::Refused);
            rig.begin();
        }
    }
}

#[test]
fn early_data_have_a_bound_of_bytes_and_of_records() {
    let rig = Rig::new();
    let mut narrow = ServerConfig::clone(&rig.server);
    narrow.max_early_data_size = 100;
    let narrow = Arc::new(narrow);
    for (config, early, label) in [
        (&narrow, vec![100], Ok(HandshakeStep::NeedsBytes)),
        (&narrow, vec![101], Err("misbehaved")),
        (&narrow, vec![60, 41], Err("misbehaved")),
        (&rig.server, vec![1; 500], Ok(HandshakeStep::NeedsBytes)),
        (&rig.server, vec![1; 600], Err("flight_too_long")),
    ] {
        let mut client = rig.connect();
        for bytes in &early {
            client.early_data().unwrap().write_all(&vec![b'x'; *bytes]).unwrap();
        }
        let mut serving = Serving::new(config);
        serving.take(&written_by(&mut client), &mut Splits::none());
        assert_eq!(serving.label(), label, "{} records", early.len());
        let told = give(&mut client, &serving.wire);
        assert_eq!(told.is_err(), label == Err("misbehaved"), "rustls's alert is read: {told:?}");
        rig.begin();
    }
}

/// The records of a flight.
fn records(mut wire: &[u8]) -> Vec<&[u8]> {
    let mut records = Vec::new();
    while let Some(&[_, _, _, high, low]) = wire.first_chunk() {
        let (record, rest) = wire.split_at(5 + usize::from(u16::from_be_bytes([high, low])));
        records.push(record);
        wire = rest;
    }
    records
}

/// What a client says when it has been answered, without the end of its early data.
fn without_end(flight: &[u8]) -> Vec<u8> {
    let encrypted = |record: &&&[u8]| record[0] == 23;
    let end = records(flight).iter().find(encrypted).unwrap().as_ptr();
    records(flight).into_iter().filter(|record| record.as_ptr() != end).flatten().copied().collect()
}

#[test]
fn finished_without_the_end_of_early_data_is_refused() {
    let rig = Rig::new();
    let (mut client, wire) = rig.connect_with(REQUEST);
    let mut serving = Serving::new(&rig.server);
    serving.take(&wire, &mut Splits::none());
    give(&mut client, &std::mem::take(&mut serving.wire)).unwrap();
    serving.take(&without_end(&written_by(&mut client)), &mut Splits::none());
    assert_eq!(serving.label(), Err("bad_record_mac"));
    assert!(give(&mut client, &serving.wire).is_err(), "it is told");
}

fn early_scene(seed: u64) -> Scene {
    let scene = scene(seed);
    let (mut server, mut client) = (ServerConfig::clone(&scene.server), ClientConfig::clone(&scene.client));
    server.ticketer =
        Arc::clone(&Side::server(&Authority::new(Key::Ed25519).issue(&Wanted::default())).server_config().ticketer);
    takes_early(&mut server, EARLY_BYTES_MAX);
    client.enable_early_data = true;
    Scene { server: Arc::new(server), client: Arc::new(client), ..scene }
}

/// rustls's ordinary client on a connection.
struct Dialled {
    connection: Connection,
    client: ClientConnection,
    /// What it has read, and nobody has asked for.
    text: Vec<u8>,
}

impl Dialled {
    async fn new(seat: &Seat) -> Self {
        let client = ClientConnection::new(Arc::clone(&seat.scene.client), name("corelane.test")).unwrap();
        Dialled { connection: seat.dial().await, client, text: Vec::new() }
    }

    fn send(&mut self) {
        self.connection.write().extend_from_slice(&written_by(&mut self.client));
    }

    /// Reads so many bytes, and sends nothing.
    async fn read(&mut self, bytes: usize) -> Vec<u8> {
        while self.text.len() < bytes {
            self.take().await.unwrap();
        }
        self.text.drain(..bytes).collect()
    }

    async fn take(&mut self) -> Result<(), rustls::Error> {
        let received = self.connection.receive().await.unwrap().expect("the server has more to say");
        for piece in received.chunks(4096) {
            give(&mut self.client, piece)?;
            let ready = self.client.process_new_packets()?.plaintext_bytes_to_read();
            self.text.extend_from_slice(&read(&mut self.client, ready));
        }
        Ok(())
    }

    /// Makes a session.
    async fn begin(seat: &Rc<Seat>) {
        let serving = Rc::clone(seat);
        let server = async move {
            let connection = serving.listener.accept().await.unwrap();
            serving.serve(&connection).await.unwrap();
            assert!(!connection.may_be_replayed());
            connection.write().extend_from_slice(RESPONSE);
            connection.finish(Duration::from_secs(10)).await;
        };
        seat.reactor.spawn(server).unwrap();
        let mut client = Dialled::new(seat).await;
        client.send();
        while client.client.is_handshaking() {
            client.take().await.unwrap();
        }
        client.send();
        client.read(RESPONSE.len()).await;
        client.connection.finish(Duration::from_secs(10)).await;
    }
}

async fn read_bytes(connection: &Connection, bytes: usize) -> Vec<u8> {
    let mut text = Vec::new();
    while text.len() < bytes {
        text.extend_from_slice(&connection.receive().await.unwrap().expect("the client has more to say"));
    }
    text
}

fn text(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|n| (n * 7) as u8).collect()
}

#[test]
fn a_connection_is_served_before_its_handshake_is_over_and_goes_on() {
    on_both_in(early_scene, |seat| async move {
        Dialled::begin(&seat).await;
        let serving = Rc::clone(&seat);
        let server = async move {
            let connection = serving.listener.accept().await.unwrap();
            let negotiated = serving.serve(&connection).await.unwrap();
            assert_eq!(negotiated.early_data, EarlyData::Accepted);
            assert!(connection.may_be_replayed() && connection.sender().may_be_replayed());
            connection.set_deadline(serving.soon());
            assert_eq!(read_bytes(&connection, 9_000).await, text(9_000));
            connection.write().extend_from_slice(&text(200_000));
            assert_eq!(read_bytes(&connection, 50_000).await, text(50_000));
            assert!(!connection.may_be_replayed());
            connection.write().extend_from_slice(&text(100_000));
            connection.finish(Duration::from_secs(10)).await;
        };
        seat.reactor.spawn(server).unwrap();
        let mut client = Dialled::new(&seat).await;
        client.client.early_data().unwrap().write_all(&text(9_000)).unwrap();
        client.send();
        assert_eq!(client.read(200_000).await, text(200_000), "it has not finished");
        client.send();
        client.client.writer().write_all(&text(50_000)).unwrap();
        client.send();
        assert_eq!(client.read(100_000).await, text(100_000));
        client.connection.finish(Duration::from_secs(10)).await;
        let counts = seat.handshakes.accepted();
        assert_eq!((counts.early_accepted, counts.early_refused, counts.resumed), (1, 0, 1));
    });
}

#[test]
fn a_response_that_is_the_last_ends_a_connection_whose_handshake_is_not_over() {
    on_both_in(early_scene, |seat| async move {
        Dialled::begin(&seat).await;
        let serving = Rc::clone(&seat);
        let server = async move {
            let connection = serving.listener.accept().await.unwrap();
            serving.serve(&connection).await.unwrap();
            read_bytes(&connection, REQUEST.len()).await;
            connection.write().extend_from_slice(RESPONSE);
            connection.finish(Duration::from_secs(10)).await;
        };
        seat.reactor.spawn(server).unwrap();
        let mut client = Dialled::new(&seat).await;
        client.client.early_data().unwrap().write_all(REQUEST).unwrap();
        client.send();
        assert_eq!(client.read(RESPONSE.len()).await, RESPONSE);
        while let Some(bytes) = client.connection.receive().await.unwrap() {
            give(&mut client.client, &bytes).unwrap();
        }
        let mut rest = Vec::new();
        client.client.reader().read_to_end(&mut rest).expect("its end was said: a close_notify");
        assert!(rest.is_empty());
        client.send();
        client.connection.finish(Duration::from_secs(10)).await;
    });
}

#[test]
fn a_client_that_breaks_the_handshake_after_its_early_data_is_told_and_gone() {
    on_both_in(early_scene, |seat| async move {
        Dialled::begin(&seat).await;
        let serving = Rc::clone(&seat);
        let server = async move {
            let connection = serving.listener.accept().await.unwrap();
            serving.serve(&connection).await.unwrap();
            read_bytes(&connection, REQUEST.len()).await;
            connection.write().extend_from_slice(RESPONSE);
            let Err(ConnectionError::Protection(fault)) = connection.receive().await else { panic!("no fault") };
            assert_eq!(fault.word(), "bad_record_mac");
            assert!(!connection.may_be_replayed(), "nothing more comes of it");
            connection.finish(Duration::from_secs(10)).await;
        };
        seat.reactor.spawn(server).unwrap();
        let mut client = Dialled::new(&seat).await;
        client.client.early_data().unwrap().write_all(REQUEST).unwrap();
        client.send();
        client.read(RESPONSE.len()).await;
        let broken = without_end(&written_by(&mut client.client));
        client.connection.write().extend_from_slice(&broken);
        let mut told = Ok(());
        while let (Ok(()), Some(bytes)) = (&told, client.connection.receive().await.unwrap()) {
            told = give(&mut client.client, &bytes);
        }
        assert_eq!(told, Err(rustls::Error::AlertReceived(rustls::AlertDescription::BadRecordMac)));
        client.connection.finish(Duration::from_secs(10)).await;
    });
}
