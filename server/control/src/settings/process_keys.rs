//! Keys of every process that is booted here and has a store, and bounds that several of their keys share.
//!
//! **Not**: the meaning of a limit, which belongs to the module that holds it.
//!
//! **Source**: docs/config.md.

use std::time::Duration;

use shardstore::cache::Commit;

use super::{
    kind::Kind,
    quantity::{MIB, TIB},
    schema::{Key, Preset},
    tree::Tree,
};

/// Largest value the engine and the protocol carry.
pub const VALUE_BYTES_MAX: u64 = 64 * MIB;

/// Smallest memory: a shard takes memory in 2 MiB chunks and needs a few of them to have somewhere to evict to.
pub const MEMORY_BYTES_MIN: u64 = 16 * MIB;

/// Largest memory: more than any host of today has, and within the engine's 8 TiB a shard on two cores.
pub const MEMORY_BYTES_MAX: u64 = 16 * TIB;

/// Most connections of a core: the ring's table of fixed files is at most this long.
pub const CONNECTIONS_PER_CORE_MAX: u64 = 1 << 20;

/// Highest region: a version has six bits for it.
pub const REGION_MAX: u64 = 63;

/// A year, the longest time to live: beyond it a configured time is a mistake of its unit.
pub const YEAR: Duration = Duration::from_secs(365 * 86_400);
/// A day.
pub const DAY: Duration = Duration::from_secs(86_400);
/// An hour.
pub const HOUR: Duration = Duration::from_secs(3_600);
/// A minute.
pub const MINUTE: Duration = Duration::from_secs(60);
/// A second.
pub const SECOND: Duration = Duration::from_secs(1);
/// A millisecond.
pub const MILLISECOND: Duration = Duration::from_millis(1);

const AS_NEEDED: &str = "as-needed";
const AT_START: &str = "at-start";
const COMMITS: [&str; 2] = [AS_NEEDED, AT_START];

/// The CPUs that data cores are pinned to.
pub const CORES: Key = Key::new(
    "cores",
    Kind::Cores,
    Preset::Is("auto"),
    "CPUs with a data core each; auto takes all this process may use",
)
.with_flag("cores", "CPUS");

/// The memory of all shards.
pub const MEMORY: Key = Key::new(
    "memory",
    Kind::Bytes { min: MEMORY_BYTES_MIN, max: MEMORY_BYTES_MAX },
    Preset::Is("1GiB"),
    "Memory of all shards together, index included; a hard limit",
)
.with_flag("memory", "SIZE");

/// When that memory is asked for.
pub const MEMORY_COMMIT: Key = Key::new(
    "memory_commit",
    Kind::Choice(&COMMITS),
    Preset::Is(AS_NEEDED),
    "When the kernel is asked for the memory: as items come, or all of it at the start, in huge pages as far as there are any",
);

/// How long a drain may take.
pub const DRAIN_TIME: Key = Key::new(
    "drain_time",
    Kind::Duration { min: Duration::ZERO, max: HOUR },
    Preset::Is("30s"),
    "How long requests in flight may take after SIGTERM",
)
.with_flag("drain-time", "DURATION");

/// The region that is written into versions.
pub const REGION: Key =
    Key::new("region", Kind::Count { min: 0, max: REGION_MAX }, Preset::Is("0"), "Region written into versions");

/// What [`MEMORY_COMMIT`] says.
pub fn memory_commit(tree: &Tree) -> Commit {
    match tree.choice("memory_commit") {
        AT_START => Commit::AtStart,
        _ => Commit::AsNeeded,
    }
}
