//! Doubly linked queues of keys, which the reference engines are made of.
//!
//! A link belongs to a key, not to a place in a queue: a key is in at most one queue, and is taken out of it or moved to
//! another in constant time.
//!
//! ```text
//!  oldest ⇄ … ⇄ newest      pushed at the newest end, as a rule taken from the oldest
//! ```
//!
//! **Invariants**: the counts of a queue are those of the keys in it.

use super::engine::{Capacity, Held};

/// No key: the end of a queue.
const NONE: u32 = u32::MAX;

/// In no queue.
const NOWHERE: u8 = u8::MAX;

#[derive(Clone, Copy, Debug)]
struct QueueLink {
    older: u32,
    newer: u32,
    /// Of key and value, as they were pushed.
    bytes: u32,
    queue: u8,
}

#[derive(Clone, Copy, Debug)]
struct EngineQueue {
    oldest: u32,
    newest: u32,
    held: Held,
}

/// `COUNT` queues over the same keys.
#[derive(Debug)]
pub(crate) struct Queues<const COUNT: usize> {
    links: Vec<QueueLink>,
    queues: [EngineQueue; COUNT],
}

impl<const COUNT: usize> Queues<COUNT> {
    /// Empty queues for keys with ids below `unique`.
    pub(crate) fn new(unique: usize) -> Self {
        const { assert!(COUNT < NOWHERE as usize) };
        let link = QueueLink { older: NONE, newer: NONE, bytes: 0, queue: NOWHERE };
        let queue = EngineQueue { oldest: NONE, newest: NONE, held: Held::default() };
        Self { links: vec![link; unique], queues: [queue; COUNT] }
    }

    /// The queue a key is in.
    #[inline]
    pub(crate) fn place(&self, id: u32) -> Option<usize> {
        let queue = self.links[id as usize].queue;
        (queue != NOWHERE).then_some(queue.into())
    }

    /// Count and bytes of the keys in a queue.
    pub(crate) const fn held(&self, queue: usize) -> Held {
        self.queues[queue].held
    }

    /// How much of a capacity a queue uses.
    pub(crate) const fn used(&self, queue: usize, of: Capacity) -> u64 {
        of.weight(self.queues[queue].held)
    }

    /// The key that is in a queue for the longest time.
    pub(crate) fn oldest(&self, queue: usize) -> Option<u32> {
        some(self.queues[queue].oldest)
    }

    /// The key that was pushed after a key.
    pub(crate) fn newer(&self, id: u32) -> Option<u32> {
        some(self.links[id as usize].newer)
    }

    /// Adds a key with its bytes at the newest end.
    ///
    /// # Panics
    /// When the key is in a queue.
    pub(crate) fn push(&mut self, queue: usize, id: u32, bytes: u32) {
        let newest = std::mem::replace(&mut self.queues[queue].newest, id);
        let link = &mut self.links[id as usize];
        assert!(link.queue == NOWHERE, "a key is in one queue at most");
        *link = QueueLink { older: newest, newer: NONE, bytes, queue: queue as u8 };
        match newest {
            NONE => self.queues[queue].oldest = id,
            newest => self.links[newest as usize].newer = id,
        }
        self.queues[queue].held.add(bytes);
    }

    /// Takes a key out of its queue; returns its bytes.
    ///
    /// # Panics
    /// When the key is in no queue.
    pub(crate) fn remove(&mut self, id: u32) -> u32 {
        let QueueLink { older, newer, bytes, queue } = self.links[id as usize];
        assert!(queue != NOWHERE, "only a key in a queue is removed");
        let queue = &mut self.queues[usize::from(queue)];
        queue.held.subtract(bytes);
        match older {
            NONE => queue.oldest = newer,
            older => self.links[older as usize].newer = newer,
        }
        match newer {
            NONE => queue.newest = older,
            newer => self.links[newer as usize].older = older,
        }
        self.links[id as usize].queue = NOWHERE;
        bytes
    }

    /// Takes the oldest key out of a queue; returns it with its bytes.
    pub(crate) fn pop(&mut self, queue: usize) -> Option<(u32, u32)> {
        let id = self.oldest(queue)?;
        Some((id, self.remove(id)))
    }
}

fn some(id: u32) -> Option<u32> {
    (id != NONE).then_some(id)
}
