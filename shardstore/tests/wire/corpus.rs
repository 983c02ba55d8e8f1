//! The frames that the other tests start from: one of each shape, named; also what the golden files hold.

use std::sync::Arc;

use shardstore::key::{KeyHasher, SlotId};
use shardstore::version::{Condition, Version};
use shardstore::wire::batch::{BatchAnswer, BatchAnswers, MgetKeys, MsetItem, MsetItems};
use shardstore::wire::ext::{CarriedPart, Moved, TraceContext, WantedPart};
use shardstore::wire::hello::{Hello, HelloExtension, Role, WANTED_CORE_ANY};
use shardstore::wire::map_digest::MapDigest;
use shardstore::wire::reassembly::split;
use shardstore::wire::request::{Dialect, Set};
use shardstore::wire::stats::{Stat, StatKind, Stats};
use shardstore::wire::topology::TopologyText;
use shardstore::wire::{
    Flags, Kind, Limits, Op, Priority, Request, Response, SchedulingClass, Status, checksum, cluster_tag,
};

pub(crate) const CLUSTER: &str = "golden";
pub(crate) const KEY: &[u8] = b"\0user:1";

pub(crate) fn dialect() -> Dialect {
    Dialect { version: 1, cluster_tag: cluster_tag(CLUSTER) }
}

pub(crate) fn limits() -> Limits {
    Limits { frame_value_bytes_max: 1 << 20, cluster_tag: cluster_tag(CLUSTER) }
}

pub(crate) fn slot() -> SlotId {
    KeyHasher::new(0).hash(KEY).slot()
}

pub(crate) fn request(id: u64, op: Op<'_>) -> Request<'_> {
    Request::new(id, slot(), 7, op)
}

pub(crate) fn set(value: &[u8]) -> Set<'_> {
    Set {
        key: KEY,
        value,
        metadata: b"text/plain",
        value_crc32c: checksum(value),
        ttl_ms: 60_000,
        version: 0,
        condition: Condition::Any,
    }
}

pub(crate) fn extension() -> HelloExtension {
    HelloExtension {
        clock_us: 0x0102_0304_0506_0708,
        map: Arc::new(MapDigest::of(|_| 1)),
        owners: None,
        wanted_node: 0,
    }
}

pub(crate) fn hello(role: Role) -> Hello {
    Hello {
        version_min: 1,
        version_max: 1,
        role,
        hash_id: 1,
        hash_seed: 0x5eed,
        cores: 8,
        wanted_core: WANTED_CORE_ANY,
        features: 0,
        node_id: u32::from(role == Role::Node) * 2,
        topology_epoch: 7,
        incarnation: 0x1122_3344_5566_7788,
        frame_value_bytes_max: 1 << 20,
        value_bytes_max: 64 << 20,
        credit_requests: 256,
        credit_bytes: 4 << 20,
        batch_entries_max: 1024,
        key_bytes_max: 4160,
        cluster: CLUSTER.to_owned(),
        extension: None,
    }
}

/// A named frame.
pub(crate) struct Sample {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) bytes: Vec<u8>,
}

/// One frame of each shape.
pub(crate) fn samples() -> Vec<Sample> {
    let mut samples = vec![];
    hellos(&mut samples);
    requests(&mut samples);
    batches(&mut samples);
    responses(&mut samples);
    payloads(&mut samples);
    samples
}

fn hellos(samples: &mut Vec<Sample>) {
    for (name, role) in [("hello_edge", Role::Edge), ("hello_node", Role::Node)] {
        let mut bytes = Vec::new();
        hello(role).encode(&mut bytes);
        samples.push(Sample { name, about: "HELLO, cluster \"golden\", hash seed 0x5eed", bytes });
    }
    let mut bytes = Vec::new();
    Hello { extension: Some(extension()), ..hello(Role::Edge) }.encode(&mut bytes);
    let about = "HELLO with clock 0x0102030405060708 us and the digest of a map whose slots all have the owner 1";
    samples.push(Sample { name: "hello_extended", about, bytes });
}

