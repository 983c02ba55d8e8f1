//! Handshakes, of either side: bytes in, bytes out, and at the end the keys of a connection and who the other end is.
//!
//! ```text
//!  drive ──▶ gate          who may do the expensive step in this pass
//!    │
//!    └─▶ server, client ─▶ engine ─▶ rustls, one record at a time
//!            │                └─ records    what has come, and how much of it rustls may see
//!            └─ hello     where a ClientHello is complete, and the name in it
//!  early                   a connection between its client's early data and the end of its handshake
//! ```
//!
//! **Not** for traffic: after Finished rustls sees no record, but in [`blocking`], which is for programs without a reactor.
//!
//! **Invariants**: only `drive` awaits, and only it and `early` name the reactor; every fault has a label, and an alert for the peer, but
//! those of the peer's own alert, of the socket, and of time and bounds once a version is chosen.
//!
//! **Source**: RFC 8446 sections 4 to 6, RFC 5246 section 7, RFC 7627 (the extended master secret), RFC 7301 (ALPN), RFC 6066
//! (server names).

mod early;
mod engine;
mod hello;
mod records;

pub mod blocking;
pub mod client;
pub mod drive;
pub mod fault;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
pub mod gate;
pub mod peer;
pub mod server;

pub use engine::{EarlyData, FinishedHandshake, HandshakeStep, Negotiated};
pub use fault::HandshakeFault;
pub use peer::PeerCertificate;
