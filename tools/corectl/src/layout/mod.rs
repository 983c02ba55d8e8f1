//! Which CPU does what: housekeeping, workers, and the queues and interrupts of each worker.
//!
//! ```text
//!  colocated   queue i, its interrupt, XPS i and worker i on one CPU; housekeeping keeps the first core of each socket
//!  split       one CPU of 16 takes interrupts and softirqs; the others work and send through its queue
//! ```
//!
//! **Not**: I/O. **Invariants**: no CPU both works and keeps house. A queue has exactly one CPU; a worker sends through exactly one
//! queue of each card.
//!
//! **Source**: Documentation/networking/scaling.rst of Linux, "Suggested Configuration".

mod options;
mod place;

use serde::{Deserialize, Serialize};

pub use options::{LayoutMode, LayoutOptions, WorkerNodes, WorkerThreads};
pub use place::lay_out;

/// How many queues a card gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueCount {
    /// Those it has: nobody may change them.
    AsIs,
    /// One for each CPU that takes packets.
    ByLayout,
    /// As many as an operator says, or the card can have.
    Exactly(u32),
}

/// A queue's place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuePlace {
    /// The queue, from 0.
    pub queue: u32,
    /// The CPU that takes its interrupt.
    pub cpu: u32,
    /// The CPUs that send through it.
    pub senders: Vec<u32>,
}

/// The queues of a card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NicLayout {
    /// The interface.
    pub nic: String,
    /// All queues it shall have, in order.
    pub queues: Vec<QueuePlace>,
}

/// Which CPU does what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// How workers and interrupts share CPUs.
    pub mode: LayoutMode,
    /// CPUs for everything else. The control thread is on the first of them.
    pub housekeeping: Vec<u32>,
    /// CPUs that only take interrupts (split).
    pub interrupts: Vec<u32>,
    /// CPUs of data cores, the nearest to the card first.
    pub workers: Vec<u32>,
    /// The cards.
    pub nics: Vec<NicLayout>,
    /// What an operator should know about it.
    pub notes: Vec<String>,
    /// Why it cannot be made without more said.
    pub problems: Vec<String>,
}

impl Layout {
    /// The queues of a card.
    #[must_use]
    pub fn queues(&self, nic: &str) -> Option<&[QueuePlace]> {
        self.nics.iter().find(|layout| layout.nic == nic).map(|layout| layout.queues.as_slice())
    }
}
