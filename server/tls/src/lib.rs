//! TLS for connections of the reactor: who the other end is, and records that nobody between can read or change.
//!
//! **Goals**:
//! - Handshakes and certificates are rustls's; records after the handshake are ours ([`protect`]), without an allocation.
//! - A layer of the connection: what is above it does not know.
//!
//! **Not**:
//! - Reading files: [`store`] makes snapshots of bytes that the control thread has read.
//! - HTTP, keys or frames.
//!
//! **Invariants**: only `handshake::drive`, `handshake::early` and `protect::layer` name the reactor; only `crypto`, `protect::keys` and
//! `store::secret` name the library that computes.
//!
//! **Source**: RFC 8446, RFC 5246, RFC 5288, RFC 7905.

pub mod crypto;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod handshake;
pub mod protect;
pub mod store;
