//! An ACME directory of our own for tests, that can be told what goes wrong and looks at the challenges as authorities do.
//!
//! **Not** the product's own code: it shares none with the client, and no binary has it.
//!
//! **Source**: RFC 8555, RFC 8737, RFC 9773.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a test that cannot set up has failed, and the other side of the protocol is plain sockets and threads"
)]

mod directory;
mod jws;
mod look;

pub use directory::{AcmeStep, Book, DomainAddresses, ScriptedDirectory, Trouble};
pub use look::{ACME_TLS, SOCKET_TIME, fetch, first_of, identifier, provider, said_after_proof, trusted};
