//! Waiting for time, and bounding other waits by it.
//!
//! **Not** precise below a millisecond: see [`crate::timer`].
//!
//! **Invariants**: a wait never ends before its instant; dropping a wait takes its timer back.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::core::Reactor;
use crate::id::TimerId;
use crate::time::Instant;
use crate::timer::TimerTarget;

impl Reactor {
    /// Waits for `duration`.
    pub fn sleep(&self, duration: Duration) -> Sleep {
        self.sleep_until(self.now() + duration)
    }

    /// Waits until `instant`.
    pub fn sleep_until(&self, instant: Instant) -> Sleep {
        Sleep { reactor: self.clone(), instant, timer: None }
    }

    /// Gives up the rest of this pass: other tasks of this core run, and what has come from outside meanwhile is taken in and served,
    /// before the caller goes on.
    pub fn yield_now(&self) -> Yield {
        Yield { reactor: self.clone(), yielded: false }
    }

    /// Runs `future`, but not past `deadline`: `None` when the deadline came first, and the future is dropped.
    pub async fn until<T>(&self, deadline: Instant, future: impl Future<Output = T>) -> Option<T> {
        if deadline == Instant::NEVER {
            return Some(future.await);
        }
        let mut future = std::pin::pin!(future);
        let mut sleep = self.sleep_until(deadline);
        std::future::poll_fn(|context| {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(Some(output));
            }
            Pin::new(&mut sleep).poll(context).map(|()| None)
        })
        .await
    }
}

/// See [`Reactor::sleep`].
pub struct Sleep {
    reactor: Reactor,
    instant: Instant,
    timer: Option<TimerId>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.reactor.now() >= self.instant {
            return Poll::Ready(());
        }
        // The wheel rounds up to its tick, so that a timer which has fired is past its instant.
        if self.timer.is_none() && self.instant != Instant::NEVER {
            let target = TimerTarget::Task(self.reactor.current_task());
            let timer = self.reactor.inner.wheel.borrow_mut().insert(self.instant, target);
            self.timer = Some(timer);
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(timer) = self.timer.take() {
            self.reactor.inner.wheel.borrow_mut().cancel(timer);
        }
    }
}

/// See [`Reactor::yield_now`].
pub struct Yield {
    reactor: Reactor,
    yielded: bool,
}

impl Future for Yield {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.yielded {
            return Poll::Ready(());
        }
        self.yielded = true;
        self.reactor.wake_in_next_pass(self.reactor.current_task());
        Poll::Pending
    }
}
