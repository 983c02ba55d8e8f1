//! Messages between the cores of a process.
//!
//! ```text
//!  send ────▶ mailbox ──▶ the other core's `receive`
//!  deliver ─▶ mailbox, or where it has no room ─▶ kept ──(every millisecond)──▶ mailbox
//! ```
//!
//! **Not**: what a message means.
//!
//! **Invariants**: what was delivered arrives, in order for each core; the messages kept for a core are answers to what it
//! asked, and so are bounded by what it may have asked; other tasks get their turn after `MESSAGES_PER_TURN` messages.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::rc::Rc;
use std::time::Duration;

use reactor::local::Notify;
use reactor::{CoreId, Mailbox, Reactor};

/// Messages taken before other tasks run: a few hundred microseconds of work.
const MESSAGES_PER_TURN: usize = 256;

/// How soon a message is tried again for which a mailbox had no room: the timer's own precision.
const RETRY: Duration = Duration::from_millis(1);

/// One core's end of the messages between the cores of its process.
pub struct CoreMail<M> {
    reactor: Reactor,
    mailbox: Mailbox<M>,
    /// Messages for which a mailbox had no room, by the core they are for; none is empty.
    kept: RefCell<BTreeMap<CoreId, VecDeque<M>>>,
    /// Something was kept.
    keeping: Notify,
}

impl<M: Send + 'static> CoreMail<M> {
    /// The end of the core that `reactor` runs, and the task that delivers what is kept.
    ///
    /// # Errors
    ///
    /// Ours: the core has no room for a task.
    pub fn start(reactor: &Reactor, mailbox: Mailbox<M>) -> std::io::Result<Rc<Self>> {
        let mail = Rc::new(CoreMail {
            reactor: reactor.clone(),
            mailbox,
            kept: RefCell::default(),
            keeping: Notify::new(reactor),
        });
        reactor.spawn(Rc::clone(&mail).deliver_kept()).map_err(std::io::Error::other)?;
        Ok(mail)
    }

    /// Sends a message.
    ///
    /// # Errors
    ///
    /// The other core's mailbox has no room: the message comes back.
    pub fn send(&self, to: CoreId, message: M) -> Result<(), M> {
        self.mailbox.send(&self.reactor, to, message)
    }

    /// Sends a message that must arrive; it is kept while there is no room.
    pub fn deliver(&self, to: CoreId, message: M) {
        let mut kept = self.kept.borrow_mut();
        if let Some(earlier) = kept.get_mut(&to) {
            earlier.push_back(message);
            return;
        }
        if let Err(message) = self.mailbox.send(&self.reactor, to, message) {
            kept.insert(to, VecDeque::from([message]));
            self.keeping.notify();
        }
    }

    /// The core whose end it is.
    #[must_use]
    pub fn core(&self) -> CoreId {
        self.mailbox.core()
    }

    /// Messages that wait for room.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.kept.borrow().values().map(VecDeque::len).sum()
    }

    /// Hands messages to `take` as they come, until it breaks.
    pub async fn receive(&self, mut take: impl FnMut(CoreId, M) -> ControlFlow<()>) {
        loop {
            let mut taken = 0;
            while let Some((from, message)) = self.mailbox.try_receive() {
                if take(from, message).is_break() {
                    return;
                }
                taken += 1;
                if taken % MESSAGES_PER_TURN == 0 {
                    self.reactor.yield_now().await;
                }
            }
            self.mailbox.notified(&self.reactor).await;
        }
    }

    async fn deliver_kept(self: Rc<Self>) {
        loop {
            while !self.kept.borrow().is_empty() {
                self.reactor.sleep(RETRY).await;
                self.kept.borrow_mut().retain(|to, messages| {
                    self.send_all(*to, messages);
                    !messages.is_empty()
                });
            }
            self.keeping.notified().await;
        }
    }

    /// Sends the first of `messages`, as far as there is room.
    fn send_all(&self, to: CoreId, messages: &mut VecDeque<M>) {
        while let Some(message) = messages.pop_front() {
            if let Err(message) = self.mailbox.send(&self.reactor, to, message) {
                messages.push_front(message);
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::BTreeSet;

    use super::*;
    use crate::rig;

    /// Messages that core 1 finds when it starts: more than two turns.
    const WAITING: usize = 2 * MESSAGES_PER_TURN + 10;

    #[test]
    fn other_tasks_get_their_turn_between_messages() {
        rig::run(2, 1024, |reactor: Reactor, mailbox: Mailbox<usize>| {
            let mail = CoreMail::start(&reactor, mailbox).unwrap();
            if mail.core() == CoreId(0) {
                (0..WAITING).for_each(|number| mail.send(CoreId(1), number).unwrap());
                return reactor.stop();
            }
            let taken = Rc::new(Cell::new(0));
            let counting = Rc::clone(&taken);
            let receive = async move {
                let take = |from, number| {
                    assert_eq!((from, number), (CoreId(0), counting.get()));
                    counting.set(number + 1);
                    if number + 1 == WAITING { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                };
                mail.receive(take).await;
            };
            reactor.spawn(receive).unwrap();
            // Ready tasks run in an order that the seed draws: one of so many runs between two turns.
            let seen = Rc::new(RefCell::new(BTreeSet::new()));
            for _ in 0..16 {
                let (taken, seen, watching) = (Rc::clone(&taken), Rc::clone(&seen), reactor.clone());
                let watch = async move {
                    while taken.get() < WAITING {
                        seen.borrow_mut().insert(taken.get());
                        watching.yield_now().await;
                    }
                    let seen = seen.borrow();
                    assert!(seen.iter().all(|taken| taken % MESSAGES_PER_TURN == 0), "{seen:?}");
                    assert!(seen.iter().any(|taken| *taken > 0), "{seen:?}");
                    watching.stop();
                };
                reactor.spawn(watch).unwrap();
            }
        });
    }
}
