//! HTTP/1.1 without I/O: bytes in, values out.
//!
//! A request head is parsed in one pass into offsets ([`request`]), a chunked body is decoded into ranges of the
//! bytes that arrived ([`chunked`]), and answers are encoded into a vector the caller reuses ([`response`],
//! [`problem`]). What single fields mean is beside that: [`target`], [`conditional`], [`range`], [`cache_control`],
//! [`cache_status`], [`date`]. [`response_head`] reads answers, for load generators, upstreams and tests.
//!
//! **Not**: I/O, threads, clocks, logging, `unsafe`; routing, or what a path or a status means to the product;
//! leniency (a message two parsers could read in two ways is refused, and its connection closed).
//!
//! **Invariants**: no allocation on the parse or encode path beyond growth of a caller's vector; the answer for given
//! bytes does not depend on how they were split on arrival; every loop is bounded by [`Limits`] or by the input.
//!
//! **Source**: RFC 9110 (semantics), RFC 9111 (caching), RFC 9112 (HTTP/1.1), RFC 9211 (`Cache-Status`), RFC 9457
//! (problem details), RFC 3986 (URIs).
#![forbid(unsafe_code)]

pub mod cache_control;
pub mod cache_status;
pub mod chunked;
mod class;
pub mod conditional;
pub mod date;
pub mod field;
mod framing;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod known;
mod limits;
mod list;
mod method;
pub mod problem;
pub mod range;
pub mod request;
pub mod response;
pub mod response_head;
mod status;
pub mod target;

pub use framing::FramingError;
pub use limits::Limits;
pub use method::Method;
pub use status::Status;
