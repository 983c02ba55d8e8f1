//! How HTTP/1.0 and HTTP/1.1 write messages.
//!
//! **Not**: what they mean; see [`crate::semantics`].
//! **Source**: RFC 9112.

pub mod chunked;
pub mod client;
mod encode;
pub(crate) mod framing;
pub mod input;
pub(crate) mod line;
pub mod request;
pub mod response;
mod response_start;
pub mod server;

pub use encode::CONTINUE;
pub use framing::FramingError;
pub use line::FieldError;
pub use response_start::ResponseStart;
