//! Where values come from: this core's shard, another core's, or the node that owns the slot.
//!
//! ```text
//!   ask ──▶ owner core? ──no──▶ mailbox ──▶ its owner core ──▶ (same path there) ──▶ answer by mailbox
//!             │ yes
//!             ├─ embedded:  the shard is the truth
//!             └─ clustered: near copy ──miss──▶ one fill per key ──▶ node       writes go through to the node
//! ```
//!
//! **Not** HTTP: asks and answers are values.
//!
//! **Invariants**: all fills and writes of a key pass through its owner core, one place, in one order; a local copy is
//! updated or gone before a write is acknowledged; no copy outlives its near time or its own expiry.

pub(crate) mod fills;
pub(crate) mod owner;
pub(crate) mod route;
pub(crate) mod writes;
