//! Records after the handshake, opened and sealed in place.
//!
//! ```text
//!  fault · header ─▶ keys ─▶ v12 · messages · partial · side ─▶ open · seal ─▶ layer
//! ```
//!
//! **Not** handshakes: rustls makes the keys, also the next ones of a connection, and keeps tickets.
//!
//! **Invariants**: only `layer` names the reactor; only `keys` names the library that computes.
//!
//! **Source**: RFC 8446 section 5, RFC 5246 section 6.2, RFC 5288, RFC 7905.

mod fault;
#[cfg(any(test, fuzzing))]
mod forger;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod header;
mod keys;
mod layer;
mod messages;
mod open;
mod partial;
#[cfg(any(test, fuzzing))]
pub(crate) mod rig;
mod seal;
mod side;
#[cfg(test)]
mod tests;
mod v12;

pub use fault::{RecordFault, TlsAlert};
pub use layer::{RecordLayer, UnknownRecords};
pub use side::KernelSide;
