//! Where requests come in and responses go out: bytes ⇄ exchanges.
//!
//! **Not** deciding what is answered: that is for [`crate::services`].

mod bounds;
pub(crate) mod h1;
mod pace;
mod responder;
