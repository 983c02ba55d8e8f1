//! One request and its response, whatever protocol carried it.
//!
//! ```text
//!                     in the poll                                                   awaited
//!  frontend ──head──▶ services: begin ──▶ router ──▶ service ──▶ Reply: Done | Lent
//!                                                       └──▶ Later(plan) ──▶ carry ──▶ service ⇄ Wire: body in, response out
//! ```
//!
//! **Not** a connection, or a protocol: a frontend implements [`reply::Reply`] and [`wire::Wire`], HTTP/1 for one exchange
//! at a time. **Not** a service, or a choice among services: [`crate::services`] stands above.

pub(crate) mod begun;
pub(crate) mod body;
#[cfg(test)]
pub(crate) mod fakes;
pub(crate) mod memory;
pub(crate) mod origin;
pub(crate) mod outbound;
pub(crate) mod reply;
pub(crate) mod wire;

pub(crate) use begun::Begun;
pub(crate) use reply::Reply;
pub(crate) use wire::Wire;
