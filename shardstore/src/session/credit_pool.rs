//! What a caller may send on a connection, and the queue for it: credit, first come, first served.
//!
//! ```text
//!  take ───────────────▶ CreditGrant ──▶ sent, answered: release    not sent: refund
//!  wait ─▶ queue ─▶ set aside ─▶ claim ┘
//!            └─ cancel ─┘                 a waiter may leave at any time, also with its grant set aside
//! ```
//!
//! **Not** timed: a waiter brings its own deadline, and cancels when that has come.
//!
//! **Invariants**: no request overtakes a waiter, so that a large request is not starved by small ones; a grant belongs to the
//! connection it was made on and counts for nothing on the next one; credit of the connection that is open is free, set
//! aside, or in a grant that is held.
//!
//! **Source**: docs/wire.md, "Flow control".

use std::collections::VecDeque;

use crate::wire::credits::{Credits, Spent};

/// Credit for one request, on one connection.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a grant that is not handed back is lost until the connection ends"]
pub struct CreditGrant {
    spent: Spent,
    /// Which of the pool's connections, one after the other, it was made on.
    connection: u64,
}

/// Names one waiter of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaiterId(u64);

/// How a waiter hears that its turn has come, or that it was sent away.
pub trait CreditWaker {
    /// Has the waiter look at [`CreditPool::claim`].
    fn wake(self);
}

/// What became of a waiter.
#[derive(Debug, PartialEq, Eq)]
pub enum Claim {
    /// It has credit.
    Granted(CreditGrant),
    /// It had credit of a connection that has ended since.
    Outlived,
    /// It was sent away.
    Dismissed,
    /// Its turn has not come.
    Waiting,
}

#[derive(Debug)]
struct Waiter<N> {
    id: WaiterId,
    bytes: u32,
    waker: N,
}

/// The credit of the connection that is open, if one is, and the queue for it.
#[derive(Debug)]
pub struct CreditPool<N> {
    credits: Option<Credits>,
    connection: u64,
    waiters: VecDeque<Waiter<N>>,
    /// Grants whose waiters have been notified.
    set_aside: Vec<(WaiterId, CreditGrant)>,
    next_waiter: u64,
}

impl<N> Default for CreditPool<N> {
    fn default() -> Self {
        Self { credits: None, connection: 0, waiters: VecDeque::new(), set_aside: Vec::new(), next_waiter: 0 }
    }
}

impl<N: CreditWaker> CreditPool<N> {
    /// A connection is open, with this credit: serves the waiters.
    pub fn open(&mut self, credits: Credits) {
        self.connection += 1;
        self.credits = Some(credits);
        self.serve();
    }

    /// The connection has ended, and its credit with it. Waiters stay queued for the next one.
    pub fn close(&mut self) {
        self.credits = None;
    }

    /// Ends the wait of all waiters that have no grant.
    pub fn dismiss(&mut self) {
        self.waiters.drain(..).for_each(|waiter| waiter.waker.wake());
    }

    /// Whether a connection is open that will never again have credit: nothing is in flight that could bring some.
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        self.credits.is_some_and(|credits| credits.requests_free() == 0 && credits.requests_in_flight() == 0)
    }

    /// Credit for `bytes` at once, if it is available and there are no waiters.
    #[inline]
    pub fn take(&mut self, bytes: u32) -> Option<CreditGrant> {
        if !self.waiters.is_empty() {
            return None;
        }
        let spent = self.credits.as_mut()?.spend(bytes)?;
        Some(CreditGrant { spent, connection: self.connection })
    }

    /// Waits behind all other waiters. The waiter has to end with [`CreditPool::claim`] or [`CreditPool::cancel`].
    pub fn wait(&mut self, bytes: u32, waker: N) -> WaiterId {
        let id = WaiterId(self.next_waiter);
        self.next_waiter += 1;
        self.waiters.push_back(Waiter { id, bytes, waker });
        self.serve();
        id
    }

    /// What became of a waiter. After anything but [`Claim::Waiting`] it waits no more.
    pub fn claim(&mut self, id: WaiterId) -> Claim {
        if let Some(at) = self.set_aside.iter().position(|(waiter, _)| *waiter == id) {
            let (_, grant) = self.set_aside.swap_remove(at);
            return if self.is_current(&grant) { Claim::Granted(grant) } else { Claim::Outlived };
        }
        if self.waiters.iter().any(|waiter| waiter.id == id) { Claim::Waiting } else { Claim::Dismissed }
    }

    /// A waiter leaves; nothing happens if it has left before.
    pub fn cancel(&mut self, id: WaiterId) {
        if let Claim::Granted(grant) = self.claim(id) {
            self.refund(grant);
            return;
        }
        self.waiters.retain(|waiter| waiter.id != id);
        // The one behind it may fit where it did not.
        self.serve();
    }

    /// The answer to a request with this grant has come.
    #[inline]
    pub fn release(&mut self, grant: CreditGrant, requests_granted: u16) {
        if self.is_current(&grant)
            && let Some(credits) = &mut self.credits
        {
            credits.complete(grant.spent, requests_granted);
            self.serve();
        }
    }

    /// Hands back a grant that was not used.
    pub fn refund(&mut self, grant: CreditGrant) {
        if self.is_current(&grant)
            && let Some(credits) = &mut self.credits
        {
            credits.refund(grant.spent);
            self.serve();
        }
    }

    /// Whether a grant is of the connection that is open now.
    #[inline]
    fn is_current(&self, grant: &CreditGrant) -> bool {
        self.credits.is_some() && grant.connection == self.connection
    }

    #[inline]
    fn serve(&mut self) {
        if !self.waiters.is_empty() {
            self.serve_waiters();
        }
    }

    fn serve_waiters(&mut self) {
        let Some(credits) = &mut self.credits else { return };
        while let Some(first) = self.waiters.front() {
            let Some(spent) = credits.spend(first.bytes) else { return };
            let grant = CreditGrant { spent, connection: self.connection };
            if let Some(waiter) = self.waiters.pop_front() {
                self.set_aside.push((waiter.id, grant));
                waiter.waker.wake();
            }
        }
    }
}

#[cfg(test)]
mod tests;
