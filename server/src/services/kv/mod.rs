//! The key-value API's decisions: which key a path names, what a read answers, what a write asks.
//!
//! **Not** I/O and not storage: heads and values in, answers and asks out.
//!
//! **Source**: docs/specification.md; RFC 9110 sections 9, 13 and 14.

pub(crate) mod hit;
pub(crate) mod keyspace;
pub(crate) mod path;
pub(crate) mod read;
pub(crate) mod remote;
pub(crate) mod value;
pub(crate) mod version_tag;
pub(crate) mod write;
