//! What the load generator (`coreperf`) and the measurements of the cache by itself (`cacheperf`) share.
//!
//! ```text
//!  inputs    compressed ─ trace, sizes     random
//!  outputs   spread ─ gate ─ table         progress
//!  host      machine
//! ```
//!
//! **Not**: anything that measures, or that is linked into a server.

#![expect(
    clippy::disallowed_methods,
    reason = "tools that measure need the clock and files that data cores must not use"
)]

pub mod compressed;
pub mod gate;
pub mod machine;
pub mod progress;
pub mod random;
pub mod sizes;
pub mod spread;
pub mod table;
pub mod trace;
