//! Mailboxes between the cores of one process: a bounded queue from each core to each other.
//!
//! **Not** between processes, and not for shared state: a message is moved, nothing is referred to.
//!
//! **Invariants**: a queue has one producer and one consumer; messages of one sender arrive in order; a full queue
//! gives the message back to its sender, who sheds or waits, and says so in a metric.

pub(crate) mod doorbell;
#[cfg(loom)]
pub mod model;
pub mod ring;

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use doorbell::Doorbell;
#[cfg(loom)]
pub(crate) use doorbell::DoorbellFlags;
pub use doorbell::WakeMethod;
use ring::{Consumer, Producer, ring};

use crate::core::Reactor;
use crate::id::CoreId;

/// The doorbells of a process's cores, by core.
#[derive(Clone, Debug)]
pub struct Doorbells(Arc<[Arc<Doorbell>]>);

impl Doorbells {
    /// Doorbells for `cores` cores that run on rings of the kernel.
    ///
    /// # Errors
    /// The operator's: not enough file descriptors.
    pub fn for_rings(cores: usize, method: WakeMethod) -> std::io::Result<Doorbells> {
        let bells: std::io::Result<Vec<_>> = (0..cores).map(|_| Doorbell::for_ring(method)).collect();
        Ok(Doorbells(bells?.into()))
    }

    /// Doorbells for `cores` simulated cores.
    pub(crate) fn simulated(cores: usize) -> Doorbells {
        Doorbells((0..cores).map(|_| Doorbell::simulated()).collect())
    }

    pub(crate) fn of(&self, core: CoreId) -> Arc<Doorbell> {
        Arc::clone(&self.0[core.index()])
    }

    /// How many cores there are.
    pub fn cores(&self) -> usize {
        self.0.len()
    }
}

/// One core's end of all its mailboxes: to and from every core of the process, itself included.
pub struct Mailbox<T> {
    core: CoreId,
    outgoing: RefCell<Vec<Producer<T>>>,
    incoming: RefCell<Vec<Consumer<T>>>,
    /// Whose turn it is.
    next: Cell<usize>,
    doorbells: Doorbells,
}

/// Makes the mailboxes of a process, one end for each core, each queue of `capacity` messages (a power of two).
pub fn mailboxes<T: Send>(doorbells: &Doorbells, capacity: usize) -> Vec<Mailbox<T>> {
    let cores = doorbells.cores();
    let mut outgoing: Vec<Vec<Producer<T>>> = (0..cores).map(|_| Vec::with_capacity(cores)).collect();
    let mut incoming: Vec<Vec<Consumer<T>>> = (0..cores).map(|_| Vec::with_capacity(cores)).collect();
    for from in &mut outgoing {
        for to in &mut incoming {
            let (producer, consumer) = ring(capacity);
            from.push(producer);
            to.push(consumer);
        }
    }
    let ends = outgoing.into_iter().zip(incoming).enumerate();
    ends.map(|(core, (outgoing, incoming))| Mailbox {
        core: CoreId(core as u16),
        outgoing: RefCell::new(outgoing),
        incoming: RefCell::new(incoming),
        next: Cell::new(0),
        doorbells: doorbells.clone(),
    })
    .collect()
}

impl<T: Send> Mailbox<T> {
    /// The core whose end this is.
    pub fn core(&self) -> CoreId {
        self.core
    }

    /// How many cores have a mailbox.
    pub fn cores(&self) -> usize {
        self.doorbells.cores()
    }

    /// Sends `message` to a core, waking it if it sleeps.
    ///
    /// # Errors
    /// The queue is full: the message comes back.
    pub fn send(&self, reactor: &Reactor, to: CoreId, message: T) -> Result<(), T> {
        self.outgoing.borrow_mut()[to.index()].push(message)?;
        let bell = &self.doorbells.0[to.index()];
        if bell.flags.ring() {
            reactor.wake_core(bell);
        }
        Ok(())
    }

    /// Takes the next message, of any sender; senders are served in turn.
    pub fn try_receive(&self) -> Option<(CoreId, T)> {
        let mut incoming = self.incoming.borrow_mut();
        let cores = incoming.len();
        for step in 0..cores {
            let from = (self.next.get() + step) % cores;
            if let Some(message) = incoming[from].pop() {
                self.next.set((from + 1) % cores);
                return Some((CoreId(from as u16), message));
            }
        }
        None
    }

    /// Waits until the doorbell has rung since the last look; then drain with [`Mailbox::try_receive`].
    pub async fn notified(&self, reactor: &Reactor) {
        reactor.doorbell_rung().await;
    }
}
