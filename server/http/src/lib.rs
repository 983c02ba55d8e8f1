//! HTTP/1.1 without I/O: bytes in, values out.
//!
//! [`semantics`] is what messages say, in whatever version of the protocol they come: methods, statuses, heads as data,
//! and what single fields mean. It is re-exported here. [`h1`] is how HTTP/1 writes it: a request head is parsed in one
//! pass into offsets, a chunked body is decoded into ranges of the bytes that arrived, and responses are encoded into a
//! vector the caller reuses; [`h1::response`] reads responses, for load generators, upstreams and tests.
//!
//! **Not**: I/O, threads, clocks, logging, `unsafe`; routing, or what a path or a status means to the product;
//! leniency (a message two parsers could read in two ways is refused, and its connection closed).
//!
//! **Invariants**: no allocation on the parse or encode path beyond growth of a caller's vector; the result for given
//! bytes does not depend on how they were split on arrival; every loop is bounded by [`MessageLimits`] or by the input.
//!
//! **Source**: RFC 9110 (semantics), RFC 9111 (caching), RFC 9112 (HTTP/1.1), RFC 9211 (`Cache-Status`), RFC 9457
//! (problem details), RFC 3986 (URIs).
#![forbid(unsafe_code)]

#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod h1;
mod limits;
pub mod semantics;

pub use limits::MessageLimits;
pub use semantics::{
    Method, Status, cache_control, cache_status, conditional, date, entity_tag, field, forward, problem, range,
    request, response, target,
};
use semantics::{authority, class, known, list};
