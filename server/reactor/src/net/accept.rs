//! Taking the connections of a listener: each is served, told that it is not, or just closed.
//!
//! ```text
//!  accept ─▶ AcceptPolicy::admit ─┬─ a permit ─▶ a task: serve ─▶ its end gives the permit back
//!                                 └─ none, counted ─┬─ a place to be told ─▶ refuse, finish
//!                                                   └─ none, or nothing to say ─▶ closed
//! ```
//!
//! **Not** the bound on those that are served, nor what is said to the others: that is the [`AcceptPolicy`]'s.
//!
//! **Invariants**: accepting ends with the listener and not before; a connection is served, or counted as shed; a permit is
//! given back when its connection's task ends, however it ends, and at once where there is no room for a task.
//!
//! **Source**: the overload rule of docs/specification.md.

use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use super::{Connection, ListenError, Listener};

/// Who is served of those that connect to a listener, and how.
pub trait AcceptPolicy {
    /// The right to be served, given back when dropped.
    type Permit;

    /// A connection has been accepted: its permit, or `None` where all are out.
    fn admit(self: &Rc<Self>, connection: &Connection) -> Option<Self::Permit>;

    /// Serves a connection until it ends.
    fn serve(self: &Rc<Self>, connection: Connection, permit: Self::Permit) -> impl Future<Output = ()> + 'static;

    /// A connection is not served.
    fn note_shed(&self);

    /// How those are told that are not served; `None` where they are closed at once.
    fn shedding(&self) -> Option<Shedding<'_>> {
        None
    }

    /// Queues what a connection is told that is not served.
    fn refuse(&self, connection: &Connection) {
        let _ = connection;
    }
}

/// How connections that are not served are told so.
#[derive(Clone, Copy, Debug)]
pub struct Shedding<'a> {
    /// Those that are being told.
    pub places: &'a Rc<Places>,
    /// How many are told at a time. More are closed at once, so that memory stays bounded at any number of clients.
    pub places_max: usize,
    /// How long one may take to read it.
    pub linger: Duration,
}

/// Takes the connections of a listener until it is closed and its backlog is empty.
pub async fn accept<A: AcceptPolicy>(listener: &Listener, policy: &Rc<A>) {
    loop {
        match listener.accept().await {
            Ok(connection) => take(connection, policy),
            Err(ListenError::Full) => policy.note_shed(),
            Err(ListenError::Closed) => return,
        }
    }
}

fn take<A: AcceptPolicy>(connection: Connection, policy: &Rc<A>) {
    let reactor = connection.reactor().clone();
    if let Some(permit) = policy.admit(&connection) {
        if reactor.spawn(policy.serve(connection, permit)).is_err() {
            policy.note_shed();
        }
        return;
    }
    policy.note_shed();
    let Some(shedding) = policy.shedding() else { return };
    let Some(place) = Places::take(shedding.places, shedding.places_max) else { return };
    policy.refuse(&connection);
    let linger = shedding.linger;
    let task = async move {
        connection.finish(linger).await;
        drop(place);
    };
    // If there is no room for the task, the connection is closed with it.
    let _ = reactor.spawn(task);
}

/// Counts what may be there a certain number of times.
#[derive(Debug, Default)]
pub struct Places {
    taken: Cell<usize>,
}

impl Places {
    /// A place, unless `max` or more are taken.
    #[must_use]
    pub fn take(places: &Rc<Self>, max: usize) -> Option<Place> {
        let taken = places.taken.get();
        (taken < max).then(|| {
            places.taken.set(taken + 1);
            Place(Rc::clone(places))
        })
    }

    /// How many are taken.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.taken.get()
    }
}

/// One of [`Places`], given back when dropped.
#[derive(Debug)]
pub struct Place(Rc<Places>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.set(self.0.taken.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_and_given_back() {
        let places = Rc::new(Places::default());
        let first = Places::take(&places, 2).unwrap();
        let second = Places::take(&places, 2).unwrap();
        assert!(Places::take(&places, 2).is_none());
        drop(first);
        assert_eq!(places.taken(), 1);
        let third = Places::take(&places, 2).unwrap();
        // A bound that was lowered meanwhile holds for those that come.
        assert!(Places::take(&places, 1).is_none());
        drop((second, third));
        assert_eq!(places.taken(), 0);
    }
}
