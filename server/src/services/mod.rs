//! What requests are served by.
//!
//! **Not** aware of connections or of the protocol that carried a request; a service does not see another's state.

pub(crate) mod challenge;
mod dispatch;
mod early;
pub(crate) mod gateway;
pub(crate) mod kv;
mod router;
mod status;
#[cfg(test)]
mod tests;

pub(crate) use dispatch::{Exchange, Plan, Services, begin, carry, key_of, look_ahead, pays_look_ahead, prefetch};
pub(crate) use early::is_too_early;
