//! A peer of the shard protocol on a plain socket.
//!
//! **Not** the product's own client, which would share its mistakes; only the encoding is.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use shardstore::key::{HASH_ID_RAPIDHASH_V3, KeyHasher, STORED_KEY_BYTES_MAX};
use shardstore::placement::Topology;
use shardstore::version::Condition;
use shardstore::wire::frame::{self, Decoded, Limits};
use shardstore::wire::hello::{Hello, HelloExtension, Role};
use shardstore::wire::reassembly::{Progress, Reassembler, split};
use shardstore::wire::request::{Dialect, Set};
use shardstore::wire::terms::{SessionTerms, negotiate};
use shardstore::wire::{Op, Request, Response, Status};

use super::node::{PATIENCE, topology};

/// A blocking client.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    pub(crate) buffer: Vec<u8>,
    pub(crate) session: SessionTerms,
    pub(crate) hasher: KeyHasher,
    pub(crate) reassembler: Reassembler,
    pub(crate) ids: u64,
    /// By when requests are wanted: on the node's clock if the HELLOs gave clocks.
    pub(crate) deadline_us: u32,
}

impl Client {
    pub(crate) fn connect(listen: SocketAddr, wanted_core: u16) -> Client {
        Client::greet(listen, wanted_core, |_| None)
    }

    /// Connects as an edge does that states deadlines on the node's clock.
    pub(crate) fn connect_with_clock(listen: SocketAddr) -> Client {
        let extension = |topology: &Topology| HelloExtension {
            clock_us: 0,
            map: Arc::clone(topology.digest()),
            owners: None,
            wanted_node: 1,
        };
        Client::greet(listen, 0, |topology| Some(extension(topology)))
    }

    fn greet(listen: SocketAddr, wanted_core: u16, extend: impl FnOnce(&Topology) -> Option<HelloExtension>) -> Client {
        let topology = Topology::parse(&topology(listen)).unwrap();
        let ours = Hello {
            version_min: 1,
            version_max: 1,
            role: Role::Tool,
            hash_id: HASH_ID_RAPIDHASH_V3,
            hash_seed: topology.hash_seed(),
            cores: 1,
            wanted_core,
            features: 0,
            node_id: 0,
            topology_epoch: 1,
            incarnation: 1,
            frame_value_bytes_max: 1 << 20,
            value_bytes_max: 64 << 20,
            credit_requests: 256,
            credit_bytes: 4 << 20,
            batch_entries_max: 1024,
            key_bytes_max: STORED_KEY_BYTES_MAX as u16,
            cluster: "test".to_owned(),
            extension: extend(&topology),
        };
        let mut stream = TcpStream::connect(listen).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut bytes = Vec::new();
        ours.encode(&mut bytes);
        stream.write_all(&bytes).unwrap();
        let limits = Hello::limits(shardstore::wire::cluster_tag("test"));
        let mut buffer = Vec::new();
        let theirs = next(&mut stream, &mut buffer, &limits, |frame| Hello::parse(frame).unwrap()).unwrap();
        Client {
            stream,
            buffer,
            session: negotiate(&ours, &theirs).unwrap(),
            hasher: KeyHasher::new(topology.hash_seed()),
            reassembler: Reassembler::new(64 << 20, 8, 256 << 20),
            ids: 0,
            deadline_us: 0,
        }
    }

    pub(crate) fn send(&mut self, op: Op<'_>) {
        self.ids += 1;
        let slot = if op.key().is_empty() { shardstore::key::SlotId::ZERO } else { self.hasher.hash(op.key()).slot() };
        let mut request = Request::new(self.ids, slot, 1, op);
        request.deadline_us = self.deadline_us;
        let dialect: Dialect = self.session.dialect();
        let mut bytes = Vec::new();
        for part in split(op.value().len() as u32, self.session.limits.frame_value_bytes_max) {
            request.encode_head(dialect, part, &mut bytes);
            bytes.extend_from_slice(&op.value()[part.range()]);
        }
        self.stream.write_all(&bytes).unwrap();
    }

    /// The next answer: its status and value; `None` at the end of the connection.
    pub(crate) fn answer(&mut self) -> Option<(Status, Vec<u8>)> {
        loop {
            let limits = self.session.limits;
            let reassembler = &mut self.reassembler;
            let answer = next(&mut self.stream, &mut self.buffer, &limits, |frame| {
                let owned = |response: Response<'_>| Some((response.status, response.value.to_vec()));
                match Reassembler::chunk_of(frame).unwrap() {
                    None => owned(Response::parse(frame).unwrap()),
                    Some(chunk) => match reassembler.accept(frame, chunk).unwrap() {
                        Progress::Whole(whole) => owned(Response::parse(&whole.frame()).unwrap()),
                        _ => None,
                    },
                }
            })?;
            if answer.is_some() {
                return answer;
            }
        }
    }

    pub(crate) fn call(&mut self, op: Op<'_>) -> (Status, Vec<u8>) {
        self.send(op);
        self.answer().expect("a request is answered")
    }
}

/// Reads one frame and gives it to `read`; `None` at the end of the stream.
pub(crate) fn next<T>(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    limits: &Limits,
    read: impl FnOnce(&shardstore::wire::Frame<'_>) -> T,
) -> Option<T> {
    loop {
        if let Decoded::Frame(frame) = frame::decode(buffer, limits).unwrap() {
            let bytes = frame.wire_bytes();
            let value = read(&frame);
            buffer.drain(..bytes);
            return Some(value);
        }
        let mut piece = vec![0; 1 << 16];
        match stream.read(&mut piece) {
            Ok(count @ 1..) => buffer.extend_from_slice(&piece[..count]),
            // Neither an answer nor an end: a read with a timeout is not restarted by the kernel (signal(7)).
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => return None,
        }
    }
}

pub(crate) fn set<'a>(key: &'a [u8], value: &'a [u8]) -> Op<'a> {
    let value_crc32c = shardstore::wire::checksum(value);
    Op::Set(Set { key, value, metadata: b"", value_crc32c, ttl_ms: 0, version: 0, condition: Condition::Any })
}
