//! SIEVE, by object: a queue in the order of arrival, and a hand that spares what was used since it last came by.
//!
//! **Source**: Zhang, Yang, Yue, Vigfusson, Rashmi, "SIEVE is simpler than LRU", NSDI 2024, algorithm 1.

use super::engine::{Capacity, Engine, Held, object_bytes};
use super::queues::Queues;
use perf_basis::trace::TraceRequest;

/// The engine.
#[derive(Debug)]
pub(crate) struct Sieve {
    capacity: Capacity,
    queue: Queues<1>,
    /// By id: used since the hand came by.
    visited: Vec<bool>,
    /// The next candidate; the oldest when there is none.
    hand: Option<u32>,
}

impl Sieve {
    /// An empty one, for keys with ids below `unique`.
    pub(crate) fn new(capacity: Capacity, unique: usize) -> Self {
        Self { capacity, queue: Queues::new(unique), visited: vec![false; unique], hand: None }
    }

    fn evict(&mut self) {
        while let Some(id) = self.hand.or_else(|| self.queue.oldest(0)) {
            self.hand = self.queue.newer(id);
            if !std::mem::take(&mut self.visited[id as usize]) {
                self.queue.remove(id);
                return;
            }
        }
    }
}

impl Engine for Sieve {
    fn request(&mut self, request: TraceRequest) -> bool {
        if self.queue.place(request.id).is_some() {
            self.visited[request.id as usize] = true;
            return true;
        }
        let bytes = object_bytes(request);
        let weight = self.capacity.weight_of(bytes);
        if weight <= self.capacity.amount() {
            while self.queue.used(0, self.capacity) + weight > self.capacity.amount() {
                self.evict();
            }
            self.queue.push(0, request.id, bytes);
        }
        false
    }

    fn held(&self) -> Held {
        self.queue.held(0)
    }
}
