//! One request and its response, whatever the protocol that carried it.
//!
//! **Not** a connection, and **not** a service's decisions.

pub(crate) mod carry;
pub(crate) mod outbound;
pub(crate) mod reply;
