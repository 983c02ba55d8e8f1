//! Tickets that any core, and any host with the same keys, can resume from, without a word to another.
//!
//! ```text
//!  ticket: │ name of the key (8) │ sealed: │ made at, seconds since 1970 (8) │ rustls's session │ │    see `secret`
//!
//!  made by the process:   next ─▶ current ─▶ previous ─▶ gone      a step every half of `ticket_time`
//!  key opens tickets:      yes      yes      one `ticket_time`     only the current one seals
//!
//!  a file of keys, newest first:   1 line: current    2: next, current    3: next, current, previous
//! ```
//!
//! A fleet rotates by writing a new key in front of the file and taking the last of more than three out. Hosts may take the new
//! file up one after another: what one seals with, each other has as next, current or previous.
//!
//! **Not**: early data, which needs sessions that are used once ([`super::sessions`]).
//!
//! **Invariants**: a set of keys never changes; rotation makes another. A ticket opens for `ticket_time` at most, also under a
//! key that is never rotated, and only where the same clients are allowed ([`TicketBinding::context`]). Rustls resumes a session only
//! for the name (SNI) and the suite it was made for. A key that is not in the file any more opens nothing.
//!
//! **Source**: RFC 5077, RFC 8446 section 4.6.1.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::{GetRandomFailed, SecureRandom};
use rustls::pki_types::UnixTime;
use rustls::server::ProducesTickets;
use rustls::time_provider::TimeProvider;
use zeroize::Zeroizing;

use super::error::{NamedFile, StoreError, StoreFault};
use super::secret::{SECRET_BYTES, Sha256, TicketBinding, TicketSecret, hex};

/// Most keys of a file.
const FILE_KEYS_MAX: usize = 3;

/// Bytes of a key's name.
const NAME_BYTES: usize = 8;

/// Bytes of the time in a ticket.
const TIME_BYTES: usize = 8;

/// How far the clock of the host that made a ticket may be ahead.
const CLOCK_DIFFERENCE_MAX: Duration = Duration::from_secs(300);

/// Longest life of a ticket that RFC 8446 allows.
pub(super) const TICKET_TIME_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// What a key is used for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TicketKeyPhase {
    /// Opens tickets of hosts, or cores, that have it as the current one already.
    Next,
    /// Seals new tickets.
    Current,
    /// Opens old tickets.
    Previous,
}

impl TicketKeyPhase {
    /// The word in status pages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Current => "current",
            Self::Previous => "previous",
        }
    }
}

/// What an operator wants to know about a ticket key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketKeyFacts {
    /// The same on every host that has the key, and says nothing of it.
    pub name: String,
    /// What it is used for.
    pub phase: TicketKeyPhase,
    /// Since when, in seconds since 1970, as this process has seen it.
    pub since: u64,
}

struct TicketKey {
    name: [u8; NAME_BYTES],
    secret: TicketSecret,
    phase: TicketKeyPhase,
    since: UnixTime,
}

/// A set of ticket keys, newest first.
#[derive(Clone)]
pub struct TicketKeys {
    keys: Arc<[Arc<TicketKey>]>,
    is_from_file: bool,
}

impl fmt::Debug for TicketKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.facts()).finish()
    }
}

impl TicketKeys {
    /// Keys made here: they end with the process.
    ///
    /// # Errors
    ///
    /// No random bytes. The host is at fault.
    pub fn made(random: &dyn SecureRandom, now: UnixTime) -> Result<Self, GetRandomFailed> {
        let keys = [TicketKeyPhase::Next, TicketKeyPhase::Current];
        let keys = keys.into_iter().map(|phase| made(random, phase, now)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { keys: keys.into(), is_from_file: false })
    }

    /// Keys of a file: 1 to 3 lines of 64 hexadecimal digits, newest first; empty lines, and lines that begin with `#`, count
    /// for nothing. What `old` has had in the same use keeps its age.
    ///
    /// # Errors
    ///
    /// Every line that is wrong. The operator is at fault.
    pub fn read(file: &NamedFile<'_>, old: Option<&Self>, now: UnixTime) -> Result<Self, Vec<StoreError>> {
        let secrets = secrets(file.bytes)
            .map_err(|faults| faults.into_iter().map(|fault| StoreError::of(file, fault)).collect::<Vec<_>>())?;
        let phases: &[TicketKeyPhase] = match secrets.len() {
            1 => &[TicketKeyPhase::Current],
            _ => &[TicketKeyPhase::Next, TicketKeyPhase::Current, TicketKeyPhase::Previous],
        };
        let keys = secrets.into_iter().zip(phases).map(|(secret, &phase)| {
            let name = secret.name();
            let same = |key: &&Arc<TicketKey>| key.name == name && key.phase == phase;
            let since = old.and_then(|old| old.keys.iter().find(same)).map_or(now, |key| key.since);
            Arc::new(TicketKey { name, secret, phase, since })
        });
        Ok(Self { keys: keys.collect(), is_from_file: true })
    }

    /// When these keys have to be rotated; never, if they are a file's.
    #[must_use]
    pub fn rotation_due(&self, ticket_time: Duration) -> Option<UnixTime> {
        if self.is_from_file {
            return None;
        }
        Some(after(self.current().since, ticket_time / 2))
    }

