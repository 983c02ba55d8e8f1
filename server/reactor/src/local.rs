//! Channels between tasks of one core.
//!
//! **Not** between cores: that is a [`crate::Mailbox`]'s business.
//!
//! **Invariants**: a receiver whose sender is gone learns it; nothing waits for ever on a dropped partner.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use crate::core::Reactor;
use crate::id::TaskId;

struct Shared<T> {
    value: Option<T>,
    sender_gone: bool,
    receiver: Option<TaskId>,
}

/// Gives one value to another task.
pub struct OneSender<T> {
    reactor: Reactor,
    shared: Rc<RefCell<Shared<T>>>,
}

/// Gets one value from another task.
pub struct OneReceiver<T> {
    reactor: Reactor,
    shared: Rc<RefCell<Shared<T>>>,
}

/// A channel for one value.
pub fn one<T>(reactor: &Reactor) -> (OneSender<T>, OneReceiver<T>) {
    let shared = Rc::new(RefCell::new(Shared { value: None, sender_gone: false, receiver: None }));
    let sender = OneSender { reactor: reactor.clone(), shared: Rc::clone(&shared) };
    (sender, OneReceiver { reactor: reactor.clone(), shared })
}

impl<T> OneSender<T> {
    /// Gives the value; it is dropped when the receiver is gone.
    pub fn send(self, value: T) {
        self.shared.borrow_mut().value = Some(value);
    }

    /// Whether anybody still waits for the value.
    pub fn is_wanted(&self) -> bool {
        Rc::strong_count(&self.shared) > 1
    }
}

impl<T> Drop for OneSender<T> {
    fn drop(&mut self) {
        let mut shared = self.shared.borrow_mut();
        shared.sender_gone = true;
        if let Some(task) = shared.receiver.take() {
            self.reactor.wake(task);
        }
    }
}

impl<T> OneReceiver<T> {
    /// Waits for the value; `None` when the sender was dropped without giving one.
    pub async fn receive(self) -> Option<T> {
        poll_fn(|_| {
            let mut shared = self.shared.borrow_mut();
            if let Some(value) = shared.value.take() {
                return Poll::Ready(Some(value));
            }
            if shared.sender_gone {
                return Poll::Ready(None);
            }
            shared.receiver = Some(self.reactor.current_task());
            Poll::Pending
        })
        .await
    }
}

/// Holds tasks of one core up until it is opened, once and for all.
pub struct StartGate {
    is_open: Cell<bool>,
    opened: Notify,
}

impl StartGate {
    /// A closed one.
    pub fn new(reactor: &Reactor) -> Self {
        StartGate { is_open: Cell::new(false), opened: Notify::new(reactor) }
    }

    /// Lets everybody pass.
    pub fn open(&self) {
        self.is_open.set(true);
        self.opened.notify();
    }

    /// Waits until it is open.
    pub async fn pass(&self) {
        while !self.is_open.get() {
            self.opened.notified().await;
        }
    }
}

/// A flag on which tasks of one core wait: every [`Notify::notify`] wakes all that wait then.
pub struct Notify {
    reactor: Reactor,
    generation: Cell<u64>,
    waiters: RefCell<Vec<TaskId>>,
}

impl Notify {
    /// A flag nobody waits on.
    pub fn new(reactor: &Reactor) -> Self {
        Notify { reactor: reactor.clone(), generation: Cell::new(0), waiters: RefCell::new(Vec::new()) }
    }

    /// Wakes all that wait.
    pub fn notify(&self) {
        self.generation.set(self.generation.get() + 1);
        for task in self.waiters.borrow_mut().drain(..) {
            self.reactor.wake(task);
        }
    }

    /// Waits for the next [`Notify::notify`].
    pub async fn notified(&self) {
        let seen = self.generation.get();
        poll_fn(|_| {
            if self.generation.get() != seen {
                return Poll::Ready(());
            }
            let task = self.reactor.current_task();
            let mut waiters = self.waiters.borrow_mut();
            if !waiters.contains(&task) {
                waiters.push(task);
            }
            Poll::Pending
        })
        .await;
    }
}
