//! What clients did and saw, and the rules that must hold between the two.
//!
//! **Not** a linearizability checker: an edge may serve a copy for the near time, and versions, which the owner makes,
//! say which of two writes is newer.

use std::collections::BTreeMap;
use std::time::Duration;

use reactor::Instant;

use crate::cluster::NEAR_TIME;

/// Clocks of a simulation agree; what is compared in milliseconds is rounded by at most this.
const ROUNDING: Duration = Duration::from_millis(2);

/// A PUT, from its first byte to its answer.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) edge: usize,
    pub(crate) began: Instant,
    /// When it was acknowledged; `None` when its outcome is not known.
    pub(crate) acknowledged: Option<Instant>,
    pub(crate) version: Option<u64>,
    pub(crate) ttl: Option<Duration>,
}

/// A DELETE.
#[derive(Clone, Debug)]
pub(crate) struct Delete {
    pub(crate) edge: usize,
    pub(crate) began: Instant,
    pub(crate) began_ms: u64,
    pub(crate) acknowledged: Option<Instant>,
}

/// A GET that was answered 200 or 404.
pub(crate) struct Read {
    pub(crate) edge: usize,
    pub(crate) began: Instant,
    pub(crate) ended: Instant,
    /// The value and its version; `None` for 404.
    pub(crate) found: Option<(Vec<u8>, u64)>,
}

/// All that happened to one key.
#[derive(Default)]
pub(crate) struct KeyHistory {
    /// By the value, which names its write.
    pub(crate) writes: BTreeMap<Vec<u8>, Write>,
    pub(crate) deletes: Vec<Delete>,
}

impl KeyHistory {
    /// Checks a read against everything before it; `deaths` are the instants at which the key's node died.
    pub(crate) fn check(&self, read: &Read, deaths: &[Instant]) -> Result<(), String> {
        match &read.found {
            Some((value, version)) => self.check_found(read, value, *version),
            None => self.check_absent(read, deaths),
        }
    }

    fn check_found(&self, read: &Read, value: &[u8], version: u64) -> Result<(), String> {
        let Some(write) = self.writes.get(value) else {
            return Err(format!("read a value that nobody wrote: {} bytes", value.len()));
        };
        if write.version.is_some_and(|acknowledged| acknowledged != version) {
            return Err(format!("read version {version} of a value that was acknowledged as {:?}", write.version));
        }
        if let (Some(acknowledged), Some(ttl)) = (write.acknowledged, write.ttl)
            && read.began > acknowledged + ttl + ROUNDING
        {
            return Err(format!("read a value {:?} after it expired", read.began.since(acknowledged + ttl)));
        }
        for newer in self.writes.values() {
            let (Some(acknowledged), Some(newer_version)) = (newer.acknowledged, newer.version) else { continue };
            if newer_version > version {
                let bound = self.visible_from(acknowledged, newer.edge == read.edge);
                if read.began > bound {
                    return Err(format!(
                        "read version {version} at {:?}, although {newer_version} was acknowledged at {acknowledged:?} \
                         through {} edge",
                        read.began,
                        if newer.edge == read.edge { "the same" } else { "another" }
                    ));
                }
            }
        }
        self.check_not_deleted(read, version)
    }

    /// From when on every read must see what was acknowledged then.
    fn visible_from(&self, acknowledged: Instant, same_edge: bool) -> Instant {
        if same_edge { acknowledged } else { acknowledged + NEAR_TIME + ROUNDING }
    }

    /// A value whose version was made before a delete began must be gone once the delete is visible.
    fn check_not_deleted(&self, read: &Read, version: u64) -> Result<(), String> {
        let made_ms = shardstore::version::Version::from_bits(version).ms();
        for delete in &self.deletes {
            let Some(acknowledged) = delete.acknowledged else { continue };
            if made_ms < delete.began_ms && read.began > self.visible_from(acknowledged, delete.edge == read.edge) {
                return Err(format!("read version {version} at {:?}, deleted at {acknowledged:?}", read.began));
            }
        }
        Ok(())
    }

    /// An acknowledged write that nothing can have removed must be there.
    fn check_absent(&self, read: &Read, deaths: &[Instant]) -> Result<(), String> {
        for write in self.writes.values() {
            let Some(acknowledged) = write.acknowledged else { continue };
            let died = deaths.iter().any(|death| *death >= write.began && *death <= read.ended);
            let deleted = self.deletes.iter().any(|delete| {
                let over = delete.acknowledged.is_some_and(|at| at < write.began);
                !over && delete.began <= read.ended
            });
            // A later write may have had a shorter time to live and replaced this one.
            let may_expire = self.writes.values().any(|other| {
                let replaced = other.acknowledged.is_none_or(|at| at >= write.began);
                replaced && other.ttl.is_some_and(|ttl| read.ended + ROUNDING >= other.began + ttl)
            });
            let visible = self.visible_from(acknowledged, write.edge == read.edge);
            if visible < read.began && !died && !deleted && !may_expire {
                return Err(format!(
                    "read nothing at {:?}, although version {:?} was acknowledged at {acknowledged:?}",
                    read.began, write.version
                ));
            }
        }
        Ok(())
    }
}
