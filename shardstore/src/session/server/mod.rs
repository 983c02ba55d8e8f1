//! The side of a connection that answers: a node's.
//!
//! ```text
//!  frame ─▶ RequestAssembler ─▶ whole request ─▶ RequestContext ─▶ (served by the node) ─▶ response
//!                                                 PeerCredit: what the peer has in flight, what its next answer grants
//!                                                 ValueStream: a large value, frame by frame
//! ```
//!
//! **Not**: what requests do, which core serves them, when a stream goes on.
//!
//! **Source**: docs/wire.md, "Responses", "Large values", "Flow control".

mod assembler;
mod context;
mod peer_credit;
mod value_stream;

pub use assembler::{Accepted, RequestAssembler};
pub use context::RequestContext;
pub use peer_credit::PeerCredit;
pub use value_stream::{StreamBody, ValueStream};
