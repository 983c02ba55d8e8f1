//! Sessions that are used once, for early data: what a ticket cannot promise.
//!
//! ```text
//!  slots (a ring, `capacity` long): │ oldest … newest │        index: context and id ─▶ slot
//!                                     ▲ overwritten next
//! ```
//!
//! **Not** used without `tls.early_data`; [`super::tickets`] need no lock.
//!
//! **Invariants**: a session is taken once, on whichever core. At most `capacity` sessions of at most [`SESSION_BYTES_MAX`] are
//! held; the oldest goes first, and none is older than `ticket_time`. The lock is held for a look-up, and only in handshakes.
//!
//! **Source**: RFC 8446 section 8.1; docs/adr/0020-session-store.md.

use std::collections::HashMap;
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

#[derive(Default)]
struct SessionTable {
    index: HashMap<(Sha256, SessionId), usize>,
    slots: Vec<Option<HeldSession>>,
    /// The slot that is written next, once all are in use.
    next: usize,
}

struct HeldSession {
    key: (Sha256, SessionId),
    value: Zeroizing<Vec<u8>>,
    stored_at: u64,
}

impl Sessions {
    /// A store of at most `capacity` sessions, 1 to 2^22. It takes memory as they come.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { held: LockedTable::default(), capacity: capacity.clamp(1, SESSIONS_MAX) }
    }

    /// How many sessions it holds at most.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many sessions it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held().index.len()
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
        self.held().put(session, self.capacity);
    }
}

impl SessionTable {
    fn put(&mut self, session: HeldSession, capacity: usize) {
        self.take(&session.key);
        let slot = if self.slots.len() < capacity { self.slots.len() } else { self.next };
        self.next = (slot + 1) % capacity;
        self.index.insert(session.key, slot);
        match self.slots.get_mut(slot) {
            None => self.slots.push(Some(session)),
            Some(oldest) => {
                if let Some(gone) = oldest.replace(session) {
                    self.index.remove(&gone.key);
                }
            }
        }
    }

    fn take(&mut self, key: &(Sha256, SessionId)) -> Option<HeldSession> {
        let slot = self.index.remove(key)?;
        self.slots[slot].take()
    }

    fn find(&self, key: &(Sha256, SessionId)) -> Option<&HeldSession> {
        self.slots[*self.index.get(key)?].as_ref()
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
