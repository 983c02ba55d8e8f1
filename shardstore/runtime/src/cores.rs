//! Which data core of a process owns a key.
//!
//! **Not**: which node does; the topology says that.
//!
//! **Invariants**: this is the only place that decides it; all cores of a process decide alike.

use reactor::CoreId;
use shardstore::key::KeyHash;

/// The core that owns a key, of `cores` data cores of one process: this one or a node's.
#[inline(always)]
#[must_use]
pub const fn owner_core(hash: KeyHash, cores: u16) -> CoreId {
    CoreId(hash.shard(cores).0)
}

/// The data cores of this process, seen from one of them.
#[derive(Clone, Copy, Debug)]
pub struct CoreOwners {
    own: CoreId,
    cores: u16,
}

impl CoreOwners {
    /// `cores` data cores, of which this is `own`.
    #[must_use]
    pub const fn new(own: CoreId, cores: u16) -> Self {
        CoreOwners { own, cores }
    }

    /// The core that owns a key.
    #[inline(always)]
    #[must_use]
    pub const fn owner(&self, hash: KeyHash) -> CoreId {
        owner_core(hash, self.cores)
    }

    /// Whether this core owns a key.
    #[inline(always)]
    #[must_use]
    pub const fn owns(&self, hash: KeyHash) -> bool {
        self.owner(hash).0 == self.own.0
    }

    /// Data cores of this process.
    #[must_use]
    pub const fn cores(&self) -> u16 {
        self.cores
    }

    /// The control core, which comes after the data cores.
    #[must_use]
    pub const fn control(&self) -> CoreId {
        CoreId(self.cores)
    }
}
