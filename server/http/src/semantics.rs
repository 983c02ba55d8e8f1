//! What HTTP messages say, whatever version of the protocol carries them.
//!
//! **Not**: how a version writes them; nothing here uses [`crate::h1`].
//! **Source**: RFC 9110, RFC 9111, RFC 9211, RFC 9457, RFC 3986.

pub(crate) mod authority;
pub mod cache_control;
pub mod cache_status;
pub(crate) mod class;
pub mod conditional;
pub mod date;
pub mod entity_tag;
pub mod field;
pub mod forward;
pub(crate) mod framing;
pub(crate) mod known;
pub(crate) mod list;
mod method;
pub mod problem;
pub mod range;
pub mod request;
pub mod response;
mod status;
pub mod target;

pub use method::Method;
pub use status::Status;
pub(crate) use status::with_named_statuses;
