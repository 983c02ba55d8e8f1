//! S3-FIFO, by object: a small queue that most objects leave unused, a main queue, and a memory of what left the small one.
//!
//! ```text
//!            first seen                   frequency >= 2
//!  request ─────────────▶ small (10 %) ───────────────────▶ main (the rest) ⟲ while frequency > 0, one less each time
//!     │                       │ else                          ▲      │ else
//!     │                       ▼                               │      ▼
//!     │                     ghost                             │    gone
//!     └── in the ghost ───────────────────────────────────────┘
//! ```
//!
//! The ghost remembers what left the small queue last, as much as 90 % of the capacity would hold. It is a window over what
//! has left, as a ring of fingerprints is one: what is taken out of it does not make it reach back further. An object begins
//! in the main queue with frequency 0.
//!
//! **Source**: Yang, Zhang, Qiu, Yue, Rashmi, "FIFO queues are all you need for cache eviction", SOSP 2023.

use super::engine::{Capacity, Engine, Held, object_bytes};
use super::queues::Queues;
use perf_basis::trace::TraceRequest;

/// Two bits.
const FREQUENCY_MAX: u8 = 3;

/// Uses in the small queue from which on an object is worth a place in the main one.
const PROMOTE_FREQUENCY: u8 = 2;

const SMALL: usize = 0;
const MAIN: usize = 1;

/// The engine.
#[derive(Debug)]
pub(crate) struct S3Fifo {
    capacity: Capacity,
    small_max: u64,
    ghost_max: u64,
    queues: Queues<2>,
    /// By id: uses since it came or was last spared.
    frequency: Vec<u8>,
    /// By id: `left` when it left the small queue last, unless it has been asked for since.
    left_at: Vec<Option<u64>>,
    /// How much has left the small queue.
    left: u64,
}

impl S3Fifo {
    /// An empty one, for keys with ids below `unique`.
    pub(crate) fn new(capacity: Capacity, unique: usize) -> Self {
        let small_max = (capacity.amount() / 10).max(1);
        let ghost_max = capacity.amount() * 9 / 10;
        let (queues, frequency, left_at) = (Queues::new(unique), vec![0; unique], vec![None; unique]);
        Self { capacity, small_max, ghost_max, queues, frequency, left_at, left: 0 }
    }

    fn used(&self, queue: usize) -> u64 {
        self.queues.used(queue, self.capacity)
    }

    fn evict(&mut self) {
        let small_is_due = self.used(SMALL) > self.small_max || self.used(MAIN) == 0;
        if !small_is_due || !self.evict_small() {
            self.evict_main();
        }
    }

    /// Drops an object of the small queue, promoting those before it that were used; `false` when all were.
    fn evict_small(&mut self) -> bool {
        while let Some((id, bytes)) = self.queues.pop(SMALL) {
            if self.frequency[id as usize] >= PROMOTE_FREQUENCY {
                self.frequency[id as usize] = 0;
                self.queues.push(MAIN, id, bytes);
            } else {
                self.left_at[id as usize] = Some(self.left);
                self.left += self.capacity.weight_of(bytes);
                return true;
            }
        }
        false
    }

    fn evict_main(&mut self) {
        while let Some((id, bytes)) = self.queues.pop(MAIN) {
            match self.frequency[id as usize] {
                0 => return,
                used => self.frequency[id as usize] = used - 1,
            }
            self.queues.push(MAIN, id, bytes);
        }
    }
}

impl Engine for S3Fifo {
    fn request(&mut self, request: TraceRequest) -> bool {
        let id = request.id;
        if self.queues.place(id).is_some() {
            let frequency = &mut self.frequency[id as usize];
            *frequency = (*frequency + 1).min(FREQUENCY_MAX);
            return true;
        }
        let bytes = object_bytes(request);
        let weight = self.capacity.weight_of(bytes);
        if weight > self.capacity.amount() {
            return false;
        }
        let left_at = self.left_at[id as usize].take();
        let in_ghost = left_at.is_some_and(|at| self.left - at <= self.ghost_max);
        while self.used(SMALL) + self.used(MAIN) + weight > self.capacity.amount() {
            self.evict();
        }
        self.frequency[id as usize] = 0;
        self.queues.push(if in_ghost { MAIN } else { SMALL }, id, bytes);
        false
    }

    fn held(&self) -> Held {
        let (small, main) = (self.queues.held(SMALL), self.queues.held(MAIN));
        Held { objects: small.objects + main.objects, bytes: small.bytes + main.bytes }
    }
}