fn requests(samples: &mut Vec<Sample>) {
    let mut add = |name, about, request: &Request<'_>| samples.push(sample_of(name, about, request));
    add("get", "GET, stored key \"\\0user:1\", id 1, epoch 7", &request(1, Op::Get { key: KEY }));
    let traced = Request {
        class: SchedulingClass::DEFAULT.with_priority(Priority::Prefetch).with_attempt(2).hedged(),
        flags: Flags::IDEMPOTENT | Flags::STALE_OK,
        core: 3,
        deadline_us: 250_000,
        trace: Some(TraceContext { trace_id: [0xab; 16], span_id: [0xcd; 8], flags: 1 }),
        ..request(2, Op::Get { key: KEY })
    };
    add("get_traced", "GET, second retry, hedged, for core 3, 250 ms left, sampled trace", &traced);
    add("set", "SET \"hello\", text/plain, 60 s", &request(3, Op::Set(set(b"hello"))));
    let conditional = Set {
        condition: Condition::VersionEquals(Version::from_bits(0x0102_0304_0506_0708)),
        metadata: &[],
        ..set(b"")
    };
    add(
        "set_if_version",
        "SET the empty value if the version is 0x0102030405060708",
        &request(4, Op::Set(conditional)),
    );
    let delete = Op::Delete { key: KEY, version: 0, condition: Condition::Present };
    add("delete", "DELETE if present", &request(5, delete));
    let wanted = WantedPart { offset: 4096, bytes_max: 128 << 10, is_all_or_none: false, is_first: true, version: 9 };
    add("read_part", "READ 128 KiB from byte 4096 on, of version 9", &request(13, Op::Read { key: KEY, wanted }));
    let wanted = WantedPart { bytes_max: 16 << 10, is_all_or_none: true, ..WantedPart::default() };
    add(
        "read_facts",
        "READ what is known, and the value if it has at most 16 KiB",
        &request(14, Op::Read { key: KEY, wanted }),
    );
    let touch = Request { kind: Kind::OneWay, ..request(6, Op::Touch { key: KEY, ttl_ms: 1 }) };
    add("touch_one_way", "TOUCH to 1 ms, no answer wanted", &touch);
    add("ping", "PING", &Request::new(7, SlotId::ZERO, 0, Op::Ping));
    add("stats", "STATS", &Request::new(8, SlotId::ZERO, 0, Op::Stats));
    add("topology", "TOPOLOGY, the asker has epoch 7", &Request::new(9, SlotId::ZERO, 7, Op::Topology));
    let value = vec![b'v'; 6000];
    let part = split(6000, 4096).next().unwrap();
    let mut bytes = Vec::new();
    request(10, Op::Set(set(&value))).encode_head(dialect(), part, &mut bytes);
    bytes.extend_from_slice(&value[part.range()]);
    samples.push(Sample { name: "set_chunk", about: "first of two chunks of a SET of 6000 bytes", bytes });
}

fn sample_of(name: &'static str, about: &'static str, request: &Request<'_>) -> Sample {
    let mut bytes = Vec::new();
    request.encode(dialect(), &mut bytes);
    Sample { name, about, bytes }
}

fn batches(samples: &mut Vec<Sample>) {
    let mut payload = Vec::new();
    let keys = MgetKeys::write(&mut payload, &[KEY, b"\0user:2", b"\x02ksx"]).unwrap();
    samples.push(sample_of("mget", "MGET of three keys", &request(11, Op::Mget(keys))));
    let items = [
        MsetItem {
            key: KEY,
            metadata: b"a/b",
            value: b"one",
            value_crc32c: checksum(b"one"),
            ttl_ms: 5,
            version: 9,
            condition: Condition::Absent,
        },
        MsetItem {
            key: b"\0user:2",
            metadata: b"",
            value: b"",
            value_crc32c: 0,
            ttl_ms: 0,
            version: 0,
            condition: Condition::VersionEquals(Version::from_bits(8)),
        },
    ];
    let items = MsetItems::write(&mut payload, &items).unwrap();
    samples.push(sample_of("mset", "MSET of two items, with conditions", &request(12, Op::Mset(items))));
}

