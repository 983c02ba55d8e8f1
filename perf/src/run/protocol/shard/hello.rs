//! Who a node is: what it says when a connection begins.
//!
//! A client has to name the cluster and the seed of its hash. An operator who measures a node need not: a node answers a HELLO
//! that disagrees with its own HELLO before it closes (docs/wire.md, "What the node does"). That says the cluster, and to those who
//! name the cluster it says the seed: so it is asked twice.
//!
//! **Invariants**: every wait has a deadline.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use shardstore::key::{HASH_ID_RAPIDHASH_V3, STORED_KEY_BYTES_MAX};
use shardstore::session::{FrameReader, SpareBuffers};
use shardstore::wire::hello::{self, Hello, Role, WANTED_CORE_ANY};
use shardstore::wire::{self, batch};

use crate::system::clock::now;

/// What the generator calls its cluster as long as it does not know the node's.
const ANY_CLUSTER: &str = "coreperf";

/// What the generator says of itself.
pub(super) fn ours(cluster: &str, hash_seed: u64, wanted_core: u16) -> Hello {
    Hello {
        version_min: wire::VERSION_MIN,
        version_max: wire::VERSION_MAX,
        role: Role::Tool,
        hash_id: HASH_ID_RAPIDHASH_V3,
        hash_seed,
        cores: 1,
        wanted_core,
        features: 0,
        node_id: 0,
        topology_epoch: 0,
        incarnation: u64::from(std::process::id()),
        frame_value_bytes_max: hello::FRAME_VALUE_BYTES_DEFAULT,
        value_bytes_max: wire::VALUE_BYTES_MAX,
        credit_requests: hello::CREDIT_REQUESTS_DEFAULT,
        credit_bytes: hello::CREDIT_BYTES_DEFAULT,
        batch_entries_max: batch::BATCH_ENTRIES_MAX,
        key_bytes_max: STORED_KEY_BYTES_MAX as u16,
        cluster: cluster.to_owned(),
        extension: None,
    }
}

/// Asks the node at `address` who it is.
pub(super) fn ask(address: SocketAddr, timeout: Duration) -> Result<Hello> {
    let named = ask_as(ANY_CLUSTER, address, timeout)?;
    ask_as(&named.cluster, address, timeout)
}

/// Asks it as one of this cluster.
fn ask_as(cluster: &str, address: SocketAddr, timeout: Duration) -> Result<Hello> {
    let remedy =
        || format!("{address} does not say HELLO as a node does; shard:// is for the address of a shardstored");
    let deadline = now() + timeout;
    let mut stream = TcpStream::connect_timeout(&address, timeout).with_context(remedy)?;
    stream
        .set_write_timeout(Some(timeout))
        .and_then(|()| stream.set_read_timeout(Some(timeout)))
        .with_context(remedy)?;
    let mut bytes = Vec::new();
    ours(cluster, 0, WANTED_CORE_ANY).encode(&mut bytes);
    stream.write_all(&bytes).with_context(remedy)?;
    let (mut reader, mut spares, mut piece) = (FrameReader::default(), SpareBuffers::default(), [0; 1024]);
    loop {
        let count = match stream.read(&mut piece) {
            // A read with a timeout is not restarted by the kernel after a signal (signal(7)).
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            count => count.with_context(remedy)?,
        };
        match reader.read_hello(&piece[..count], &mut spares).with_context(remedy)? {
            Some(theirs) if theirs.role == Role::Node => return Ok(theirs),
            Some(_) => bail!("{} (it calls itself no node)", remedy()),
            None if count == 0 || now() > deadline => bail!("{} (it closed, or took too long)", remedy()),
            None => {}
        }
    }
}
