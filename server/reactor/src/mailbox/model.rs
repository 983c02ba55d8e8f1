//! What the loom tests get to see of the queue and of the doorbell's flags.
//!
//! **Not** part of the interface: it exists only under `--cfg loom`.

use super::{DoorbellFlags, ring};

/// The sending end of a queue.
pub struct Sender<T>(ring::Producer<T>);
/// The receiving end of a queue.
pub struct Receiver<T>(ring::Consumer<T>);
/// The flags of a doorbell.
pub struct Bell(DoorbellFlags);

/// A queue for `capacity` messages.
pub fn queue<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let (producer, consumer) = ring::ring(capacity);
    (Sender(producer), Receiver(consumer))
}

impl<T> Sender<T> {
    /// Queues a message.
    ///
    /// # Errors
    /// The queue is full: the message comes back.
    pub fn push(&mut self, message: T) -> Result<(), T> {
        self.0.push(message)
    }
}

impl<T> Receiver<T> {
    /// Takes a message.
    pub fn pop(&mut self) -> Option<T> {
        self.0.pop()
    }
}

impl Default for Bell {
    fn default() -> Self {
        Bell(DoorbellFlags::new())
    }
}

impl Bell {
    /// The sender's side.
    pub fn ring(&self) -> bool {
        self.0.ring()
    }

    /// The receiver's side, before it sleeps.
    pub fn park(&self) -> bool {
        self.0.park()
    }

    /// The receiver's side: whether to look.
    pub fn take(&self) -> bool {
        self.0.take()
    }
}
