//! The offline optimum, by object: evicts what is asked for again last, or never.
//!
//! **Not** optimal by bytes when sizes differ: then it is a good engine that knows the future. What is asked for is always
//! held, even if that costs a hit.
//!
//! **Source**: Belady, "A study of replacement algorithms for a virtual-storage computer", IBM Systems Journal 5(2), 1966.

use std::collections::BinaryHeap;

use super::engine::{Capacity, Engine, Held, object_bytes};
use perf_basis::trace::TraceRequest;

/// Entries of the heap that a rebuild is worth.
const STALE_MIN: usize = 1024;

/// The engine.
#[derive(Debug)]
pub(crate) struct Belady {
    capacity: Capacity,
    /// By position of a request: that of the next one for the same key.
    next_uses: Vec<u32>,
    /// By id, for what is held: its next use and its bytes.
    objects: Vec<Option<(u32, u32)>>,
    /// Next uses with ids, the latest on top. An object that was used since has more than one entry; the latest is right.
    latest: BinaryHeap<(u32, u32)>,
    held: Held,
}

impl Belady {
    /// An empty one, for keys with ids below `unique`.
    pub(crate) fn new(capacity: Capacity, unique: usize, next_uses: Vec<u32>) -> Self {
        Self { capacity, next_uses, objects: vec![None; unique], latest: BinaryHeap::new(), held: Held::default() }
    }

    fn note(&mut self, id: u32, next_use: u32, bytes: u32) {
        self.objects[id as usize] = Some((next_use, bytes));
        self.latest.push((next_use, id));
        if self.latest.len() > STALE_MIN + 2 * self.held.objects as usize {
            let objects = &self.objects;
            let is_right =
                |&(next_use, id): &(u32, u32)| objects[id as usize].is_some_and(|(next, _)| next == next_use);
            self.latest.retain(is_right);
        }
    }

    fn evict(&mut self) {
        // An entry that is not right names a use that has been, and lies below all that are right.
        let Some((next_use, id)) = self.latest.pop() else { return };
        let object = self.objects[id as usize].take();
        let (next, bytes) = object.expect("the latest entry is of an object that is held");
        assert!(next == next_use, "the latest entry is the object's last");
        self.held.subtract(bytes);
    }
}

impl Engine for Belady {
    fn request(&mut self, request: TraceRequest) -> bool {
        let next_use = self.next_uses[request.at as usize];
        if let Some((_, bytes)) = self.objects[request.id as usize] {
            self.note(request.id, next_use, bytes);
            return true;
        }
        let bytes = object_bytes(request);
        let weight = self.capacity.weight_of(bytes);
        if weight <= self.capacity.amount() {
            while self.capacity.weight(self.held) + weight > self.capacity.amount() {
                self.evict();
            }
            self.held.add(bytes);
            self.note(request.id, next_use, bytes);
        }
        false
    }

    fn held(&self) -> Held {
        self.held
    }
}
