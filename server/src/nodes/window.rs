//! What may be sent on a connection, and who waits for that: credit, first come, first served.
//!
//! **Not** timed: who waits brings a deadline of its own.
//!
//! **Invariants**: nobody overtakes a waiter, so that a large request is not starved by small ones; a grant belongs to the
//! connection it was made on.

use std::collections::VecDeque;

use reactor::local::OneSender;
use shardstore::wire::credits::{Credits, Spent};

/// Credit for one request, on one connection.
#[derive(Debug)]
pub(crate) struct Grant {
    pub(crate) spent: Spent,
    /// Which of the peer's connections, one after the other, it was granted on.
    pub(crate) connection: u64,
}

struct Waiter {
    bytes: u32,
    sender: OneSender<Grant>,
}

/// The credit of the connection that is up, if one is, and the queue for it.
#[derive(Default)]
pub(crate) struct Window {
    credits: Option<Credits>,
    connection: u64,
    waiters: VecDeque<Waiter>,
}

impl Window {
    /// A connection is up, with this credit: serves those who wait.
    pub(crate) fn open(&mut self, credits: Credits) {
        self.connection += 1;
        self.credits = Some(credits);
        self.serve();
    }

    /// The connection is gone, and its credit with it; who waits goes on waiting.
    pub(crate) fn close(&mut self) {
        self.credits = None;
    }

    /// Sends everybody away who waits.
    pub(crate) fn dismiss(&mut self) {
        self.waiters.clear();
    }

    /// Whether a grant is of the connection that is up now.
    pub(crate) fn is_current(&self, grant: &Grant) -> bool {
        self.credits.is_some() && grant.connection == self.connection
    }

    /// Credit for `bytes` at once, if it is there and nobody waits for it.
    pub(crate) fn take(&mut self, bytes: u32) -> Option<Grant> {
        if !self.waiters.is_empty() {
            return None;
        }
        let spent = self.credits.as_mut()?.spend(bytes)?;
        Some(Grant { spent, connection: self.connection })
    }

    /// Waits behind all who wait already.
    pub(crate) fn wait(&mut self, bytes: u32, sender: OneSender<Grant>) {
        self.waiters.push_back(Waiter { bytes, sender });
        self.serve();
    }

    /// An answer to a request with this grant has come.
    pub(crate) fn settle(&mut self, grant: Grant, requests_granted: u16) {
        if !self.is_current(&grant) {
            return;
        }
        if let Some(credits) = &mut self.credits {
            credits.settle(grant.spent, requests_granted);
        }
        self.serve();
    }

    /// Hands back a grant that was not used.
    pub(crate) fn refund(&mut self, grant: Grant) {
        if self.is_current(&grant)
            && let Some(credits) = &mut self.credits
        {
            credits.refund(grant.spent);
        }
        self.serve();
    }

    fn serve(&mut self) {
        let Some(credits) = &mut self.credits else { return };
        while let Some(first) = self.waiters.front() {
            if first.sender.is_wanted() {
                let Some(spent) = credits.spend(first.bytes) else { return };
                let grant = Grant { spent, connection: self.connection };
                if let Some(waiter) = self.waiters.pop_front() {
                    waiter.sender.send(grant);
                }
            } else {
                self.waiters.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;
    use std::time::Duration;

    use reactor::local::one;
    use reactor::sim::{NetworkOptions, World};
    use reactor::{CoreId, CoreSpec, Host, Reactor};

    use super::*;

    /// Runs `body` on a simulated core.
    fn on_a_core(body: fn(Reactor)) {
        let mut world = World::new(1, NetworkOptions::default());
        let process = world.add_process("window");
        let mut host = world.host(process);
        let doorbells = host.doorbells(1).unwrap();
        let spec = CoreSpec { id: CoreId(0), cpu: None, name: "window".to_owned(), doorbells };
        host.start_core(spec, Box::new(body)).unwrap();
        drop(host);
        world.run_for(Duration::from_secs(1));
        assert!(!world.is_running(process), "the body is over");
    }

    type Log = Rc<RefCell<Vec<(u32, u64)>>>;

    /// Waits for credit and tells when it was granted.
    fn wait(reactor: &Reactor, window: &mut Window, bytes: u32, log: &Log) {
        let (sender, receiver) = one(reactor);
        window.wait(bytes, sender);
        let log = Rc::clone(log);
        let task = async move {
            if let Some(grant) = receiver.receive().await {
                log.borrow_mut().push((bytes, grant.connection));
            }
        };
        reactor.spawn(task).unwrap();
    }

    #[test]
    fn a_large_request_gets_its_turn_before_small_ones_that_came_later() {
        on_a_core(|reactor| {
            let log = Log::default();
            let mut window = Window::default();
            window.open(Credits::granted(8, 1000));
            let first = window.take(600).unwrap();
            let second = window.take(100).unwrap();
            wait(&reactor, &mut window, 950, &log);
            assert!(window.take(100).is_none(), "nobody overtakes");
            wait(&reactor, &mut window, 50, &log);
            let checking = reactor.clone();
            let task = async move {
                checking.sleep(Duration::from_millis(1)).await;
                assert!(log.borrow().is_empty());
                window.settle(first, 1);
                checking.sleep(Duration::from_millis(1)).await;
                assert!(log.borrow().is_empty(), "950 do not fit beside 100");
                window.settle(second, 1);
                checking.sleep(Duration::from_millis(1)).await;
                assert_eq!(*log.borrow(), [(950, 1), (50, 1)]);
            };
            reactor.spawn(task).unwrap();
        });
    }

    #[test]
    fn who_waits_is_served_by_the_next_connection_and_old_grants_count_for_nothing() {
        on_a_core(|reactor| {
            let log = Log::default();
            let mut window = Window::default();
            wait(&reactor, &mut window, 10, &log);
            window.open(Credits::granted(2, 1000));
            let old = window.take(10).unwrap();
            window.close();
            wait(&reactor, &mut window, 20, &log);
            window.open(Credits::granted(1, 1000));
            assert!(!window.is_current(&old));
            window.settle(old, 1);
            wait(&reactor, &mut window, 30, &log);
            let checking = reactor.clone();
            let task = async move {
                checking.sleep(Duration::from_millis(1)).await;
                assert_eq!(*log.borrow(), [(10, 1), (20, 2)], "one request at a time on the second connection");
                window.dismiss();
            };
            reactor.spawn(task).unwrap();
        });
    }
}
