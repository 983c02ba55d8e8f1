//! Fills under way on one core: one question to a node per key, however many clients wait.
//!
//! **Not** the question itself; who waits and whether the answer may be kept.
//!
//! **Invariants**: a fill that a write has invalidated is out of the table: no read is coalesced with it any more, and its answer
//! is handed to those who waited but not kept; at most `fills_max` keys and `waiters_max` waiters each.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use reactor::Instant;
use reactor::local::OneSender;

use shardstore::planted::PlantedBug;

use crate::request::StoreResponse;

/// A fill under way. Its task holds it; the table holds it as long as reads may be coalesced with it.
pub(crate) struct Fill {
    began: Instant,
    /// A write is under way that the answer may not have seen.
    may_keep: Cell<bool>,
    /// Somebody waits for bytes of the value, not only for what is known of it.
    wants_value: Cell<bool>,
    waiters: RefCell<Vec<OneSender<StoreResponse>>>,
}

impl Fill {
    /// The value is for the reads that wait, and is not kept.
    pub(crate) fn do_not_keep(&self) {
        self.may_keep.set(false);
    }

    /// Whether somebody who waits wants bytes of the value.
    pub(crate) fn wants_value(&self) -> bool {
        self.wants_value.get()
    }

    /// Whether no write is known that the answer may not have seen.
    pub(crate) fn may_keep(&self) -> bool {
        self.may_keep.get()
    }
}

/// What became of a read that needs a fill.
pub(crate) enum Coalesced {
    /// A fill is under way; its response will come.
    Waiting,
    /// No fill is under way: the caller must call the node, and then [`Fills::finish`].
    Start(Rc<Fill>),
    /// A bound is reached.
    Full,
}

/// The fills of a core.
pub(crate) struct Fills {
    table: HashMap<Box<[u8]>, Rc<Fill>>,
    bounds: FillBounds,
}

/// Bounds on keys and on waiters of each; `edge_ttl` also bounds how old a fill may be when a read is coalesced with it.
#[derive(Clone, Copy, Debug)]
pub struct FillBounds {
    /// Keys that are filled at once.
    pub fills_max: usize,
    /// Reads that wait for one fill.
    pub waiters_max: usize,
    /// How long what a fill brings may be served.
    pub edge_ttl: Duration,
}

/// Reads of one key that arrive within this time share a question, even where no copies are kept.
const COALESCE_TIME_MIN: Duration = Duration::from_millis(50);

impl Fills {
    pub(crate) fn new(bounds: FillBounds) -> Self {
        Fills { table: HashMap::new(), bounds }
    }

    /// Other bounds, from now on; fills and waiters beyond them stay until they are done.
    pub(crate) fn set_bounds(&mut self, bounds: FillBounds) {
        self.bounds = bounds;
    }

    /// Waits for the key's fill, or starts one.
    ///
    /// What a fill brings may be as old as its beginning. One that has been under way for longer than a copy may be
    /// served is left alone: the next read asks again, and those after it wait for that.
    pub(crate) fn coalesce(
        &mut self,
        key: &[u8],
        (waiter, wants_value): (OneSender<StoreResponse>, bool),
        now: Instant,
    ) -> Coalesced {
        let young_time = self.bounds.edge_ttl.max(COALESCE_TIME_MIN);
        let young = |fill: &&Rc<Fill>| now.since(fill.began) <= young_time;
        if let Some(fill) = self.table.get(key).filter(young) {
            let mut waiters = fill.waiters.borrow_mut();
            if waiters.len() >= self.bounds.waiters_max {
                return Coalesced::Full;
            }
            waiters.push(waiter);
            fill.wants_value.set(fill.wants_value.get() || wants_value);
            return Coalesced::Waiting;
        }
        if self.table.len() >= self.bounds.fills_max {
            return Coalesced::Full;
        }
        let fill = Rc::new(Fill {
            began: now,
            may_keep: Cell::new(true),
            wants_value: Cell::new(wants_value),
            waiters: RefCell::new(vec![waiter]),
        });
        self.table.insert(key.into(), Rc::clone(&fill));
        Coalesced::Start(fill)
    }

    /// A write to the key begins or ends: what a fill has seen may be older than it.
    pub(crate) fn invalidate_inflight(&mut self, key: &[u8]) {
        // With this left out a read that began before a write is kept as if it had begun after it: the simulation must
        // find that (docs/testing.md, "The planted bugs").
        if !PlantedBug::StaleFills.is_planted() {
            self.table.remove(key);
        }
    }

    /// Ends a fill and hands its answer out. It may be kept when no write has invalidated it.
    pub(crate) fn finish(&mut self, key: &[u8], fill: &Rc<Fill>) -> Finished {
        let current = self.table.get(key).is_some_and(|other| Rc::ptr_eq(other, fill));
        if current {
            self.table.remove(key);
        }
        Finished { may_keep: current && fill.may_keep.get(), waiters: std::mem::take(&mut *fill.waiters.borrow_mut()) }
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }
}

/// The waiters of a finished fill, and whether its value may be kept.
pub(crate) struct Finished {
    pub(crate) may_keep: bool,
    pub(crate) waiters: Vec<OneSender<StoreResponse>>,
}

#[cfg(test)]
mod tests;
