//! Keys of every process that is booted here and has a store, and bounds that several of their keys share.
//!
//! **Not**: the meaning of a limit, which belongs to the module that holds it.
//!
//! **Source**: docs/config.md.

use std::time::Duration;

use shardstore::cache::Commit;

use crate::core_map::DEFAULT_PATH;

use super::{
    declare::Field,
    kind::Kind,
    quantity::{MIB, TIB},
    schema::SettingKey,
    tree::SettingsTree,
};

/// Largest value the engine and the protocol carry.
pub const VALUE_BYTES_MAX: u64 = 64 * MIB;

/// Smallest memory: a shard takes memory in 2 MiB chunks and needs a few of them to have somewhere to evict to.
pub const MEMORY_BYTES_MIN: u64 = 16 * MIB;

/// Largest memory: more than any host of today has, and within the engine's 8 TiB a shard on two cores.
pub const MEMORY_BYTES_MAX: u64 = 16 * TIB;

/// Most connections of a core: the ring's table of fixed files is at most this long.
pub const CONNECTIONS_PER_CORE_MAX: u64 = 1 << 20;

/// Most listeners of one process that have a table each: as many as the addresses of the short form.
pub const LISTENERS_MAX: usize = super::kind::LISTEN_ADDRESSES_MAX;

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
const COMMITS: &[&str] = &[AS_NEEDED, AT_START];

/// The address of the admin listener.
pub const ADMIN: SettingKey = SettingKey::new(Kind::Address).flag("admin", "ADDRESS").restart();

/// Names under which the admin listener answers, besides its addresses.
pub const ADMIN_HOSTS: SettingKey = SettingKey::new(Kind::Text { bytes_max: 4096 });

/// The mode of the files of Unix sockets.
pub const SOCKET_MODE: SettingKey = SettingKey::new(Kind::SocketMode).restart();

/// The CPUs that data cores are pinned to.
pub const CORES: SettingKey = SettingKey::new(Kind::Cores).preset("auto").flag("cores", "CPUS").restart();

/// The map that `cores = "profile"` follows.
pub const CORES_MAP: SettingKey = SettingKey::new(Kind::Path).preset(DEFAULT_PATH).restart();

/// The CPU of the control thread.
pub const CONTROL_CPU: SettingKey = SettingKey::new(Kind::ControlCpu).preset("auto").restart();

/// The memory of all shards.
pub const MEMORY: SettingKey =
    SettingKey::bytes(MEMORY_BYTES_MIN, MEMORY_BYTES_MAX).preset("1GiB").flag("memory", "SIZE").restart();

/// When that memory is allocated.
pub const MEMORY_COMMIT: SettingKey = SettingKey::new(Kind::Choice(COMMITS)).preset(AS_NEEDED).restart();

/// The topology's file.
pub const TOPOLOGY: SettingKey = SettingKey::new(Kind::Path).flag("topology", "FILE").restart();

/// How long a drain may take.
pub const DRAIN_TIMEOUT: SettingKey =
    SettingKey::duration(Duration::ZERO, HOUR).preset("30s").flag("drain-timeout", "DURATION").formerly("drain_time");

/// How long a process serves on after SIGTERM.
pub const LAME_DUCK: SettingKey = SettingKey::duration(Duration::ZERO, HOUR).preset("0s").flag("lame-duck", "DURATION");

/// The address of the listener that takes commands.
pub const COMMAND_LISTEN: SettingKey = SettingKey::new(Kind::Address).flag("command-listen", "ADDRESS").restart();

/// The mode of that listener's file.
pub const COMMAND_MODE: SettingKey = SettingKey::new(Kind::SocketMode).preset("0600").restart();

/// The region, which is part of every version.
pub const REGION: SettingKey = SettingKey::count(0, REGION_MAX).preset("0").restart();

/// What [`MEMORY_COMMIT`] says.
impl Field for Commit {
    fn read(tree: &SettingsTree, path: &str) -> Self {
        match tree.word(path) {
            AT_START => Self::AtStart,
            _ => Self::AsNeeded,
        }
    }
}
