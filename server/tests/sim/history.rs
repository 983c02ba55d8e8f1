//! What clients did and saw, and the rules that must hold between the two.
//!
//! **Not** a linearizability checker: an edge may serve a copy for `edge_ttl`, and versions, which the owner makes,
//! say which of two writes is newer.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use reactor::Instant;

use crate::cluster::NEAR_TIME;

/// What is compared in milliseconds is rounded by at most this: a core reads the calendar every half millisecond, so that a
/// version may be stamped with the millisecond before.
const ROUNDING: Duration = Duration::from_millis(2);

/// What may have taken a key's values away without anybody asking for it, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Loss {
    pub(crate) from: Instant,
    /// Until when both the old owner and the new one may have served the key; of a death, when it happened.
    pub(crate) until: Instant,
    /// The key's slot went to another node; otherwise its node died.
    pub(crate) moved: bool,
}

/// What the rules have to allow for in the seed at hand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    /// By how much versions of two nodes, or a version and a client's clock, may disagree.
    pub(crate) skew_ms: u64,
    /// Values may be evicted.
    pub(crate) evicting: bool,
}

/// A PUT, from its first byte to its answer.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) edge: usize,
    pub(crate) began: Instant,
    /// When it was acknowledged; `None` when its outcome is not known.
    pub(crate) acknowledged: Option<Instant>,
    pub(crate) version: Option<u64>,
    pub(crate) ttl: Option<Duration>,
    /// The latest wall time, in milliseconds, at which a node may have applied it: whoever sent it has given up by then, and said
    /// that its outcome is not known.
    pub(crate) lands_by_ms: u64,
}

impl Write {
    /// What caches are told of a value's age is no more than is left of its time to live.
    fn check_max_age(&self, read: &Read, max_age: Option<Duration>) -> Result<(), String> {
        let (Some(ttl), Some(max_age)) = (self.ttl, max_age) else {
            let agrees = self.ttl.is_some() == max_age.is_some();
            return agrees
                .then_some(())
                .ok_or_else(|| format!("max-age {max_age:?} of a value to live {:?}", self.ttl));
        };
        let ends = self.acknowledged.map(|acknowledged| acknowledged + ttl + ROUNDING);
        if max_age > ttl || ends.is_some_and(|ends| read.began + max_age > ends) {
            return Err(format!("max-age {max_age:?} of a value to live {ttl:?}, until {ends:?}"));
        }
        Ok(())
    }
}

/// A DELETE.
#[derive(Clone, Debug)]
pub(crate) struct Delete {
    pub(crate) edge: usize,
    pub(crate) began: Instant,
    pub(crate) began_ms: u64,
    pub(crate) acknowledged: Option<Instant>,
}

/// A GET that was answered 200 or 404, or a write that could only happen because nothing was there.
pub(crate) struct Read {
    pub(crate) edge: usize,
    /// The owner itself had to be asked, so that copies do not count.
    pub(crate) fresh: bool,
    pub(crate) began: Instant,
    pub(crate) ended: Instant,
    /// `None` for 404.
    pub(crate) found: Option<Found>,
}

/// What a read found.
pub(crate) struct Found {
    pub(crate) value: Vec<u8>,
    pub(crate) version: u64,
    /// For how many seconds caches may keep it.
    pub(crate) max_age_s: Option<u64>,
}

/// All that happened to one key.
#[derive(Default)]
pub(crate) struct KeyHistory {
    /// By the value, which names its write.
    pub(crate) writes: BTreeMap<Vec<u8>, Write>,
    pub(crate) deletes: Vec<Delete>,
    pub(crate) losses: Vec<Loss>,
    /// Versions that a conditional write has replaced or removed: each can be replaced once.
    replaced: BTreeSet<u64>,
}

impl KeyHistory {
    /// Checks a read against everything before it.
    pub(crate) fn check(&self, read: &Read, allowance: Allowance) -> Result<(), String> {
        match &read.found {
            Some(found) => self.check_found(read, found, allowance),
            None if allowance.evicting => Ok(()),
            None => self.check_absent(read),
        }
    }

    /// Notes that a write on the condition of `version` has succeeded.
    pub(crate) fn replace(&mut self, version: u64) -> Result<(), String> {
        if self.replaced.insert(version) {
            return Ok(());
        }
        Err(format!("two writes on the condition of version {version} have succeeded"))
    }

    /// What may have taken away what was written from `from` on, as seen until `until`.
    fn losses(&self, from: Instant, until: Instant) -> impl Iterator<Item = &Loss> {
        self.losses.iter().filter(move |loss| loss.until >= from && loss.from <= until)
    }

