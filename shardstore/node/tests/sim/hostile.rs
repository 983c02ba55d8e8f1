//! Bytes that no honest peer sends.

use std::time::Duration;

use reactor::Reactor;
use shardstore::wire::hello::{Hello, HelloFormatError};
use shardstore::wire::terms::HelloError;
use shardstore::wire::{Op, Request, Status};

use crate::peer::{Peer, dial, hello, key, read_hello, set};
use crate::rig::{Rig, node_address, pattern, script};

/// A sound conversation: HELLO and a few requests of every kind, whole.
fn conversation() -> Vec<u8> {
    let mut bytes = Vec::new();
    let ours = hello(0);
    ours.encode(&mut bytes);
    let hasher = shardstore::key::KeyHasher::new(ours.hash_seed);
    let dialect =
        shardstore::wire::request::Dialect { version: 1, cluster_tag: shardstore::wire::cluster_tag(&ours.cluster) };
    let value = pattern(3000);
    for n in 0..10_u64 {
        let name = key(format!("hostile:{n}"));
        let slot = hasher.hash(&name).slot();
        for op in [set(&name, &value), Op::Get { key: &name }, Op::Touch { key: &name, ttl_ms: 1000 }] {
            Request::new(n, slot, 5, op).encode(dialect, &mut bytes);
        }
    }
    bytes
}

/// Says `bytes`, reads until the node ends the connection or is quiet.
async fn say(reactor: &Reactor, bytes: &[u8]) {
    let connection = dial(reactor, &node_address()).await;
    connection.write().extend_from_slice(bytes);
    connection.set_deadline(reactor.now() + Duration::from_millis(700));
    while let Ok(Some(_)) = connection.receive().await {}
}

