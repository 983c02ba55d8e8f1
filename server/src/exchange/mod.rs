//! One request and its response, whatever protocol carried it.
//!
//! ```text
//!                     in the poll                                            awaited
//!  frontend ──head──▶ begin ──▶ router ──▶ service ──▶ Reply: Done | Lent
//!                                             └──▶ Later(plan) ──▶ carry ──▶ service ⇄ Wire: body in, response out
//! ```
//!
//! **Not** a connection, or a protocol: a frontend implements [`reply::Reply`] and [`wire::Wire`], HTTP/1 for one exchange
//! at a time. **Not** a service's decisions.

pub(crate) mod begin;
pub(crate) mod body;
pub(crate) mod carry;
#[cfg(test)]
pub(crate) mod fakes;
pub(crate) mod outbound;
pub(crate) mod reply;
pub(crate) mod wire;

pub(crate) use begin::{Begun, begin};
pub(crate) use carry::{Exchange, Plan, carry};
pub(crate) use reply::Reply;
pub(crate) use wire::Wire;
