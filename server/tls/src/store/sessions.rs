//! Sessions that are used once, for early data: what a ticket cannot promise.
//!
//! ```text
//!  slots (a ring, `capacity` long): │ oldest … newest │        buckets: part of the id ─▶ first slot ─▶ following …
//!                                     ▲ overwritten next
//! ```
//!
//! **Not** used without `tls.early_data`; [`super::tickets`] need no lock.
//!
//! **Invariants**: a session is taken once, on whichever core. At most `capacity` sessions of at most [`SESSION_BYTES_MAX`] are
//! held; the oldest goes first, and none is older than `ticket_time`. The lock is held for a look-up, and only in handshakes: what would have to grow, and be moved, has its size from
//! the beginning.
//!
//! **Source**: RFC 8446 section 8.1; docs/adr/0020-session-store.md.

use std::fmt;
#[expect(
    clippy::disallowed_types,
    reason = "a session must be used once over all cores: docs/adr/0020-session-store.md"
)]
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::server::StoresServerSessions;
use rustls::time_provider::TimeProvider;
use zeroize::Zeroizing;

use super::secret::Sha256;

/// Largest session that is held: the name that was asked for, which has 255 bytes at most, and less than 128 besides. One with a client's
/// certificates is larger, and early data are not taken from such clients.
const SESSION_BYTES_MAX: usize = 512;

/// Most memory that one session takes, its places in table and ring included.
pub const SESSION_MEMORY_MAX: u64 = 1024;

/// Bytes of an id: rustls makes them.
const ID_BYTES: usize = 32;

/// Most sessions: 64 times the default.
pub(super) const SESSIONS_MAX: usize = 1 << 22;

type SessionId = [u8; ID_BYTES];

/// The one lock between data cores.
#[expect(
    clippy::disallowed_types,
    reason = "a session must be used once over all cores: docs/adr/0020-session-store.md"
)]
type LockedTable = Mutex<SessionTable>;

/// A bounded store of sessions, shared by all cores and kept over reloads.
pub struct Sessions {
    held: LockedTable,
    capacity: usize,
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}

struct SessionTable {
    /// The first slot of each chain. Ids are random, and those that are stored are ours: a part of them is as good as a hash.
    buckets: Box<[u32]>,
    /// Its room is there from the beginning.
    slots: Vec<SessionPlace>,
    capacity: usize,
    /// The slot that is written next, once all are in use.
    next: usize,
}

/// No slot.
const NOWHERE: u32 = u32::MAX;

struct SessionPlace {
    session: Option<HeldSession>,
    /// The next of its chain.
    following: u32,
}

struct HeldSession {
    key: (Sha256, SessionId),
    value: Zeroizing<Vec<u8>>,
    stored_at: u64,
}

impl Sessions {
    /// A store of at most `capacity` sessions, 1 to 2^22. Most of its memory is touched as they come.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.clamp(1, SESSIONS_MAX);
        Self { held: LockedTable::new(SessionTable::new(capacity)), capacity }
    }

    /// How many sessions it holds at most.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many sessions it holds. Looks at each place.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held().slots.iter().filter(|slot| slot.session.is_some()).count()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn held(&self) -> MutexGuard<'_, SessionTable> {
        // Whoever panicked with the lock left a store that has lost a session at worst.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, session: HeldSession) {
        self.held().put(session);
    }
}

impl SessionTable {
    fn new(capacity: usize) -> Self {
        let buckets = vec![NOWHERE; capacity.next_power_of_two()].into_boxed_slice();
        SessionTable { buckets, slots: Vec::with_capacity(capacity), capacity, next: 0 }
    }

    fn bucket(&self, (_, id): &(Sha256, SessionId)) -> usize {
        let [a, b, c, d, ..] = *id;
        u32::from_le_bytes([a, b, c, d]) as usize & (self.buckets.len() - 1)
    }

    fn put(&mut self, session: HeldSession) {
        self.take(&session.key);
        let slot = if self.slots.len() < self.capacity { self.slots.len() } else { self.next };
        self.next = (slot + 1) % self.capacity;
        if let Some(oldest) = self.slots.get(slot).and_then(|oldest| oldest.session.as_ref()) {
            let key = oldest.key;
            self.take(&key);
        }
        let bucket = self.bucket(&session.key);
        let place = SessionPlace { session: Some(session), following: self.buckets[bucket] };
        match self.slots.get_mut(slot) {
            None => self.slots.push(place),
            Some(free) => *free = place,
        }
        self.buckets[bucket] = slot as u32;
    }

    fn take(&mut self, key: &(Sha256, SessionId)) -> Option<HeldSession> {
        let slot = self.slot(key)?;
        let (bucket, following) = (self.bucket(key), self.slots[slot].following);
        let before = self.chain(bucket).find(|before| self.slots[*before].following == slot as u32);
        match before {
            None => self.buckets[bucket] = following,
            Some(before) => self.slots[before].following = following,
        }
        self.slots[slot].session.take()
    }

    fn find(&self, key: &(Sha256, SessionId)) -> Option<&HeldSession> {
        self.slots[self.slot(key)?].session.as_ref()
    }

    fn slot(&self, key: &(Sha256, SessionId)) -> Option<usize> {
        let is_it = |slot: &usize| self.slots[*slot].session.as_ref().is_some_and(|held| held.key == *key);
        self.chain(self.bucket(key)).find(is_it)
    }

    /// The slots of a chain, each of which has a session.
    fn chain(&self, bucket: usize) -> impl Iterator<Item = usize> + '_ {
        let slot = |number: u32| (number != NOWHERE).then_some(number as usize);
        std::iter::successors(slot(self.buckets[bucket]), move |at| slot(self.slots[*at].following))
    }
}

/// The store as one configuration sees it: sessions that were allowed by other rules are not there.
pub(super) struct SessionView {
    pub(super) sessions: Arc<Sessions>,
    pub(super) context: Sha256,
    pub(super) ticket_time: Duration,
    pub(super) time: Arc<dyn TimeProvider>,
}

impl fmt::Debug for SessionView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionView").field("sessions", &self.sessions).finish_non_exhaustive()
    }
}

impl SessionView {
    fn key(&self, id: &[u8]) -> Option<(Sha256, SessionId)> {
        Some((self.context, id.try_into().ok()?))
    }

    fn is_alive(&self, session: &HeldSession) -> bool {
        let now = self.time.current_time();
        now.is_some_and(|now| now.as_secs().saturating_sub(session.stored_at) < self.ticket_time.as_secs())
    }
}

impl StoresServerSessions for SessionView {
    fn put(&self, id: Vec<u8>, value: Vec<u8>) -> bool {
        let value = Zeroizing::new(value);
        let (Some(key), Some(now)) = (self.key(&id), self.time.current_time()) else { return false };
        if value.len() > SESSION_BYTES_MAX {
            return false;
        }
        self.sessions.put(HeldSession { key, value, stored_at: now.as_secs() });
        true
    }

    /// For TLS 1.2, which has no early data: the session stays.
    fn get(&self, id: &[u8]) -> Option<Vec<u8>> {
        let key = self.key(id)?;
        let held = self.sessions.held();
        held.find(&key).filter(|session| self.is_alive(session)).map(|session| session.value.to_vec())
    }

    fn take(&self, id: &[u8]) -> Option<Vec<u8>> {
        let session = self.sessions.held().take(&self.key(id)?)?;
        self.is_alive(&session).then(|| session.value.to_vec())
    }

    fn can_cache(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests;
