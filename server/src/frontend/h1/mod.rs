//! HTTP/1: the requests of a connection in, their responses out, in order, one exchange at a time.
//!
//! ```text
//!   bytes ──▶ input ──▶ parse ──▶ answered in this poll: hits, errors         (services)
//!                           └──▶ needs a body, another core or a node: a future  (exchange::carry, body)
//! ```
//!
//! **Not** storage: requests for values go to `store`.
//!
//! **Invariants**: the hit path is one poll: no allocation, lock, await or log; responses leave in the order of requests.

pub(crate) mod body;
pub(crate) mod connection;
pub(crate) mod input;
