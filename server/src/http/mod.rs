//! Downstream connections: requests in, answers out, in order.
//!
//! ```text
//!   bytes ──▶ input ──▶ known head? answered in this poll                         (repeat)
//!               └─────▶ parse ──▶ answered in this poll: hits, errors            (hit, simple)
//!                           └──▶ needs a body, another core or a node: a future  (slow, body)
//! ```
//!
//! **Not** storage: asks go to `store`.
//!
//! **Invariants**: the hit path is one poll: no allocation, lock, await or log; answers leave in the order of requests.

mod answer;
mod body;
pub(crate) mod body_memory;
pub(crate) mod copies;
mod hit;
mod input;
mod other;
pub(crate) mod repeat;
pub(crate) mod session;
mod simple;
mod slow;
pub(crate) mod value;