    /// The keys after a rotation at `now`: next becomes current, current previous, and what no ticket needs any more is gone.
    ///
    /// # Errors
    ///
    /// No random bytes. The host is at fault; the old keys go on.
    pub fn rotated(
        &self,
        random: &dyn SecureRandom,
        ticket_time: Duration,
        now: UnixTime,
    ) -> Result<Self, GetRandomFailed> {
        if self.is_from_file {
            return Ok(self.clone());
        }
        let mut keys = vec![made(random, TicketKeyPhase::Next, now)?];
        for key in self.keys.iter() {
            let phase = match key.phase {
                TicketKeyPhase::Next => TicketKeyPhase::Current,
                TicketKeyPhase::Current | TicketKeyPhase::Previous => TicketKeyPhase::Previous,
            };
            let since = if phase == key.phase { key.since } else { now };
            let is_needed = phase != TicketKeyPhase::Previous || after(since, ticket_time) > now;
            if is_needed {
                keys.push(Arc::new(TicketKey { name: key.name, secret: key.secret.clone(), phase, since }));
            }
        }
        Ok(Self { keys: keys.into(), is_from_file: false })
    }

    /// What an operator wants to know about each, newest first.
    #[must_use]
    pub fn facts(&self) -> Vec<TicketKeyFacts> {
        let facts = self.keys.iter().map(|key| TicketKeyFacts {
            name: hex(&key.name),
            phase: key.phase,
            since: key.since.as_secs(),
        });
        facts.collect()
    }

    /// Whether both are the same keys in the same use.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let uses = |keys: &Self| keys.keys.iter().map(|key| (key.name, key.phase)).collect::<Vec<_>>();
        uses(self) == uses(other)
    }

    pub(super) const fn is_from_file(&self) -> bool {
        self.is_from_file
    }

    fn current(&self) -> &TicketKey {
        let current = self.keys.iter().find(|key| key.phase == TicketKeyPhase::Current);
        current.expect("every set of keys has a current one")
    }
}

fn made(random: &dyn SecureRandom, phase: TicketKeyPhase, now: UnixTime) -> Result<Arc<TicketKey>, GetRandomFailed> {
    let mut bytes = Zeroizing::new([0; SECRET_BYTES]);
    random.fill(&mut *bytes)?;
    let secret = TicketSecret::new(&bytes);
    Ok(Arc::new(TicketKey { name: secret.name(), secret, phase, since: now }))
}

fn after(time: UnixTime, duration: Duration) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(time.as_secs()) + duration)
}

/// The keys of a file, 1 to 3, no two alike.
fn secrets(bytes: &[u8]) -> Result<Vec<TicketSecret>, Vec<StoreFault>> {
    let mut found: Vec<TicketSecret> = Vec::new();
    let mut faults = Vec::new();
    for (index, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        let digits = line.trim_ascii();
        if digits.is_empty() || digits.starts_with(b"#") {
            continue;
        }
        let bad = |reason| StoreFault::BadTicketKey { line: index + 1, reason };
        match secret(digits) {
            Err(reason) => faults.push(bad(reason)),
            Ok(secret) if found.iter().any(|other| other.name() == secret.name()) => {
                faults.push(bad("the key stands in the file twice"));
            }
            Ok(_) if found.len() == FILE_KEYS_MAX => {
                faults.push(bad("it is one key more than the three that are used"));
            }
            Ok(secret) => found.push(secret),
        }
    }
    if found.is_empty() && faults.is_empty() {
        faults.push(StoreFault::Empty);
    }
    if faults.is_empty() { Ok(found) } else { Err(faults) }
}

fn secret(digits: &[u8]) -> Result<TicketSecret, &'static str> {
    if digits.len() != 2 * SECRET_BYTES {
        return Err("it does not have 64 digits");
    }
    let mut bytes = Zeroizing::new([0; SECRET_BYTES]);
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let (Some(high), Some(low)) = (digit(0), digit(1)) else { return Err("a digit is not hexadecimal") };
        *byte = high << 4 | low;
    }
    if bytes.iter().all(|byte| *byte == bytes[0]) {
        return Err("the key is not random");
    }
    Ok(TicketSecret::new(&bytes))
}

/// What rustls seals tickets with, and opens them.
pub(super) struct Tickets {
    pub(super) keys: TicketKeys,
    pub(super) ticket_time: Duration,
    /// Digest of which clients are allowed: a session that was allowed otherwise is not resumed.
    pub(super) context: Sha256,
    pub(super) random: &'static dyn SecureRandom,
    pub(super) time: Arc<dyn TimeProvider>,
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tickets").field("keys", &self.keys).finish_non_exhaustive()
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        u32::try_from(self.ticket_time.min(TICKET_TIME_MAX).as_secs()).expect("seven days in seconds have 20 bits")
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let now = self.time.current_time()?;
        let key = self.keys.current();
        let mut session = Vec::with_capacity(TIME_BYTES + plain.len());
        session.extend_from_slice(&now.as_secs().to_be_bytes());
        session.extend_from_slice(plain);
        key.secret.seal(self.random, TicketBinding { name: &key.name, context: &self.context }, session)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (name, sealed) = ticket.split_first_chunk::<NAME_BYTES>()?;
        // The name is no secret: it stands in every ticket.
        let key = self.keys.keys.iter().find(|key| key.name == *name)?;
        let mut session = key.secret.open(TicketBinding { name, context: &self.context }, sealed)?;
        let made_at = u64::from_be_bytes(*session.first_chunk::<TIME_BYTES>()?);
        let now = self.time.current_time()?.as_secs();
        let is_alive = now.saturating_sub(made_at) < self.ticket_time.as_secs()
            && made_at.saturating_sub(now) <= CLOCK_DIFFERENCE_MAX.as_secs();
        is_alive.then(|| session.split_off(TIME_BYTES))
    }
}

#[cfg(test)]
mod tests;
