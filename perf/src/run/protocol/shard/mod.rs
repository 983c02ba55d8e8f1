//! The project's own shard protocol, with shardstore's codec: one node is asked as an edge would ask it.
//!
//! | asked | answer | status |
//! |---|---|---|
//! | GET | OK | 200 |
//! | PUT (SET) | OK without a previous version; with one | 201; 204 |
//! | DELETE | OK | 204 |
//! | GET, DELETE | NOT_FOUND | 404 |
//! | any | NOT_APPLIED | 412 |
//! | any | TOO_LARGE | 413 |
//! | any | MOVED: another node owns the slot | 421 |
//! | any | BUSY, UNAVAILABLE | 503 |
//! | any | every other | 500 |
//!
//! ```text
//!  hello     who is there: once before the run, and first on every connection
//!  caller    what a connection may have under way, and what it has
//!  answers   frames read in any pieces
//! ```
//!
//! Connections are spread over the node's cores by the core that their HELLO asks for; a key of another core travels within
//! the node, as it does for any client that keeps no map. The checksum of a value is made with every PUT and not checked with
//! a GET: a scenario whose answers matter compares the bytes.
//!
//! **Not** followed: MOVED. One node is measured, and a key it does not own is an answer that no scenario expects.
//!
//! **Invariants**: a connection's first frame is a HELLO, and no request is written before the node's has come; never more is
//! under way than the node has granted.
//!
//! **Source**: docs/wire.md.

mod answers;
mod caller;
mod hello;

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;

use reactor::Connection;
use shardstore::key::{KeyHasher, StoredKey};
use shardstore::session::{Handshake, HandshakeError, HelloReadError, SpareBuffers};
use shardstore::version::Condition;
use shardstore::wire::FrameError;
use shardstore::wire::hello::{Hello, HelloFormatError};
use shardstore::wire::request::Set;
use shardstore::wire::{self, Op, Request};

use super::{AnswerListener, Ask, KeyTemplate, LoadTarget, Refused};
use crate::run::choice::Operation;
use crate::run::values::Values;
pub(in crate::run) use answers::ShardResponses;
pub(in crate::run) use caller::SharedCaller;

/// What is wrong with a node's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::run) enum MalformedFrame {
    #[error("a frame is not as the shard protocol has it: {0}")]
    Frame(#[from] FrameError),
    #[error("a HELLO is not as the shard protocol has it: {0}")]
    Hello(#[from] HelloFormatError),
    #[error("the node's HELLO disagrees with what it said before the run; was it restarted with another topology?")]
    OtherNode,
    #[error("a response has the id of no request under way")]
    UnknownId,
    #[error("a chunk of a value does not continue it")]
    Chunk,
    #[error("the node takes all credit back, so that nothing can be asked any more")]
    NoCredit,
}

impl From<HandshakeError> for MalformedFrame {
    fn from(error: HandshakeError) -> Self {
        match error {
            HandshakeError::Read(HelloReadError::Frame(error)) => Self::Frame(error),
            HandshakeError::Read(HelloReadError::Format(error)) => Self::Hello(error),
            HandshakeError::Disagreed(_) => Self::OtherNode,
        }
    }
}

/// What is learned of a node before the first request.
struct NodeFacts {
    cluster: String,
    hasher: KeyHasher,
    cores: u16,
}

/// Writes requests.
pub(in crate::run) struct ShardRequests {
    /// The stored key's parts: the keyspace is written before the user's key.
    key: KeyTemplate,
    facts: OnceLock<NodeFacts>,
}

impl ShardRequests {
    /// Requests to this target.
    pub(super) fn new(target: &LoadTarget, mut key: KeyTemplate) -> Self {
        // The length of a name and the name; of the user's key one byte is needed to say so.
        let mut stored = Vec::new();
        StoredKey::encode(target.keyspace.as_bytes(), b"k", &mut stored).expect("a target's keyspace is checked");
        stored.pop();
        stored.append(&mut key.before);
        key.before = stored;
        Self { key, facts: OnceLock::new() }
    }

    /// Asks the node who it is; see `learn` of the requests.
    pub(super) fn learn(&self, address: SocketAddr, timeout: Duration) -> anyhow::Result<()> {
        let theirs = hello::ask(address, timeout)?;
        self.know(&theirs);
        Ok(())
    }

    /// Takes in what a node has said of itself.
    pub(in crate::run) fn know(&self, theirs: &Hello) {
        // The first to come is kept; what another run of the same plan learns is the same or noticed by `open`.
        let _ = self.facts.set(NodeFacts {
            cluster: theirs.cluster.clone(),
            hasher: KeyHasher::new(theirs.hash_seed),
            cores: theirs.cores,
        });
    }

    /// Exchanges HELLOs; see `open` of the requests.
    pub(super) async fn open(
        &self,
        connection: &Connection,
        lane: usize,
    ) -> Result<(SharedCaller, ShardResponses), Refused> {
        let facts = self.facts.get().expect("a run begins with asking the node who it is");
        let core = (lane % usize::from(facts.cores)) as u16;
        let ours = hello::ours(&facts.cluster, facts.hasher.seed(), core);
        let mut handshake = Handshake::begin(ours, &mut connection.write());
        let mut spares = SpareBuffers::default();
        let terms = loop {
            let data = connection.receive().await?.ok_or(Refused::Closed)?;
            if let Some(terms) = handshake.receive(&data, &mut spares).map_err(MalformedFrame::from)? {
                break terms;
            }
        };
        let caller = SharedCaller::new(&terms);
        let mut answers = ShardResponses::new(caller.clone(), terms.limits);
        // A node may tell of a topology before it is asked anything.
        answers.read(&handshake.into_reader().into_rest(), &mut Nobody)?;
        Ok((caller, answers))
    }

    /// Appends one request if there is credit for it.
    #[inline]
    pub(super) fn write(&self, buffer: &mut Vec<u8>, caller: &SharedCaller, ask: Ask, values: &Values) -> bool {
        let facts = self.facts.get().expect("a connection is opened before it is written to");
        let mut caller = caller.borrow_mut();
        let mut stored = std::mem::take(&mut caller.key);
        stored.clear();
        self.key.write(&mut stored, &self.key.number(ask.key));
        let op = operation(ask, &stored, values);
        let id = caller.begin(&op);
        if let Some(id) = id {
            let request = Request::new(id.0, facts.hasher.hash(&stored).slot(), caller.epoch, op);
            caller.session.write(&request, buffer);
        }
        caller.key = stored;
        id.is_some()
    }
}

#[inline]
fn operation<'a>(ask: Ask, key: &'a [u8], values: &'a Values) -> Op<'a> {
    match ask.operation {
        Operation::Get => Op::Get { key },
        Operation::Delete => Op::Delete { key, version: 0, condition: Condition::Any },
        Operation::Put => {
            let value = values.of(ask.key);
            Op::Set(Set {
                key,
                value,
                metadata: &[],
                value_crc32c: wire::checksum(value),
                ttl_ms: ask.ttl_s.saturating_mul(1000),
                version: 0,
                condition: Condition::Any,
            })
        }
    }
}

/// Nothing was asked, so nothing is answered.
struct Nobody;

impl AnswerListener for Nobody {
    fn body(&mut self, _: usize, _: u16, _: usize, _: &[u8]) -> bool {
        false
    }

    fn answer(&mut self, _: usize, _: u16, _: usize, _: bool) {}
}

#[cfg(test)]
mod tests;
