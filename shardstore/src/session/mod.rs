//! Connection engines of the shard protocol: everything a connection does but input, output and waiting.
//!
//! ```text
//!  caller (edge, load generator)                     server (node)
//!   Handshake      HELLO out, HELLO in, terms          FrameReader::read_hello, negotiate
//!   CallerSession  ids, credit, requests in flight     PeerCredit, RequestAssembler
//!   AnswerReader   frames to whole answers             RequestContext, ValueStream
//!        └──────────────── FrameReader: whole frames out of received pieces ───────────────┘
//! ```
//!
//! **Not**: sockets, tasks, clocks, retries, budgets of a process; and not the bytes of a frame, which are [`crate::wire`]'s.
//!
//! **Invariants**: nothing here waits; memory grows with what has arrived, never with what was announced; credit that was
//! spent comes back exactly once, or ends with its connection.
//!
//! **Source**: docs/wire.md.

mod answers;
mod caller;
mod credit_pool;
mod frame_reader;
pub mod server;
#[cfg(test)]
mod testing;

pub use answers::{AnswerReader, Handshake, HandshakeError, Incoming, ReceivedAnswer};
pub use caller::{CallerSession, CorrelationId, NeverWaits, wire_bytes};
pub use credit_pool::{Claim, CreditGrant, CreditPool, CreditWaker, WaiterId};
pub use frame_reader::{FrameReader, HelloReadError, SpareBuffers};
