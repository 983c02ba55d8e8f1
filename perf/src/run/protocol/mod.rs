//! The protocols that the generator speaks: requests written from a template, answers read in whatever pieces they come.
//!
//! ```text
//!               target   the URL, taken apart
//!  http   resp   memcached   shard
//!         └── line ──┘
//! ```
//!
//! All of them tell their answers in the status codes of HTTP, so that a scenario expects the same of every server; each
//! module's table says which. A choice among four by `match` is all that a request pays for there being four.
//!
//! **Not** general clients: what is asked is GET, PUT and DELETE of one key, and the generator has to stay cheaper than the
//! server that it loads.
//!
//! **Invariants**: no byte of a value is kept or copied on its way to the [`AnswerListener`]; an answer is reported once, with its
//! last byte.

mod clients;
mod http;
pub(super) mod key;
mod line;
mod memcached;
mod resp;
mod shard;
mod target;

use std::time::Duration;

use reactor::Connection;

use super::choice::{Operation, ReadKind};
use super::scenario::Scenario;
use super::values::Values;
pub(super) use http::RANGE;
use key::{Decimal, KeyTemplate};
pub(crate) use target::{LoadTarget, Scheme, relocated};

/// What a request asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) operation: Operation,
    /// The number of the key.
    pub(super) key: u64,
    /// Time to live of what is PUT, in seconds; 0 for none. Others have none.
    pub(super) ttl_s: u32,
    /// How a GET asks, where the protocol has more ways than one: HTTP. Key-value servers are asked for whole values.
    pub(super) read: ReadKind,
    /// Which client asks, and what its ids follow from; of HTTP.
    pub(super) client: u16,
    pub(super) ids: u64,
    /// For a conditional GET: the entity tag that the client has.
    pub(super) tag: Tag,
}

impl Ask {
    /// A plain GET.
    pub(super) fn of(key: u64) -> Self {
        let (operation, read) = (Operation::Get, ReadKind::Whole);
        Self { operation, key, ttl_s: 0, read, client: 0, ids: 0, tag: Tag::default() }
    }

    /// A PUT as a key's value has it.
    pub(super) fn put(key: u64, values: &Values) -> Self {
        Self { operation: Operation::Put, ttl_s: values.ttl_s(key), ..Self::of(key) }
    }
}

/// An entity tag as a server has written it, quotes and all; empty where none is known, or it is too long to be kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tag {
    bytes: [u8; Self::BYTES_MAX],
    length: u8,
}

impl Tag {
    const BYTES_MAX: usize = 31;

    /// The tag in a field's value.
    #[inline]
    pub(super) fn new(text: &[u8]) -> Self {
        let mut tag = Self::default();
        if text.len() <= Self::BYTES_MAX {
            tag.bytes[..text.len()].copy_from_slice(text);
            tag.length = text.len() as u8;
        }
        tag
    }