fn responses(samples: &mut Vec<Sample>) {
    let mut add = |name, about, response: &Response<'_>| {
        let mut bytes = Vec::new();
        response.encode(dialect(), &mut bytes);
        samples.push(Sample { name, about, bytes });
    };
    let base = Response { slot: slot(), slot_epoch: 7, core: 3, server_us: 42, ..Response::new(1, Status::Ok) };
    let hit = Response {
        flags: Flags::MAP_HINT,
        version: 0x0102_0304_0506_0708,
        ttl_ms: 59_000,
        value: b"hello",
        value_crc32c: Some(checksum(b"hello")),
        metadata: b"text/plain",
        ..base
    };
    add("ok_value", "OK with a value; the asker's map is older", &hit);
    let value_crc32c = checksum(b"hello, world");
    let part = CarriedPart { total: 12, offset: 0, value_crc32c };
    add("ok_part", "OK with the first five of twelve bytes", &Response { part: Some(part), ..hit });
    let facts = Response { value: b"", value_crc32c: Some(0), part: Some(part), ..hit };
    add("ok_facts", "OK with what is known of a value of twelve bytes", &facts);
    add("not_found", "NOT_FOUND", &Response { status: Status::NotFound, ..base });
    let refused = Response { status: Status::NotApplied, previous_version: Some(5), ..base };
    add("not_applied", "NOT_APPLIED: version 5 is there", &refused);
    let busy = Response { status: Status::Busy, retry_after_us: Some(1500), credits: 0, ..base };
    add("busy", "BUSY, try again after 1.5 ms, no credit", &busy);
    let to = |address: &str| Moved {
        first: SlotId::ZERO,
        last: SlotId::new(5460).unwrap(),
        epoch: 8,
        node: 2,
        address: address.parse().unwrap(),
    };
    let moved = Response { status: Status::Moved, slot_epoch: 8, ..base };
    add("moved_v4", "MOVED: slots 0-5460 to node 2", &Response { moved: Some(to("10.0.0.2:7401")), ..moved });
    add("moved_v6", "MOVED, IPv6", &Response { moved: Some(to("[fd00::2]:7401")), ..moved });
}

fn payloads(samples: &mut Vec<Sample>) {
    let mut add = |name, about, flags, payload: &[u8]| {
        let mut bytes = Vec::new();
        Response { flags, ..Response::new(8, Status::Ok).with_payload(payload) }.encode(dialect(), &mut bytes);
        samples.push(Sample { name, about, bytes });
    };
    let mut payload = Vec::new();
    let answer = BatchAnswer {
        status: Status::Ok,
        replaced: false,
        metadata: b"a/b",
        value: b"one",
        value_crc32c: checksum(b"one"),
        ttl_ms: 4,
        version: 9,
    };
    let miss = BatchAnswer {
        status: Status::NotFound,
        metadata: b"",
        value: b"",
        value_crc32c: 0,
        ttl_ms: 0,
        version: 0,
        ..answer
    };
    let written = BatchAnswer { status: Status::Ok, replaced: true, version: 10, ..miss };
    let answers = BatchAnswers::write(&mut payload, &[answer, miss, written]).unwrap();
    add("batch_answers", "answers to a batch: a hit, a miss, a replaced item", Flags::BATCH, answers.payload());
    let stats = [
        Stat { name: "shardstored_requests_total", kind: StatKind::Counter, value: 12_345 },
        Stat { name: "shardstored_memory_bytes", kind: StatKind::Gauge, value: 1 << 30 },
    ];
    let stats = Stats::write(&mut payload, &stats).unwrap();
    add("stats_answer", "answer to STATS", Flags::NONE, stats.payload());
    payload.clear();
    TopologyText { epoch: 7, text: "cluster = \"golden\"\nepoch = 7\n" }.write(&mut payload);
    add("topology_answer", "answer to TOPOLOGY", Flags::NONE, &payload);
}
