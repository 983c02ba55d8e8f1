//! The downstream connections of a core, from their admission to their last byte.
//!
//! **Not** shed connections: those have a bound of their own.
//!
//! **Invariants**: a connection is counted from before its task runs until it is closed; one whose last answer is written
//! is counted but no longer hurried, because it has its own short end.

use std::collections::BTreeMap;
use std::rc::Rc;

use reactor::{Connection, Sender};

use super::EdgeCore;

/// Connections by number.
#[derive(Default)]
pub(crate) struct Sessions {
    /// `None` for those that are being finished.
    open: BTreeMap<u64, Option<Sender>>,
    next: u64,
}

impl Sessions {
    /// Takes a connection in; the number takes it out again.
    pub(super) fn enter(&mut self, sender: Sender) -> u64 {
        let number = self.next;
        self.next += 1;
        self.open.insert(number, Some(sender));
        number
    }

    /// From now on nobody hurries it: its last answer is written.
    pub(super) fn finish(&mut self, number: u64) {
        self.open.insert(number, None);
    }

    pub(super) fn leave(&mut self, number: u64) {
        self.open.remove(&number);
    }

    /// Those that may begin or go on with a request.
    pub(crate) fn values(&self) -> impl Iterator<Item = &Sender> {
        self.open.values().flatten()
    }

    /// All, those included that are being finished.
    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }
}

/// A connection's place among its core's, given back when it ends in whatever way.
pub(crate) struct Registered {
    core: Rc<EdgeCore>,
    number: u64,
}

impl Registered {
    pub(crate) fn enter(core: &Rc<EdgeCore>, connection: &Connection) -> Self {
        let number = core.sessions.borrow_mut().enter(connection.sender());
        core.note_connections();
        Registered { core: Rc::clone(core), number }
    }

    /// Says that the last answer is written.
    pub(crate) fn finish(&self) {
        self.core.sessions.borrow_mut().finish(self.number);
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.core.sessions.borrow_mut().leave(self.number);
        self.core.note_connections();
    }
}
