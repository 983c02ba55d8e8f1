//! The generator's side of the shard protocol against shardstore's codec, as a node uses it.

use shardstore::key::StoredKey;
use shardstore::wire::frame::{self, Decoded, Frame};
use shardstore::wire::hello::{Role, WANTED_CORE_ANY};
use shardstore::wire::reassembly::{Progress, Reassembler, split};
use shardstore::wire::request::Dialect;
use shardstore::wire::terms::{SessionTerms, negotiate};
use shardstore::wire::{Header, Kind, Opcode, Response, Status};

use super::super::heard::{Heard, ask, template};
use super::super::{Granted, ProtocolRequests, ProtocolResponses as AnyAnswers};
use super::*;
use crate::run::scenario::{Scenario, ValueOptions as Sizes};

const SEED: u64 = 7;
const CLUSTER: &str = "test";

/// What a node grants in these tests.
#[derive(Clone, Copy)]
struct Grant {
    requests: u32,
    bytes: u32,
}

const ENOUGH: Grant = Grant { requests: 100, bytes: 1 << 20 };

fn node_hello(grant: Grant) -> Hello {
    let (credit_requests, credit_bytes) = (grant.requests, grant.bytes);
    let node = Hello {
        role: Role::Node,
        node_id: 1,
        cores: 2,
        topology_epoch: 3,
        ..hello::ours(CLUSTER, SEED, WANTED_CORE_ANY)
    };
    Hello { frame_value_bytes_max: 4096, credit_requests, credit_bytes, ..node }
}

/// A connection after its HELLOs.
fn connected(grant: Grant) -> (SessionTerms, SharedCaller, ShardResponses) {
    let session = negotiate(&hello::ours(CLUSTER, SEED, 0), &node_hello(grant)).expect("they agree");
    let caller = SharedCaller::new(&session);
    (session, caller.clone(), ShardResponses::new(caller, session.limits))
}

fn requests() -> ShardRequests {
    let target = LoadTarget::parse("shard://s@127.0.0.1:1/a{key}z").expect("it is right");
    let requests = ShardRequests::new(&target, template(&target));
    requests.know(&node_hello(ENOUGH));
    requests
}

fn values(bytes: usize) -> Values {
    Values::new(&Sizes { bytes, ..Default::default() })
}

/// Every frame in `bytes`.
fn frames<'a>(mut bytes: &'a [u8], session: &SessionTerms) -> Vec<Frame<'a>> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let Decoded::Frame(frame) = frame::decode(bytes, &session.limits).expect("it is a frame") else {
            panic!("a frame is not whole")
        };
        bytes = &bytes[frame.wire_bytes()..];
        frames.push(frame);
    }
    frames
}

#[test]
fn requests_are_what_a_node_understands() {
    let ((session, caller, _), requests, values) = (connected(ENOUGH), requests(), values(5));
    let mut buffer = Vec::new();
    for asked in [
        ask(Operation::Get, 7, 0),
        ask(Operation::Put, 8, 0),
        ask(Operation::Put, 8, 60),
        ask(Operation::Put, 8, u32::MAX),
        ask(Operation::Delete, 12, 9),
    ] {
        assert!(requests.write(&mut buffer, &caller, asked, &values));
    }
    let frames = frames(&buffer, &session);
    let parsed: Vec<_> = frames.iter().map(|frame| Request::parse(frame).expect("it is a request")).collect();
    for (index, (request, key)) in parsed.iter().zip(["a7z", "a8z", "a8z", "a8z", "a12z"]).enumerate() {
        let mut stored = Vec::new();
        StoredKey::encode(b"s", key.as_bytes(), &mut stored).expect("it is a key");
        assert_eq!((request.op.key(), request.id, request.slot_epoch), (stored.as_slice(), index as u64, 3));
        assert_eq!(request.slot, KeyHasher::new(SEED).hash(&stored).slot(), "a node compares it with its own");
    }
    assert!(matches!(parsed[0].op, Op::Get { .. }) && matches!(parsed[4].op, Op::Delete { version: 0, .. }));
    for (index, expected_ms) in [(1, 0), (2, 60_000), (3, u32::MAX)] {
        let Op::Set(set) = parsed[index].op else { panic!("not a SET") };
        assert_eq!(
            (set.ttl_ms, set.value, set.value_crc32c),
            (expected_ms, values.of(8), wire::checksum(values.of(8)))
        );
    }
}

