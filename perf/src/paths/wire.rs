//! The shard protocol's side of a miss: a GET as a frame and back, its answer as a frame and back.
//!
//! **Invariants**: ask and reply have the fields that an edge and a node give them (`server/src/nodes`,
//! `shardstore/node/src/core`); a value's checksum is made when it is stored, and checked by the edge that uses it.

use std::hint::black_box;

use shardstore::key::{SlotId, StoredKey};
use shardstore::wire::request::Dialect;
use shardstore::wire::{Decoded, Flags, Frame, Limits, Op, Request, Response, Status, checksum, cluster_tag, frame};

const VALUE: [u8; 128] = [b'v'; 128];

const CLUSTER: &str = "default";

/// A value's content type.
const METADATA: &[u8] = b"text/plain";

/// An edge writes a GET.
pub(crate) fn encode_ask(count: u64) {
    let (dialect, key) = (dialect(), stored_key());
    let mut out = Vec::with_capacity(1024);
    for _ in 0..count {
        out.clear();
        write_ask(black_box(dialect), black_box(&key), &mut out);
        black_box(&out);
    }
}

/// A node reads it.
pub(crate) fn decode_ask(count: u64) {
    let limits = limits();
    let mut bytes = Vec::new();
    write_ask(dialect(), &stored_key(), &mut bytes);
    for _ in 0..count {
        let frame = decode(black_box(&bytes), black_box(&limits));
        let request = Request::parse(&frame).expect("what was encoded is understood");
        let Op::Get { key } = request.op else { panic!("it is a GET") };
        black_box((request.id, request.slot, request.slot_epoch, request.core, request.deadline_us, key));
    }
}

/// A node writes the answer.
pub(crate) fn encode_reply(count: u64) {
    let (dialect, crc) = (dialect(), checksum(&VALUE));
    let mut out = Vec::with_capacity(1024);
    for _ in 0..count {
        out.clear();
        write_reply(black_box(dialect), black_box(crc), black_box(&VALUE), &mut out);
        black_box(&out);
    }
}

/// An edge reads it, and checks the value.
pub(crate) fn decode_reply(count: u64) {
    let limits = limits();
    let mut bytes = Vec::new();
    write_reply(dialect(), checksum(&VALUE), &VALUE, &mut bytes);
    for _ in 0..count {
        let frame = decode(black_box(&bytes), black_box(&limits));
        let response = Response::parse(&frame).expect("what was encoded is understood");
        assert!(response.value_crc32c == Some(checksum(response.value)), "the value is as it was stored");
        black_box((response.id, response.credits, response.version, response.metadata, response.value));
    }
}

#[inline(never)]
fn write_ask(dialect: Dialect, key: &[u8], out: &mut Vec<u8>) {
    let mut request = Request::new(black_box(7), black_box(SlotId::ZERO), black_box(3), Op::Get { key });
    request.core = black_box(1);
    request.flags = Flags::IDEMPOTENT;
    request.deadline_us = black_box(250_000);
    request.encode(dialect, out);
}

#[inline(never)]
fn write_reply(dialect: Dialect, crc: u32, value: &[u8], out: &mut Vec<u8>) {
    let mut response = Response::new(black_box(7), Status::Ok);
    response.slot = black_box(SlotId::ZERO);
    response.slot_epoch = black_box(3);
    response.core = black_box(1);
    response.server_us = black_box(20);
    response.version = black_box(1_234_567_890_123);
    response.value_crc32c = Some(crc);
    response.metadata = METADATA;
    response.value = value;
    response.encode(dialect, out);
}

#[inline(always)]
fn decode<'a>(bytes: &'a [u8], limits: &Limits) -> Frame<'a> {
    match frame::decode(bytes, limits) {
        Ok(Decoded::Frame(frame)) => frame,
        other => panic!("the frame is whole and sound: {other:?}"),
    }
}

fn dialect() -> Dialect {
    Dialect { version: shardstore::wire::VERSION_MAX, cluster_tag: cluster_tag(CLUSTER) }
}

fn limits() -> Limits {
    Limits { frame_value_bytes_max: 1 << 20, cluster_tag: cluster_tag(CLUSTER) }
}

fn stored_key() -> Vec<u8> {
    let mut stored = Vec::new();
    StoredKey::encode(b"default", b"key-00000042", &mut stored).expect("the key is in range");
    stored
}