    fn check_found(&self, read: &Read, found: &Found, allowance: Allowance) -> Result<(), String> {
        let Found { value, version, max_age_s } = found;
        let version = *version;
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
        write.check_max_age(read, max_age_s.map(Duration::from_secs))?;
        self.check_not_late(write, version, allowance)?;
        self.check_not_left(read, write)?;
        for newer in self.writes.values() {
            let (Some(acknowledged), Some(newer_version)) = (newer.acknowledged, newer.version) else { continue };
            // A value that is lost is no measure: its owner, or one with another clock, made new ones since.
            let lost = self.losses(newer.began, read.ended).any(|loss| loss.moved || allowance.skew_ms > 0);
            if newer_version > version && !lost {
                let bound = self.visible_from(acknowledged, newer.edge, read);
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
        self.check_not_deleted(read, version, allowance)
    }

    /// From when on a read must see what was acknowledged then through `edge`. While a slot moves, the old owner may still be
    /// asked, and copies of what it said are served for `edge_ttl`.
    fn visible_from(&self, acknowledged: Instant, edge: usize, read: &Read) -> Instant {
        let near = NEAR_TIME + ROUNDING;
        let visible = if edge == read.edge || read.fresh { acknowledged } else { acknowledged + near };
        let moves = self.losses.iter().filter(|loss| loss.moved && loss.from <= read.ended);
        moves.map(|loss| loss.until + near).fold(visible, Instant::max)
    }

    /// A write whose outcome is not known may have been applied, but not after everybody has given it up: then it would undo what
    /// was written since.
    fn check_not_late(&self, write: &Write, version: u64, allowance: Allowance) -> Result<(), String> {
        let made_ms = shardstore::version::Version::from_bits(version).ms();
        let uncertain_ms = allowance.skew_ms + ROUNDING.as_millis() as u64;
        if made_ms <= write.lands_by_ms + uncertain_ms {
            return Ok(());
        }
        Err(format!("a write begun at {:?} was applied {} ms after its time", write.began, made_ms - write.lands_by_ms))
    }

    /// What a node held of a slot that left it, or when it died, is not shown again, not even when the slot comes back.
    fn check_not_left(&self, read: &Read, write: &Write) -> Result<(), String> {
        let Some(acknowledged) = write.acknowledged else { return Ok(()) };
        let left = |loss: &&Loss| acknowledged < loss.from && read.began > loss.until + NEAR_TIME + ROUNDING;
        match self.losses.iter().find(left) {
            Some(loss) => Err(format!(
                "read version {:?} at {:?}, acknowledged at {acknowledged:?}, although {} at {:?}",
                write.version,
                read.began,
                if loss.moved { "its slot moved" } else { "its node died" },
                loss.from
            )),
            None => Ok(()),
        }
    }

    /// A value whose version was made before a delete began must be gone once the delete is visible.
    fn check_not_deleted(&self, read: &Read, version: u64, allowance: Allowance) -> Result<(), String> {
        let uncertain_ms = allowance.skew_ms + ROUNDING.as_millis() as u64;
        let made_ms = shardstore::version::Version::from_bits(version).ms() + uncertain_ms;
        for delete in &self.deletes {
            let Some(acknowledged) = delete.acknowledged else { continue };
            if made_ms < delete.began_ms && read.began > self.visible_from(acknowledged, delete.edge, read) {
                return Err(format!("read version {version} at {:?}, deleted at {acknowledged:?}", read.began));
            }
        }
        Ok(())
    }

    /// An acknowledged write that nothing can have removed must be there.
    fn check_absent(&self, read: &Read) -> Result<(), String> {
        for write in self.writes.values() {
            let Some(acknowledged) = write.acknowledged else { continue };
            let lost = self.losses(write.began, read.ended).next().is_some();
            let deleted = self.deletes.iter().any(|delete| {
                let over = delete.acknowledged.is_some_and(|at| at < write.began);
                !over && delete.began <= read.ended
            });
            // A later write may have had a shorter time to live and replaced this one.
            let may_expire = self.writes.values().any(|other| {
                let replaced = other.acknowledged.is_none_or(|at| at >= write.began);
                replaced && other.ttl.is_some_and(|ttl| read.ended + ROUNDING >= other.began + ttl)
            });
            let visible = self.visible_from(acknowledged, write.edge, read);
            if visible < read.began && !lost && !deleted && !may_expire {
                return Err(format!(
                    "read nothing at {:?}, although version {:?} was acknowledged at {acknowledged:?}",
                    read.began, write.version
                ));
            }
        }
        Ok(())
    }
}