async fn neighbour(reactor: &Reactor) {
    let mut peer = Peer::any(reactor).await;
    let name = key("neighbour");
    peer.set(&name, b"fine").await;
    for _ in 0..200 {
        assert_eq!(peer.get(&name).await.value, b"fine");
        reactor.sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn damage_ends_its_connection_and_nothing_else() {
    for seed in 0..20 {
        let mut rig = Rig::new(seed, &[]);
        let good = rig.peer(script!(|reactor| neighbour(&reactor).await));
        let bad = rig.peer(script!(|reactor| {
            let sound = conversation();
            for _ in 0..25 {
                let mut bytes = sound.clone();
                for _ in 0..=reactor.random() % 3 {
                    let at = (reactor.random() % bytes.len() as u64) as usize;
                    match reactor.random() % 4 {
                        0 | 1 => bytes[at] ^= 1 << (reactor.random() % 8),
                        2 => bytes[at] = reactor.random() as u8,
                        _ => bytes.truncate(at + 1),
                    }
                }
                say(&reactor, &bytes).await;
            }
        }));
        rig.finish(bad);
        rig.finish(good);
        rig.assert_at_rest();
    }
}

#[test]
fn noise_and_other_protocols_are_closed_without_a_word() {
    for seed in 0..20 {
        Rig::new(seed, &[]).run(script!(|reactor| {
            let noise: Vec<u8> = (0..500).map(|_| reactor.random() as u8 | 1).collect();
            let http = b"GET / HTTP/1.1\r\nHost: node\r\n\r\n";
            for bytes in [&noise[..], http, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"*1\r\n$4\r\nPING\r\n"] {
                let connection = dial(&reactor, &node_address()).await;
                let asked_at = reactor.now();
                connection.write().extend_from_slice(bytes);
                let mut said = Vec::new();
                while let Ok(Some(data)) = connection.receive().await {
                    said.extend_from_slice(&data);
                }
                assert!(said.is_empty(), "{said:?}");
                assert!(
                    reactor.now().since(asked_at) < Duration::from_secs(2),
                    "at the first bytes, not at a deadline"
                );
            }
        }));
    }
}

#[test]
fn hellos_that_cannot_agree_get_ours_and_the_end() {
    Rig::new(5, &[]).run(script!(|reactor| {
        let mut other_seed = hello(0);
        assert_ne!(other_seed.hash_seed, 0, "0 stands for none");
        other_seed.hash_seed ^= 1;
        let mut other_function = hello(0);
        other_function.hash_id = 9;
        let mut later = hello(0);
        (later.version_min, later.version_max) = (1, 1);
        later.role = shardstore::wire::hello::Role::Node;
        later.node_id = 1;
        for (ours, name) in
            [(other_seed, "hello_hash_seed"), (other_function, "hello_hash_function"), (later, "hello_same_node")]
        {
            let error = Peer::greet(&reactor, &ours).await.err().unwrap();
            assert_eq!(error.name(), name);
        }
        let mut foreign = hello(0);
        foreign.cluster = "staging".to_owned();
        let error = Peer::greet(&reactor, &foreign).await.err().unwrap();
        assert!(matches!(error, HelloError::Cluster { .. }), "{error}");
        assert_eq!(Peer::heard(&reactor, &foreign).await.hash_seed, 0, "the seed is told to nobody of another cluster");
        let mut later = foreign.clone();
        (later.version_min, later.version_max) = (9, 9);
        assert_eq!(Peer::heard(&reactor, &later).await.hash_seed, 0);
        // Not a HELLO at all.
        let connection = dial(&reactor, &node_address()).await;
        let dialect =
            shardstore::wire::request::Dialect { version: 1, cluster_tag: shardstore::wire::cluster_tag("test") };
        Request::new(1, shardstore::key::SlotId::ZERO, 5, Op::Ping).encode(dialect, &mut connection.write());
        assert!(read_hello(&connection, &mut Vec::new()).await.is_none(), "{}", HelloFormatError::NotHello);
    }));
}

#[test]
fn a_hello_in_single_bytes_is_a_hello() {
    Rig::new(6, &[]).run(script!(|reactor| {
        let connection = dial(&reactor, &node_address()).await;
        let mut bytes = Vec::new();
        hello(1).encode(&mut bytes);
        for byte in bytes {
            connection.write().push(byte);
            reactor.sleep(Duration::from_millis(1)).await;
        }
        let theirs: Hello = read_hello(&connection, &mut Vec::new()).await.unwrap();
        assert_eq!((theirs.node_id, theirs.cores), (1, 2));
    }));
}

#[test]
fn unknown_operations_are_answered_and_the_connection_goes_on() {
    Rig::new(8, &[]).run(script!(|reactor| {
        use shardstore::wire::{Flags, Header, Kind, ext::Ext, frame};
        let mut peer = Peer::any(&reactor).await;
        let mut header = Header::new(Kind::Request, 999, shardstore::wire::cluster_tag("test"));
        header.request_id = 77;
        frame::encode(&mut peer.connection.write(), &header, &Ext::default(), b"", b"");
        let answer = peer.answer().await.unwrap().unwrap();
        assert_eq!((answer.id, answer.status), (77, Status::Unsupported));
        header.code = shardstore::wire::Opcode::Ping.number();
        header.flags = Flags::from_bits(1 << 31);
        frame::encode(&mut peer.connection.write(), &header, &Ext::default(), b"", b"");
        assert_eq!(peer.answer().await.unwrap().unwrap().status, Status::Unsupported);
        assert_eq!(peer.call(Op::Ping).await.status, Status::Ok);
        // A response has no place here.
        header.kind = Kind::Response;
        header.flags = Flags::NONE;
        frame::encode(&mut peer.connection.write(), &header, &Ext::default(), b"", b"");
        assert_eq!(peer.answer().await.unwrap(), None);
    }));
}

/// A frame whose first detail gets another type, sealed anew.
fn with_detail(frame: &[u8], kind: u8) -> Vec<u8> {
    let mut bytes = frame.to_vec();
    let head = 64 + usize::from(bytes[26]) * 8 + usize::from(u16::from_le_bytes([bytes[32], bytes[33]]));
    bytes[64] = kind;
    bytes[12..16].fill(0);
    let crc = shardstore::wire::checksum(&bytes[..head]);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    bytes
}

#[test]
fn a_large_value_with_an_unknown_detail_is_answered_once_and_skipped() {
    for seed in 0..20 {
        Rig::new(seed, &[]).run(script!(|reactor| {
            use shardstore::version::Condition;
            use shardstore::wire::ext::TraceContext;
            use shardstore::wire::reassembly::split;
            let mut peer = Peer::any(&reactor).await;
            let (name, value) = (key("large"), pattern(9_000));
            for id in 1000..1010 {
                let Op::Set(whole) = set(&name, &value) else { unreachable!() };
                let op = Op::Set(shardstore::wire::request::Set { condition: Condition::Absent, ..whole });
                let mut request = Request::new(id, peer.slot(&op), 5, op);
                request.trace = Some(TraceContext { trace_id: [1; 16], span_id: [2; 8], flags: 1 });
                for part in split(9_000, 4_096) {
                    let mut frame = Vec::new();
                    request.encode_head(peer.session.dialect(), part, &mut frame);
                    frame.extend_from_slice(&value[part.range()]);
                    let is_first = part.offset == 0;
                    let bytes = if is_first { with_detail(&frame, 0xfe) } else { frame };
                    peer.connection.write().extend_from_slice(&bytes);
                }
                let answer = peer.answer().await.unwrap().unwrap();
                assert_eq!((answer.id, answer.status), (id, Status::Unsupported));
            }
            assert_eq!(peer.get(&name).await.status, Status::NotFound);
        }));
    }
}
