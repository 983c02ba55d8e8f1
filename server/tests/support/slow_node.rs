//! A shard node that takes its time: every GET finds a value, no condition of a write ever holds, and each answer comes a
//! fixed time after its request.
//!
//! **Not** a model of a node: it is for what an edge does while it waits.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use shardstore::key::{HASH_ID_RAPIDHASH_V3, STORED_KEY_BYTES_MAX};
use shardstore::placement::Topology;
use shardstore::wire::batch::BATCH_ENTRIES_MAX;
use shardstore::wire::frame::{self, Decoded};
use shardstore::wire::hello::{Hello, Role, WANTED_CORE_ANY};
use shardstore::wire::terms::{SessionTerms, negotiate};
use shardstore::wire::{Op, Request, Response, Status, checksum, cluster_tag};

use super::client::{Socket, uninterrupted};

#[expect(clippy::disallowed_types, reason = "a node of its own, without the reactor")]
type Listener = std::net::TcpListener;

/// Starts the node; the text of its topology file. It ends with the test.
#[expect(clippy::disallowed_methods, reason = "a node of its own, without the reactor")]
pub(crate) fn start(address: SocketAddr, pause: Duration) -> String {
    let text = format!("cluster = \"test\"\nepoch = 1\n[[node]]\nid = 1\naddress = \"{address}\"\n");
    let topology = Topology::parse(&text).unwrap();
    let listener = Listener::bind(address).unwrap();
    std::thread::spawn(move || {
        while let Ok((socket, _)) = listener.accept() {
            // An edge that has gone away is not the test's concern.
            let _ = serve(socket, &hello(&topology), pause);
        }
    });
    text
}

fn hello(topology: &Topology) -> Hello {
    Hello {
        version_min: 1,
        version_max: 1,
        role: Role::Node,
        hash_id: HASH_ID_RAPIDHASH_V3,
        hash_seed: topology.hash_seed(),
        cores: 1,
        wanted_core: WANTED_CORE_ANY,
        features: 0,
        node_id: 1,
        topology_epoch: topology.epoch(),
        incarnation: 1,
        frame_value_bytes_max: 1 << 20,
        value_bytes_max: 1 << 20,
        credit_requests: 256,
        credit_bytes: 4 << 20,
        batch_entries_max: BATCH_ENTRIES_MAX,
        key_bytes_max: STORED_KEY_BYTES_MAX as u16,
        cluster: topology.cluster().to_owned(),
        extension: None,
    }
}

fn serve(mut socket: Socket, ours: &Hello, pause: Duration) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    let mut out = Vec::new();
    let session = loop {
        let limits = Hello::limits(cluster_tag(&ours.cluster));
        if let Decoded::Frame(frame) = frame::decode(&bytes, &limits).unwrap() {
            let session = negotiate(ours, &Hello::parse(&frame).unwrap()).unwrap();
            bytes.drain(..frame.wire_bytes());
            break session;
        }
        receive(&mut socket, &mut bytes)?;
    };
    ours.encode(&mut out);
    socket.write_all(&out)?;
    // What more comes meanwhile is served later: this node does one thing after the other.
    loop {
        match frame::decode(&bytes, &session.limits).unwrap() {
            Decoded::Partial { .. } => {
                socket.set_read_timeout(None)?;
                receive(&mut socket, &mut bytes)?;
            }
            Decoded::Frame(frame) => {
                out.clear();
                answer(&Request::parse(&frame).unwrap(), &session, &mut out);
                let length = frame.wire_bytes();
                bytes.drain(..length);
                wait(&mut socket, &mut bytes, pause)?;
                socket.write_all(&out)?;
            }
        }
    }
}

fn answer(request: &Request<'_>, session: &SessionTerms, out: &mut Vec<u8>) {
    const VALUE: &[u8] = b"value";
    let mut response = Response::new(request.id, Status::Ok);
    (response.slot, response.slot_epoch) = (request.slot, request.slot_epoch);
    match request.op {
        Op::Get { .. } => {
            response.version = 7;
            response.value_crc32c = Some(checksum(VALUE));
            response.value = VALUE;
        }
        _ => response.status = Status::NotApplied,
    }
    response.encode(session.dialect(), out);
}

/// Lets time go by: a read that nothing comes to.
fn wait(socket: &mut Socket, bytes: &mut Vec<u8>, pause: Duration) -> std::io::Result<()> {
    socket.set_read_timeout(Some(pause))?;
    match receive(socket, bytes) {
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(()),
        outcome => outcome,
    }
}

fn receive(socket: &mut Socket, bytes: &mut Vec<u8>) -> std::io::Result<()> {
    let mut chunk = [0; 4096];
    match uninterrupted(|| socket.read(&mut chunk))? {
        0 => Err(ErrorKind::UnexpectedEof.into()),
        count => {
            bytes.extend_from_slice(&chunk[..count]);
            Ok(())
        }
    }
}
