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
//! **Invariants**: no byte of a value is kept or copied on its way to the [`Listener`]; an answer is reported once, with its
//! last byte.

mod http;
mod line;
mod memcached;
mod resp;
mod shard;
mod target;

use std::time::Duration;

use reactor::Connection;

use super::choice::Operation;
use super::values::Values;
pub(crate) use target::{Scheme, Target, relocated};

/// What a request asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) operation: Operation,
    /// The number of the key.
    pub(super) key: u64,
    /// Time to live of what is PUT, in seconds; 0 for none. Others have none.
    pub(super) ttl_s: u32,
}

/// Who hears of answers as they come.
///
/// `at` says which of the connection's requests under way it is, counted from 0 in the order in which they were written. It
/// is 0 wherever answers come in that order.
pub(super) trait Listener {
    /// Whether these bytes of the value, from `offset` on, are right.
    fn body(&mut self, at: usize, status: u16, offset: usize, bytes: &[u8]) -> bool;
    /// An answer has come whole; its request is under way no more. `is_right`: what `body` said, for all of it.
    fn answer(&mut self, at: usize, status: u16, body_bytes: usize, is_right: bool);
}

/// What is wrong with bytes that should be an answer; the server's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error(transparent)]
    Http(#[from] http::Malformed),
    #[error(transparent)]
    Line(#[from] line::Malformed),
    #[error(transparent)]
    Shard(#[from] shard::Malformed),
}

/// What one connection may still send.
#[derive(Clone, Default)]
pub(super) enum Link {
    /// Whatever it likes.
    #[default]
    Free,
    /// As much as the node has granted.
    Shard(shard::Link),
}

/// Writes requests; shared by all connections.
pub(super) enum Requests {
    Http(http::Requests),
    Resp(resp::Requests),
    Memcached(memcached::Requests),
    Shard(Box<shard::Requests>),
}

impl Requests {
    /// Requests to this target.
    pub(super) fn new(target: &Target) -> Self {
        match target.scheme {
            Scheme::Http => Self::Http(http::Requests::new(target)),
            Scheme::Redis => Self::Resp(resp::Requests::new(target)),
            Scheme::Memcached => Self::Memcached(memcached::Requests::new(target)),
            Scheme::Shard => Self::Shard(Box::new(shard::Requests::new(target))),
        }
    }

    /// Learns from the server at `target` what requests to it must say, if its protocol has such a thing.
    ///
    /// # Errors
    /// The operator's: it is not the server that the URL says, or does not answer in `timeout`.
    pub(super) fn learn(&self, address: std::net::SocketAddr, timeout: Duration) -> anyhow::Result<()> {
        match self {
            Self::Shard(requests) => requests.learn(address, timeout),
            Self::Http(_) | Self::Resp(_) | Self::Memcached(_) => Ok(()),
        }
    }

    /// Does what comes before the first request of a connection, within the connection's deadline. `lane` is its number:
    /// connections of different numbers are spread over the server's cores.
    ///
    /// # Errors
    /// The connection failed, or the server refuses to talk.
    pub(super) async fn open(&self, connection: &Connection, lane: usize) -> Result<(Link, Answers), Refused> {
        Ok(match self {
            Self::Http(_) => (Link::Free, Answers::Http(http::Answers::default())),
            Self::Resp(_) => (Link::Free, Answers::Resp(line::Answers::default())),
            Self::Memcached(_) => (Link::Free, Answers::Memcached(line::Answers::default())),
            Self::Shard(requests) => {
                let (link, answers) = requests.open(connection, lane).await?;
                (Link::Shard(link), Answers::Shard(Box::new(answers)))
            }
        })
    }

    /// Appends one request; false, and nothing is appended, when the server has not granted room for it. It has as soon as
    /// an answer has come.
    #[inline]
    pub(super) fn write(&self, buffer: &mut Vec<u8>, link: &Link, ask: Ask, values: &Values) -> bool {
        match (self, link) {
            (Self::Http(requests), _) => requests.write(buffer, ask, values),
            (Self::Resp(requests), _) => requests.write(buffer, ask, values),
            (Self::Memcached(requests), _) => requests.write(buffer, ask, values),
            (Self::Shard(requests), Link::Shard(link)) => return requests.write(buffer, link, ask, values),
            (Self::Shard(_), Link::Free) => unreachable!("a connection to a node was opened with its window"),
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
    Shard(#[from] shard::Malformed),
}

/// Reads answers from one connection.
pub(super) enum Answers {
    Http(http::Answers),
    Resp(line::Answers),
    Memcached(line::Answers),
    Shard(Box<shard::Answers>),
}

impl Answers {
    /// Reads what has come; `listener` hears of every answer that is complete with it.
    ///
    /// # Errors
    /// The server's; the connection is of no use afterwards.
    #[inline]
    pub(super) fn read(&mut self, bytes: &[u8], listener: &mut impl Listener) -> Result<(), Malformed> {
        match self {
            Self::Http(answers) => Ok(answers.read(bytes, listener)?),
            Self::Resp(answers) => Ok(answers.read(bytes, resp::reply, listener)?),
            Self::Memcached(answers) => Ok(answers.read(bytes, memcached::reply, listener)?),
            Self::Shard(answers) => Ok(answers.read(bytes, listener)?),
        }
    }
}

/// A number in decimal digits, as all text protocols write it.
struct Decimal {
    digits: [u8; 20],
    start: usize,
}

impl Decimal {
    #[inline]
    fn of(mut number: u64) -> Self {
        let mut digits = [0; 20];
        let mut start = digits.len();
        loop {
            start -= 1;
            digits[start] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return Self { digits, start };
            }
        }
    }

    #[inline]
    fn as_bytes(&self) -> &[u8] {
        &self.digits[self.start..]
    }
}

/// The key's template: what is before and after its number.
struct KeyTemplate {
    before: Vec<u8>,
    after: Vec<u8>,
    has_number: bool,
}

impl KeyTemplate {
    fn new(target: &Target) -> Self {
        let (before, after) = &target.path;
        Self { before: before.clone().into_bytes(), after: after.clone().into_bytes(), has_number: target.has_key }
    }

    /// The digits that stand for a key; none if all keys are one.
    #[inline]
    fn number(&self, key: u64) -> Decimal {
        if self.has_number { Decimal::of(key) } else { Decimal { digits: [0; 20], start: 20 } }
    }

    /// Length of the key with this number in bytes.
    #[inline]
    fn bytes(&self, number: &Decimal) -> usize {
        self.before.len() + number.as_bytes().len() + self.after.len()
    }

    #[inline]
    fn write(&self, buffer: &mut Vec<u8>, number: &Decimal) {
        buffer.extend_from_slice(&self.before);
        buffer.extend_from_slice(number.as_bytes());
        buffer.extend_from_slice(&self.after);
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

    impl Listener for Heard {
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

    pub(super) const fn ask(operation: Operation, key: u64, ttl_s: u32) -> Ask {
        Ask { operation, key, ttl_s }
    }

    /// Values of 5 bytes.
    pub(super) fn values() -> Values {
        Values::new(&crate::run::scenario::Values { bytes: 5, ..Default::default() })
    }
}
