//! What requests are served by.
//!
//! **Not** aware of connections, nor of one another.

pub(crate) mod kv;
pub(crate) mod router;