#[test]
fn a_large_value_goes_in_chunks() {
    let ((session, caller, _), requests, values) = (connected(ENOUGH), requests(), values(10_000));
    let (mut buffer, mut reassembler) = (Vec::new(), Reassembler::new(1 << 20, 8, 1 << 20));
    assert!(requests.write(&mut buffer, &caller, ask(Operation::Put, 8, 5), &values));
    let mut whole = None;
    for frame in frames(&buffer, &session) {
        let chunk = Reassembler::chunk_of(&frame).expect("it is sound").expect("it is a chunk");
        if let Progress::Whole(assembled) = reassembler.accept(&frame, chunk).expect("it continues") {
            whole = Some(assembled);
        }
    }
    let whole = whole.expect("the last chunk came");
    let frame = whole.frame();
    let request = Request::parse(&frame).expect("it is a request");
    assert!(matches!(request.op, Op::Set(set) if set.value == values.of(8) && set.ttl_ms == 5_000));
}

/// Two requests are granted, then one, then two; nothing is written beyond it.
#[test]
fn credit_is_kept_to() {
    let (session, caller, mut answers) = connected(Grant { requests: 2, bytes: 1 << 20 });
    let (requests, values, mut buffer) = (requests(), values(5), Vec::new());
    let write = |buffer: &mut Vec<u8>| requests.write(buffer, &caller, ask(Operation::Get, 1, 0), &values);
    assert!(write(&mut buffer) && write(&mut buffer));
    let length = buffer.len();
    assert!(!write(&mut buffer) && buffer.len() == length, "nothing is written without credit");
    for (id, credits, expected) in [(1, 0, false), (0, 1, true), (2, 2, true)] {
        let mut come = Vec::new();
        Response { credits, ..Response::new(id, Status::NotFound) }.encode(session.dialect(), &mut come);
        answers.read(&come, &mut Heard::default()).expect("it is an answer");
        assert_eq!(write(&mut buffer), expected, "after the answer to {id}");
    }
    assert!(write(&mut buffer) && !write(&mut buffer), "two were granted for the last one");
}

/// Bytes are granted too; what is larger than all of them goes alone.
#[test]
fn a_request_waits_for_bytes() {
    let (session, caller, mut answers) = connected(Grant { requests: 100, bytes: 12_000 });
    let (requests, values, mut buffer) = (requests(), values(20_000), Vec::new());
    let mut write = |operation| requests.write(&mut buffer, &caller, ask(operation, 1, 0), &values);
    assert!(write(Operation::Get) && !write(Operation::Put), "something is under way");
    let mut come = Vec::new();
    Response::new(0, Status::NotFound).encode(session.dialect(), &mut come);
    answers.read(&come, &mut Heard::default()).expect("it is an answer");
    assert!(write(Operation::Put) && !write(Operation::Get), "it is alone");
}

fn response<'a>(id: u64, status: Status, value: Option<&'a [u8]>) -> Response<'a> {
    let crc = value.map(wire::checksum);
    Response { value_crc32c: crc, value: value.unwrap_or_default(), ..Response::new(id, status) }
}

/// The parts of an answer whose value is longer than a frame.
fn chunks(dialect: Dialect, answer: &Response<'_>) -> Vec<Vec<u8>> {
    split(answer.value.len() as u32, 4096)
        .map(|part| {
            let mut frame = Vec::new();
            answer.encode_head(dialect, part, &mut frame);
            frame.extend_from_slice(&answer.value[part.range()]);
            frame
        })
        .collect()
}

