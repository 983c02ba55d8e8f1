//! How HTTP/1.0 and HTTP/1.1 write messages.
//!
//! **Not**: what they mean; see [`crate::semantics`].
//! **Source**: RFC 9112.

pub mod chunked;
pub mod client;
mod encode;
pub mod foreign;
pub mod forward;
pub(crate) mod framing;
pub mod input;
pub(crate) mod line;
pub mod request;
pub mod response;
mod response_start;
pub mod server;

/// What was found at the start of some bytes in which nothing was wrong: a head, or the part of one.
#[derive(Debug)]
pub enum Parsed<H> {
    /// More bytes are needed.
    Partial,
    /// A head, whose `head_bytes` are to be taken off the buffer.
    Complete(H),
}

pub use encode::CONTINUE;
pub use framing::FramingError;
pub use line::FieldError;
pub use response_start::ResponseStart;
