//! Where requests come in and responses go out: bytes ⇄ exchanges.
//!
//! **Not** HTTP semantics: what is answered is decided by [`crate::services`].

pub(crate) mod h1;
