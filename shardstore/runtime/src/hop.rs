//! Requests that one core takes and another serves.
//!
//! ```text
//!  asking core                                        owner core
//!  waits in a slot ── Ask {id, deadline, request} ──▶ serves it, or says that it is late
//!  woken by its id ◀── Answer {id, answer} ─────────
//! ```
//!
//! **Not**: the usual way: a read is served in place, and a node's client that knows its cores asks each directly.
//!
//! **Invariants**: at most `waiting_max` wait; an id is answered once, and an answer to a forgotten one is ignored; an
//! answer is never dropped, so that a waiter without a deadline does not wait for ever.

use std::cell::RefCell;

use reactor::{CoreId, Instant};

use crate::mail::CoreMail;

/// Names an answer that a core waits for: a slot, and how often it was used before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HopId(u64);

/// A message between an asking core and an owner.
#[derive(Debug)]
pub enum HopMessage<Q, A> {
    /// Serve this: you own its key.
    Ask(Box<Hop<Q>>),
    /// What became of it.
    Answer(Box<HopAnswer<A>>),
}

/// A request on its way to the owner of its key.
#[derive(Debug)]
pub struct Hop<Q> {
    /// The asking core's; it comes back with the answer.
    pub id: HopId,
    /// After this instant the answer is not needed, and the request is not served.
    pub deadline: Instant,
    /// What is asked.
    pub request: Q,
}

/// The answer to a hop.
#[derive(Debug)]
pub struct HopAnswer<A> {
    /// As it was asked.
    pub id: HopId,
    /// What became of it.
    pub answer: A,
}

/// The answers that a core waits for; `W` is a waiter.
#[derive(Debug)]
pub struct Hops<W> {
    table: RefCell<Table<W>>,
}

#[derive(Debug)]
struct Table<W> {
    slots: Vec<HopSlot<W>>,
    free: Vec<u32>,
    waiting_max: usize,
}

#[derive(Debug)]
struct HopSlot<W> {
    generation: u32,
    waiting: Option<W>,
}

impl<W> Hops<W> {
    /// No waiters; at most `waiting_max` at a time.
    #[must_use]
    pub fn new(waiting_max: usize) -> Self {
        Hops { table: RefCell::new(Table { slots: Vec::new(), free: Vec::new(), waiting_max }) }
    }

    /// How many requests wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.table.borrow().len()
    }

    /// Asks another core; `waiting` is kept until the answer comes.
    ///
    /// # Errors
    ///
    /// The waiter: this core or the other is over its bound.
    pub fn ask<M, Q, A>(
        &self,
        mail: &CoreMail<M>,
        to: CoreId,
        (deadline, request): (Instant, Q),
        waiting: W,
    ) -> Result<HopId, W>
    where
        M: From<HopMessage<Q, A>> + Send + 'static,
    {
        let id = self.table.borrow_mut().insert(waiting)?;
        if mail.send(to, HopMessage::Ask(Box::new(Hop { id, deadline, request })).into()).is_err() {
            return Err(self.take(id).expect("it was put there just above"));
        }
        Ok(id)
    }

    /// Takes out the waiter of an answer that has come, or is not needed any more.
    pub fn take(&self, id: HopId) -> Option<W> {
        self.table.borrow_mut().remove(id)
    }
}

impl<W> Table<W> {
    fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    fn insert(&mut self, waiting: W) -> Result<HopId, W> {
        if self.len() >= self.waiting_max {
            return Err(waiting);
        }
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(HopSlot { generation: 0, waiting: None });
            (self.slots.len() - 1) as u32
        });
        let slot = &mut self.slots[index as usize];
        debug_assert!(slot.waiting.is_none(), "a free slot has nobody in it");
        slot.waiting = Some(waiting);
        Ok(HopId(u64::from(slot.generation) << 32 | u64::from(index)))
    }

    fn remove(&mut self, HopId(id): HopId) -> Option<W> {
        let index = id as u32;
        let slot = self.slots.get_mut(index as usize)?;
        if slot.generation != (id >> 32) as u32 {
            return None;
        }
        let waiting = slot.waiting.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(index);
        Some(waiting)
    }
}

#[cfg(test)]
mod tests;
