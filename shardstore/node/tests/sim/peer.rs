//! A plain client of the shard protocol, for scripts.

use std::time::Duration;

use reactor::{Address, Connection, ConnectionError, Reactor};
use shardstore::key::{HASH_ID_RAPIDHASH_V3, KeyHasher, STORED_KEY_BYTES_MAX, SlotId, StoredKey};
use shardstore::placement::Topology;
use shardstore::version::Condition;
use shardstore::wire::batch::BATCH_ENTRIES_MAX;
use shardstore::wire::ext::{CarriedPart, Moved};
use shardstore::wire::frame::{self, Decoded, Limits};
use shardstore::wire::hello::{FEATURE_READ, Hello, Role, WANTED_CORE_ANY};
use shardstore::wire::reassembly::{Progress, Reassembler, split};
use shardstore::wire::request::Set;
use shardstore::wire::terms::{HelloError, SessionTerms, negotiate};
use shardstore::wire::{Flags, Op, Request, Response, Status, cluster_tag};

use crate::rig::{ALONE, node_address};

/// An answer that owns its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) id: u64,
    pub(crate) status: Status,
    pub(crate) flags: Flags,
    pub(crate) core: u8,
    pub(crate) slot_epoch: u32,
    pub(crate) credits: u16,
    pub(crate) version: u64,
    pub(crate) ttl_ms: u32,
    pub(crate) value_crc32c: Option<u32>,
    pub(crate) previous_version: Option<u64>,
    pub(crate) retry_after_us: Option<u32>,
    pub(crate) moved: Option<Moved>,
    pub(crate) part: Option<CarriedPart>,
    pub(crate) metadata: Vec<u8>,
    pub(crate) value: Vec<u8>,
}

pub(crate) struct Peer {
    pub(crate) connection: Connection,
    pub(crate) session: SessionTerms,
    pub(crate) hasher: KeyHasher,
    /// Epoch that requests carry.
    pub(crate) epoch: u32,
    pub(crate) ids: u64,
    /// Budget that requests carry.
    pub(crate) deadline_us: u32,
    buffer: Vec<u8>,
    reassembler: Reassembler,
}

/// The HELLO of an edge of the test's cluster.
pub(crate) fn hello(wanted_core: u16) -> Hello {
    let topology = Topology::parse(ALONE).unwrap();
    Hello {
        version_min: 1,
        version_max: 1,
        role: Role::Edge,
        hash_id: HASH_ID_RAPIDHASH_V3,
        hash_seed: topology.hash_seed(),
        cores: 1,
        wanted_core,
        features: FEATURE_READ,
        node_id: 0,
        topology_epoch: topology.epoch(),
        incarnation: 1,
        frame_value_bytes_max: 1 << 20,
        value_bytes_max: 64 << 20,
        credit_requests: 256,
        credit_bytes: 4 << 20,
        batch_entries_max: BATCH_ENTRIES_MAX,
        key_bytes_max: STORED_KEY_BYTES_MAX as u16,
        cluster: topology.cluster().to_owned(),
        extension: None,
    }
}

pub(crate) async fn dial(reactor: &Reactor, address: &Address) -> Connection {
    let deadline = reactor.now() + Duration::from_secs(10);
    let connection = reactor.connect(address, deadline).await.unwrap();
    connection.set_deadline(reactor.now() + Duration::from_secs(60));
    connection
}

/// Reads the node's HELLO; `None` when the node closed without one.
pub(crate) async fn read_hello(connection: &Connection, buffer: &mut Vec<u8>) -> Option<Hello> {
    loop {
        let limits = Hello::limits(cluster_tag("test"));
        let decoded = frame::decode(buffer, &limits).unwrap();
        if let Decoded::Frame(frame) = decoded {
            let hello = Hello::parse(&frame).unwrap();
            let bytes = frame.wire_bytes();
            buffer.drain(..bytes);
            return Some(hello);
        }
        buffer.extend_from_slice(&connection.receive().await.ok()??);
    }
}

impl Peer {
    pub(crate) async fn connect(reactor: &Reactor, wanted_core: u16) -> Peer {
        Self::greet(reactor, &hello(wanted_core)).await.unwrap()
    }

    pub(crate) async fn any(reactor: &Reactor) -> Peer {
        Self::connect(reactor, WANTED_CORE_ANY).await
    }

    /// Connects with this HELLO.
    /// What the node answers to a HELLO.
    pub(crate) async fn heard(reactor: &Reactor, ours: &Hello) -> Hello {
        let connection = dial(reactor, &node_address()).await;
        ours.encode(&mut connection.write());
        read_hello(&connection, &mut Vec::new()).await.expect("a node says HELLO to whoever does")
    }

    pub(crate) async fn greet(reactor: &Reactor, ours: &Hello) -> Result<Peer, HelloError> {
        let connection = dial(reactor, &node_address()).await;
        ours.encode(&mut connection.write());
        let mut buffer = Vec::new();
        let theirs = read_hello(&connection, &mut buffer).await.expect("a node says HELLO to whoever does");
        let session = negotiate(ours, &theirs)?;
        Ok(Peer {
            connection,
            hasher: KeyHasher::new(ours.hash_seed),
            epoch: theirs.topology_epoch,
            ids: 0,
            deadline_us: 0,
            buffer,
            reassembler: Reassembler::new(session.value_bytes_max, 64, 256 << 20),
            session,
        })
    }

