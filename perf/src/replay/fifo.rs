//! First in, first out, by object.

use super::engine::{Capacity, Engine, Held, object_bytes};
use super::queues::Queues;
use super::trace::Request;

/// The engine.
#[derive(Debug)]
pub(crate) struct Fifo {
    capacity: Capacity,
    queue: Queues<1>,
}

impl Fifo {
    /// An empty one, for keys with ids below `unique`.
    pub(crate) fn new(capacity: Capacity, unique: usize) -> Self {
        Self { capacity, queue: Queues::new(unique) }
    }
}

impl Engine for Fifo {
    fn request(&mut self, request: Request) -> bool {
        if self.queue.place(request.id).is_some() {
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
