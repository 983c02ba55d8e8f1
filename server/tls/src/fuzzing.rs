//! What the fuzz targets check, kept here so that the targets are one line each and tests run the same checks.
//!
//! **Not** part of the interface; compiled only for fuzzing and tests.
//!
//! **Invariants**: every function accepts any bytes, and panics only if a promise of this crate is broken.

pub use crate::handshake::fuzzing::tls_accept;
pub use crate::protect::fuzzing::tls_open;