    pub(crate) fn slot(&self, op: &Op<'_>) -> SlotId {
        let first = match op {
            Op::Mget(keys) => keys.iter().next(),
            Op::Mset(items) => items.iter().next().map(|item| item.key),
            _ => None,
        };
        let key = first.unwrap_or(op.key());
        if key.is_empty() { SlotId::ZERO } else { self.hasher.hash(key).slot() }
    }

    /// Sends a request; returns its id.
    pub(crate) fn send(&mut self, op: Op<'_>) -> u64 {
        self.send_with(op, |_| {})
    }

    pub(crate) fn send_with(&mut self, op: Op<'_>, change: impl FnOnce(&mut Request<'_>)) -> u64 {
        self.ids += 1;
        let mut request = Request::new(self.ids, self.slot(&op), self.epoch, op);
        request.deadline_us = self.deadline_us;
        change(&mut request);
        let value = op.value();
        let frame_max = self.session.limits.frame_value_bytes_max;
        for part in split(value.len() as u32, frame_max) {
            let mut out = self.connection.write();
            request.encode_head(self.session.dialect(), part, &mut out);
            out.extend_from_slice(&value[part.range()]);
        }
        self.ids
    }

    /// The next answer, whichever request it is to; `None` when the node has ended the connection.
    pub(crate) async fn answer(&mut self) -> Result<Option<Answer>, ConnectionError> {
        loop {
            if let Some(answer) = self.take() {
                return Ok(Some(answer));
            }
            match self.connection.receive().await? {
                Some(data) => self.buffer.extend_from_slice(&data),
                None => return Ok(None),
            }
        }
    }

    pub(crate) async fn call(&mut self, op: Op<'_>) -> Answer {
        let id = self.send(op);
        let answer = self.answer().await.unwrap().expect("a request is answered");
        assert_eq!(answer.id, id);
        answer
    }

    fn take(&mut self) -> Option<Answer> {
        loop {
            let limits: Limits = self.session.limits;
            let Decoded::Frame(frame) = frame::decode(&self.buffer, &limits).expect("a node sends sound frames") else {
                return None;
            };
            let bytes = frame.wire_bytes();
            let answer = match Reassembler::chunk_of(&frame).unwrap() {
                None => Some(owned(&Response::parse(&frame).unwrap())),
                Some(chunk) => match self.reassembler.accept(&frame, chunk).unwrap() {
                    Progress::Whole(whole) => Some(owned(&Response::parse(&whole.frame()).unwrap())),
                    _ => None,
                },
            };
            self.buffer.drain(..bytes);
            if answer.is_some() {
                return answer;
            }
        }
    }

    pub(crate) async fn set(&mut self, key: &[u8], value: &[u8]) -> Answer {
        self.call(set(key, value)).await
    }

    pub(crate) async fn get(&mut self, key: &[u8]) -> Answer {
        self.call(Op::Get { key }).await
    }

    /// A number of the node by its name.
    pub(crate) async fn stat(&mut self, name: &str) -> u64 {
        let answer = self.call(Op::Stats).await;
        let stats = shardstore::wire::stats::Stats::parse(&answer.value).unwrap();
        let found = stats.iter().find(|stat| stat.name == name);
        found.unwrap_or_else(|| panic!("no {name}")).value
    }

    /// A counter of the node by what it is called after `corelane_`.
    pub(crate) async fn counted(&mut self, what: &str) -> u64 {
        self.stat(&format!("corelane_{what}_total")).await
    }

    /// The core that holds a key.
    pub(crate) fn core_of(&self, key: &[u8]) -> u16 {
        self.hasher.hash(key).shard(self.session.peer_cores).0
    }
}

fn owned(response: &Response<'_>) -> Answer {
    let answer = Answer {
        id: response.id,
        status: response.status,
        flags: response.flags,
        core: response.core,
        slot_epoch: response.slot_epoch,
        credits: response.credits,
        version: response.version,
        ttl_ms: response.ttl_ms,
        value_crc32c: response.value_crc32c,
        previous_version: response.previous_version,
        retry_after_us: response.retry_after_us,
        moved: response.moved,
        part: response.part,
        metadata: response.metadata.to_vec(),
        value: response.value.to_vec(),
    };
    if let Some(crc) = answer.value_crc32c {
        assert_eq!(crc, shardstore::wire::checksum(&answer.value), "what comes back is what was sent");
    }
    answer
}

/// A stored key in the default keyspace.
pub(crate) fn key(name: impl AsRef<[u8]>) -> Vec<u8> {
    let mut stored = Vec::new();
    StoredKey::encode(b"default", name.as_ref(), &mut stored).unwrap();
    stored
}

pub(crate) fn set<'a>(key: &'a [u8], value: &'a [u8]) -> Op<'a> {
    Op::Set(Set {
        key,
        value,
        metadata: b"",
        value_crc32c: shardstore::wire::checksum(value),
        ttl_ms: 0,
        version: 0,
        condition: Condition::Any,
    })
}
