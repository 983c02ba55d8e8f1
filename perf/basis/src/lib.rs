//! What the load generator (`coreperf`) and the measurements of the cache by itself (`cacheperf`) share.
//!
//! ```text
//!  inputs    compressed ─ trace, sizes     random
//!  results   judge, baseline               which is more than noise, and what was measured before
//!  outputs   table, plot, files, progress
//!  host      machine
//! ```
//!
//! **Not**: anything that measures, or that is linked into a server.

#![expect(
    clippy::disallowed_methods,
    reason = "tools that measure need the clock and files that data cores must not use"
)]

pub mod baseline;
pub mod compressed;
pub mod files;
pub mod judge;
pub mod machine;
pub mod plot;
pub mod progress;
pub mod random;
pub mod sizes;
pub mod table;
pub mod trace;