/// Answers in another order than the requests, chunks with another answer between them, a push, all statuses.
#[test]
fn answers_are_heard_whole_in_any_pieces() {
    let (session, ..) = connected(ENOUGH);
    let dialect = session.dialect();
    let large = vec![b'x'; 5_000];
    let mut stream = Vec::new();
    let push = Header {
        flags: shardstore::wire::Flags::VALUE_CRC,
        ..Header::new(Kind::Push, Opcode::Topology.number(), session.limits.cluster_tag)
    };
    frame::encode(&mut stream, &push, &Default::default(), &[], b"a topology");
    response(2, Status::Ok, Some(b"no!")).encode(dialect, &mut stream);
    let parts = chunks(dialect, &response(1, Status::Ok, Some(&large)));
    stream.extend_from_slice(&parts[0]);
    Response { metadata: b"text/plain", ..response(0, Status::Ok, Some(b"")) }.encode(dialect, &mut stream);
    stream.extend_from_slice(&parts[1]);
    response(3, Status::Ok, None).encode(dialect, &mut stream);
    Response { previous_version: Some(9), ..response(5, Status::Ok, None) }.encode(dialect, &mut stream);
    Response { retry_after_us: Some(9), ..response(4, Status::Busy, None) }.encode(dialect, &mut stream);
    for (id, status) in [(6, Status::NotFound), (7, Status::TooLarge), (8, Status::Stale), (9, Status::NotApplied)] {
        response(id, status, None).encode(dialect, &mut stream);
    }
    let expected = [
        (2, 200, 3, false),
        (0, 200, 0, true),
        (0, 200, 5_000, true),
        (0, 201, 0, true),
        (1, 204, 0, true),
        (0, 503, 0, true),
        (0, 404, 0, true),
        (0, 413, 0, true),
        (0, 500, 0, true),
        (0, 412, 0, true),
    ];
    for step in (1..200).chain([4095, 4096, 4097, stream.len()]) {
        let (_, caller, mut answers) = connected(ENOUGH);
        let (requests, values, mut buffer) = (requests(), values(5), Vec::new());
        for _ in 0..10 {
            assert!(requests.write(&mut buffer, &caller, ask(Operation::Get, 1, 0), &values));
        }
        let mut heard = Heard::default();
        for piece in stream.chunks(step) {
            answers.read(piece, &mut heard).expect("they are answers");
        }
        assert_eq!(heard.answers, expected, "in pieces of {step}");
        assert_eq!(heard.bodies.len(), 5_003, "in pieces of {step}");
    }
}

#[test]
fn what_is_no_answer_is_named() {
    let (session, ..) = connected(ENOUGH);
    let dialect = session.dialect();
    let of = |response: &Response<'_>| {
        let mut bytes = Vec::new();
        response.encode(dialect, &mut bytes);
        bytes
    };
    let large = vec![b'x'; 9_000];
    let parts = chunks(dialect, &response(0, Status::Ok, Some(&large)));
    let mut damaged = of(&response(0, Status::NotFound, None));
    damaged[20] ^= 1;
    let last = Response { credits: 0, ..Response::new(0, Status::NotFound) };
    for (bytes, expected) in [
        (b"H".to_vec(), MalformedFrame::Frame(FrameError::Magic(*b"H\0\0"))),
        (damaged, MalformedFrame::Frame(FrameError::HeaderCrc)),
        (of(&response(1, Status::Ok, Some(b"x"))), MalformedFrame::UnknownId),
        (parts[1].clone(), MalformedFrame::Chunk),
        ([parts[0].clone(), parts[2].clone()].concat(), MalformedFrame::Chunk),
        (of(&last), MalformedFrame::NoCredit),
    ] {
        for step in [1, bytes.len()] {
            let (_, caller, mut answers) = connected(Grant { requests: 1, bytes: 1 << 20 });
            assert!(requests().write(&mut Vec::new(), &caller, ask(Operation::Get, 1, 0), &values(5)));
            let mut heard = Heard::default();
            let outcome = bytes.chunks(step).try_for_each(|piece| answers.read(piece, &mut heard));
            assert_eq!(outcome, Err(expected), "in pieces of {step}");
        }
    }
}

/// Through the door that the generator uses.
#[test]
fn the_same_is_reached_from_outside() {
    let scenario = Scenario::parse("url = \"shard://127.0.0.1:1/k\"\n").expect("it is right");
    let target = scenario.target().expect("it has an address");
    let ProtocolRequests::Shard(requests) = ProtocolRequests::new(&target, &scenario) else {
        panic!("another protocol")
    };
    requests.know(&node_hello(ENOUGH));
    let (session, caller, answers) = connected(ENOUGH);
    let (any, mut buffer) = (ProtocolRequests::Shard(requests), Vec::new());
    assert!(any.write(&mut buffer, &Granted::Shard(caller), ask(Operation::Get, 5, 0), &values(5)));
    assert_eq!(frames(&buffer, &session)[0].key, b"\0k", "the keyspace default has no name");
    let (mut heard, mut come) = (Heard::default(), Vec::new());
    response(0, Status::Ok, Some(b"hello")).encode(session.dialect(), &mut come);
    AnyAnswers::Shard(Box::new(answers)).read(&come, &mut heard).expect("it is an answer");
    assert_eq!(heard.answers, [(0, 200, 5, true)]);
}
