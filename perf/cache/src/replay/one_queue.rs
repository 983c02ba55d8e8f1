//! First in, first out, and least recently used, by object: one queue, which a hit leaves as it is or renews.

use super::engine::{Capacity, Engine, Held, object_bytes};
use super::queues::Queues;
use perf_basis::trace::TraceRequest;

/// What a hit does to its key's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnHit {
    /// Nothing: the queue is in the order of arrival (FIFO).
    Stays,
    /// It goes to the newest end: the queue is in the order of last use (LRU).
    Renews,
}

/// The engine.
#[derive(Debug)]
pub(crate) struct OneQueue {
    capacity: Capacity,
    queue: Queues<1>,
    on_hit: OnHit,
}

impl OneQueue {
    /// An empty one, for keys with ids below `unique`.
    pub(crate) fn new(on_hit: OnHit, capacity: Capacity, unique: usize) -> Self {
        Self { capacity, queue: Queues::new(unique), on_hit }
    }
}

impl Engine for OneQueue {
    fn request(&mut self, request: TraceRequest) -> bool {
        if self.queue.place(request.id).is_some() {
            if self.on_hit == OnHit::Renews {
                let bytes = self.queue.remove(request.id);
                self.queue.push(0, request.id, bytes);
            }
            return true;
        }
        let bytes = object_bytes(request);
        let weight = self.capacity.weight_of(bytes);
        if weight <= self.capacity.amount() {
            while self.queue.used(0, self.capacity) + weight > self.capacity.amount() {
                self.queue.pop(0);
            }
            self.queue.push(0, request.id, bytes);
        }
        false
    }

    fn held(&self) -> Held {
        self.queue.held(0)
    }
}
