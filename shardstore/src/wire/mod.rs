//! The shard protocol: how an edge and a node speak, as bytes in and values out.
//!
//! ```text
//!  request / response          typed views: what a node and an edge work with
//!  batch  stats  topology      payloads of single operations
//!  hello  terms                what is agreed before anything else
//!  reassembly  credits         state machines: values larger than a frame, flow control
//!  frame  ext                  header + ext | key | value, checked as a whole
//!  header  code  flags         64 bytes, field by field
//! ```
//!
//! **Not**: sockets, buffers of connections, time, retries.
//!
//! **Invariants**: every length is checked against a limit before anything is read or allocated by it; a frame whose
//! header, ext or key has a wrong bit is never handed out; input never panics.
//!
//! **Source**: docs/wire.md.

pub mod batch;
pub mod code;
pub mod credits;
mod cursor;
mod error;
pub mod ext;
pub mod flags;
pub mod frame;
pub mod header;
pub mod hello;
pub mod map_digest;
pub mod reassembly;
pub mod request;
pub mod response;
pub mod stats;
pub mod terms;
pub mod topology;

pub use code::{Kind, Opcode, Status};
pub use error::FrameError;
pub use flags::{Flags, Priority, SchedulingClass};
pub use frame::{Decoded, Frame, Limits};
pub use header::{HEADER_BYTES, Header};
pub use request::{Op, Request};
pub use response::Response;

/// First major version of the protocol.
pub const VERSION_MIN: u8 = 1;

/// Newest major version this code speaks; a release speaks two neighbouring ones once there are two.
pub const VERSION_MAX: u8 = 1;

/// Largest value of an item in bytes, whatever is negotiated: the engine's own bound.
pub const VALUE_BYTES_MAX: u32 = 64 << 20;

/// Longest metadata of a value in bytes: what one TLV carries.
pub const METADATA_BYTES_MAX: usize = 255;

/// The CRC-32C that protects heads and values.
#[inline]
#[must_use]
pub fn checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

/// The checksum of what `before` covers followed by `bytes`.
#[inline]
#[must_use]
pub fn checksum_append(before: u32, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(before, bytes)
}

/// The 32-bit tag of a cluster's name that every frame carries, so that two clusters cannot talk by mistake.
#[must_use]
pub fn cluster_tag(name: &str) -> u32 {
    checksum(name.as_bytes())
}
