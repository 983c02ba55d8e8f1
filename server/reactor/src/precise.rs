//! Waits that end as soon after their instant as the kernel's timers allow, not at the wheel's next tick.
//!
//! For what is timed itself, such as a load generator's requests; a core has a handful of these waits, while the wheel has
//! one for every connection.
//!
//! **Not** cheap to have many of: [`crate::precise_waits`] is searched.
//!
//! **Invariants**: a wait never ends before its instant; a wait that is dropped leaves nothing behind.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::core::Reactor;
use crate::id::TaskId;
use crate::time::Instant;

impl Reactor {
    /// Waits until `instant`, as precisely as the kernel wakes: tens of microseconds when the CPU sleeps, less when it does
    /// not. For a handful of waits per core; [`Reactor::sleep_until`] is for all others.
    pub fn sleep_precisely(&self, instant: Instant) -> PreciseSleep {
        PreciseSleep { reactor: self.clone(), instant, waiting: None }
    }

    /// Waits for the next pass, which comes at once: the core looks for completions and goes on without sleeping. For what
    /// spins on a core of its own.
    pub fn next_pass(&self) -> NextPass {
        NextPass { reactor: self.clone(), waiting: None }
    }
}

/// See [`Reactor::next_pass`].
pub struct NextPass {
    reactor: Reactor,
    waiting: Option<(Instant, TaskId)>,
}

impl Future for NextPass {
    type Output = ();

    #[inline]
    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        let now = self.reactor.now();
        match self.waiting {
            // Polled again in the pass in which it began to wait: by somebody else's wake.
            Some((since, _)) if since == now => Poll::Pending,
            Some(_) => Poll::Ready(()),
            None => {
                let task = self.reactor.current_task();
                // Due already, and looked at when the next pass begins.
                self.reactor.inner.precise.borrow_mut().insert(now, task);
                self.waiting = Some((now, task));
                Poll::Pending
            }
        }
    }
}

impl Drop for NextPass {
    fn drop(&mut self) {
        if let Some((instant, task)) = self.waiting.take() {
            self.reactor.inner.precise.borrow_mut().remove(instant, task);
        }
    }
}

/// See [`Reactor::sleep_precisely`].
pub struct PreciseSleep {
    reactor: Reactor,
    instant: Instant,
    waiting: Option<TaskId>,
}

impl Future for PreciseSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.reactor.now() >= self.instant {
            return Poll::Ready(());
        }
        if self.waiting.is_none() {
            let task = self.reactor.current_task();
            self.reactor.inner.precise.borrow_mut().insert(self.instant, task);
            self.waiting = Some(task);
        }
        Poll::Pending
    }
}

impl Drop for PreciseSleep {
    fn drop(&mut self) {
        if let Some(task) = self.waiting.take() {
            self.reactor.inner.precise.borrow_mut().remove(self.instant, task);
        }
    }
}