    #[inline]
    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

/// Who hears of answers as they come.
///
/// `at` says which of the connection's requests under way it is, counted from 0 in the order in which they were written. It
/// is 0 wherever answers come in that order.
pub(super) trait AnswerListener {
    /// Whether these bytes of the value, from `offset` on, are right.
    fn body(&mut self, at: usize, status: u16, offset: usize, bytes: &[u8]) -> bool;
    /// An answer has come whole; its request is under way no more. `is_right`: what `body` said, for all of it.
    fn answer(&mut self, at: usize, status: u16, body_bytes: usize, is_right: bool);
    /// Whether the answer that comes next is one to a HEAD: its length is told, but no body follows.
    #[inline]
    fn is_head(&self) -> bool {
        false
    }
    /// The answer that comes next tells an entity tag.
    #[inline]
    fn tag(&mut self, _text: &[u8]) {}
}

/// What is wrong with bytes that should be an answer; the server's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum MalformedResponse {
    #[error(transparent)]
    Http(#[from] http::MalformedHttp),
    #[error(transparent)]
    Line(#[from] line::MalformedLine),
    #[error(transparent)]
    Shard(#[from] shard::MalformedFrame),
}

/// What one connection may still send.
#[derive(Clone, Default)]
pub(super) enum Granted {
    /// Whatever it likes.
    #[default]
    Free,
    /// As much as the node has granted.
    Shard(shard::SharedCaller),
}

/// Writes requests; shared by all connections.
pub(super) enum ProtocolRequests {
    Http(http::HttpRequests),
    Resp(resp::RespRequests),
    Memcached(memcached::MemcachedRequests),
    Shard(Box<shard::ShardRequests>),
}

impl ProtocolRequests {
    /// The requests of a scenario, to its target.
    pub(super) fn new(target: &LoadTarget, scenario: &Scenario) -> Self {
        let key = KeyTemplate::new(target, &scenario.keys);
        match target.scheme {
            Scheme::Http => Self::Http(http::HttpRequests::new(target, key, scenario.clients.count)),
            Scheme::Redis => Self::Resp(resp::RespRequests::new(key)),
            Scheme::Memcached => Self::Memcached(memcached::MemcachedRequests::new(key)),
            Scheme::Shard => Self::Shard(Box::new(shard::ShardRequests::new(target, key))),
        }
    }

    /// Learns from the server at `target` what requests to it must say, if its protocol has such a thing.
    pub(super) fn learn(&self, address: std::net::SocketAddr, timeout: Duration) -> anyhow::Result<()> {
        match self {
            Self::Shard(requests) => requests.learn(address, timeout),
            Self::Http(_) | Self::Resp(_) | Self::Memcached(_) => Ok(()),
        }
    }

    /// Does what comes before the first request of a connection, within the connection's deadline. `lane` is its number:
    /// connections of different numbers are spread over the server's cores.
    pub(super) async fn open(
        &self,
        connection: &Connection,
        lane: usize,
    ) -> Result<(Granted, ProtocolResponses), Refused> {
        Ok(match self {
            Self::Http(_) => (Granted::Free, ProtocolResponses::Http(http::HttpResponses::default())),
            Self::Resp(_) => (Granted::Free, ProtocolResponses::Resp(line::LineResponses::default())),
            Self::Memcached(_) => (Granted::Free, ProtocolResponses::Memcached(line::LineResponses::default())),
            Self::Shard(requests) => {
                let (caller, answers) = requests.open(connection, lane).await?;
                (Granted::Shard(caller), ProtocolResponses::Shard(Box::new(answers)))
            }
        })
    }

    /// Appends one request; false, and nothing is appended, when the server has not granted room for it. It has as soon as
    /// an answer has come.
    #[inline]
    pub(super) fn write(&self, buffer: &mut Vec<u8>, allowance: &Granted, ask: Ask, values: &Values) -> bool {
        match (self, allowance) {
            (Self::Http(requests), _) => requests.write(buffer, &ask, values),
            (Self::Resp(requests), _) => requests.write(buffer, ask, values),
            (Self::Memcached(requests), _) => requests.write(buffer, ask, values),
            (Self::Shard(requests), Granted::Shard(caller)) => return requests.write(buffer, caller, ask, values),
            (Self::Shard(_), Granted::Free) => unreachable!("a connection to a node was opened with its window"),
        }
        true
    }
}

/// Why a connection cannot be asked anything.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("the server closed the connection")]
    Closed,
    #[error(transparent)]
    Connection(#[from] reactor::ConnectionError),
    #[error(transparent)]
    Shard(#[from] shard::MalformedFrame),
}

/// Reads answers from one connection.
pub(super) enum ProtocolResponses {
    Http(http::HttpResponses),
    Resp(line::LineResponses),
    Memcached(line::LineResponses),
    Shard(Box<shard::ShardResponses>),
}

impl ProtocolResponses {
    /// Reads what has come; `listener` hears of every answer that is complete with it.
    #[inline]
    pub(super) fn read(&mut self, bytes: &[u8], listener: &mut impl AnswerListener) -> Result<(), MalformedResponse> {
        match self {
            Self::Http(answers) => Ok(answers.read(bytes, listener)?),
            Self::Resp(answers) => Ok(answers.read(bytes, resp::reply, listener)?),
            Self::Memcached(answers) => Ok(answers.read(bytes, memcached::reply, listener)?),
            Self::Shard(answers) => Ok(answers.read(bytes, listener)?),
        }
    }
}

/// What the tests of all protocols listen with.
#[cfg(test)]
mod heard {
    use super::*;

    /// All that was heard; a value with a `!` in it is wrong.
    #[derive(Default)]
    pub(super) struct Heard {
        pub(super) bodies: Vec<u8>,
        /// Which request, status, length of the value, whether it is right.
        pub(super) answers: Vec<(usize, u16, usize, bool)>,
        next_offset: usize,
    }

    impl AnswerListener for Heard {
        fn body(&mut self, _: usize, _: u16, offset: usize, bytes: &[u8]) -> bool {
            assert!(offset == 0 || offset == self.next_offset, "at {offset}, not {}", self.next_offset);
            self.next_offset = offset + bytes.len();
            self.bodies.extend_from_slice(bytes);
            !bytes.contains(&b'!')
        }

        fn answer(&mut self, at: usize, status: u16, body_bytes: usize, is_right: bool) {
            self.answers.push((at, status, body_bytes, is_right));
        }
    }

    pub(super) fn ask(operation: Operation, key: u64, ttl_s: u32) -> Ask {
        Ask { operation, ttl_s, ..Ask::of(key) }
    }

    /// The template of a target's keys, which are numbered.
    pub(super) fn template(target: &LoadTarget) -> KeyTemplate {
        KeyTemplate::new(target, &crate::run::scenario::Keys::default())
    }

    /// Values of 5 bytes.
    pub(super) fn values() -> Values {
        Values::new(&crate::run::scenario::ValueOptions { bytes: 5, ..Default::default() })
    }
}
