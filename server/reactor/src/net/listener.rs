//! A listening socket of one core, and the connections that wait to be taken from it.
//!
//! **Not** a policy: whether a connection is served or shed is decided in [`super::accept`].
//!
//! **Invariants**: closing a listener takes the backlog first, so that no client that has connected is reset; accepts
//! go on after any error, after a pause when file descriptors have run out.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::address::Address;
use crate::core::Reactor;
use crate::counters::add;
use crate::driver::{AcceptedSocket, Errno, ListenOptions};
use crate::id::ListenerId;
use crate::net::Connection;
use crate::net::backlog::ListenerState;

/// How long accepts rest after one failed for want of file descriptors or memory: long enough not to spin, short
/// enough that clients in the backlog do not time out.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(50);

/// A listening socket; stops listening when dropped.
pub struct Listener {
    reactor: Reactor,
    id: ListenerId,
    address: Address,
}

/// Why nothing can be accepted any more.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// [`Listener::close`] was called, and all that had connected before it has been taken.
    #[error("the listener is closed")]
    Closed,
    /// The core holds as many connections as it can; the new one was dropped.
    #[error("this core holds as many connections as it can")]
    Full,
}

impl Reactor {
    /// Opens a listening socket on this core.
    ///
    /// # Errors
    /// The operator's: the address is in use, not local, or not permitted.
    pub fn listen(&self, address: &Address, options: &ListenOptions) -> std::io::Result<Listener> {
        let (socket, address) = self.inner.driver.borrow_mut().listen(address, options)?;
        let state = ListenerState::new(socket);
        let inserted = self.inner.listeners.borrow_mut().insert(state);
        let Ok(key) = inserted else {
            drop(self.inner.driver.borrow_mut().close_listener(socket));
            return Err(std::io::Error::other("too many listening sockets on one core"));
        };
        self.inner.driver.borrow_mut().arm_accept(ListenerId(key), socket);
        Ok(Listener { reactor: self.clone(), id: ListenerId(key), address })
    }

    pub(crate) fn accepted(&self, id: ListenerId, result: Result<AcceptedSocket, Errno>) {
        let mut listeners = self.inner.listeners.borrow_mut();
        let Some(state) = listeners.get_mut(id.0) else {
            if let Ok(accepted) = result {
                self.inner.driver.borrow_mut().close(accepted.socket);
            }
            return;
        };
        match result {
            Ok(accepted) => {
                add(&self.inner.counters.accepted, 1);
                state.failed = false;
                state.pending.push_back(accepted);
            }
            Err(errno) => {
                state.failed = true;
                add(&self.inner.counters.accept_errors, 1);
                self.inner.counters.accept_errno.set(u64::from(errno.unsigned_abs()));
            }
        }
        if let Some(task) = state.waiter.take() {
            self.wake(task);
        }
    }

    pub(crate) fn accept_ended(&self, id: ListenerId) {
        let mut listeners = self.inner.listeners.borrow_mut();
        let Some(state) = listeners.get_mut(id.0) else { return };
        state.armed = false;
        if state.abandoned {
            let state = listeners.remove(id.0);
            drop(listeners);
            state.into_iter().for_each(|state| self.close_abandoned(state));
            return;
        }
        if state.closing {
            let rest = self.inner.driver.borrow_mut().close_listener(state.socket);
            add(&self.inner.counters.accepted, rest.len() as u64);
            state.pending.extend(rest);
            state.closed = true;
            if let Some(task) = state.waiter.take() {
                self.wake(task);
            }
            return;
        }
        let failed = std::mem::replace(&mut state.failed, false);
        drop(listeners);
        if !failed {
            // The kernel may end a multishot for reasons of its own.
            self.rearm_accept(id);
            return;
        }
        let reactor = self.clone();
        let rearm = async move {
            reactor.sleep(PAUSE_AFTER_ERROR).await;
            reactor.rearm_accept(id);
        };
        if self.spawn(rearm).is_err() {
            // Without room for one more task the rest is skipped rather than the listener lost.
            self.rearm_accept(id);
        }
    }

    fn close_abandoned(&self, state: ListenerState) {
        let mut driver = self.inner.driver.borrow_mut();
        let rest = if state.closed { Vec::new() } else { driver.close_listener(state.socket) };
        for accepted in state.pending.into_iter().chain(rest) {
            driver.close(accepted.socket);
        }
    }

    fn rearm_accept(&self, id: ListenerId) {
        let mut listeners = self.inner.listeners.borrow_mut();
        if let Some(state) = listeners.get_mut(id.0)
            && !state.armed
            && !state.closing
        {
            state.armed = true;
            self.inner.driver.borrow_mut().arm_accept(id, state.socket);
        }
    }
}

impl Listener {
    /// The address it listens on, with the port that was chosen when port 0 was asked for.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Waits for the next connection.
    ///
    /// # Errors
    /// [`ListenError::Closed`] after [`Listener::close`]; [`ListenError::Full`], after which the next can be awaited.
    pub fn accept(&self) -> Accept<'_> {
        Accept { listener: self }
    }

    /// Stops listening. Connections that the kernel has completed are still handed out by [`Listener::accept`].
    pub fn close(&self) {
        let mut listeners = self.reactor.inner.listeners.borrow_mut();
        let Some(state) = listeners.get_mut(self.id.0) else { return };
        if state.closing {
            return;
        }
        state.closing = true;
        if state.armed {
            self.reactor.inner.driver.borrow_mut().cancel_accept(self.id);
        } else {
            drop(listeners);
            self.reactor.accept_ended(self.id);
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut listeners = self.reactor.inner.listeners.borrow_mut();
        let Some(state) = listeners.get_mut(self.id.0) else { return };
        if state.armed {
            // Closed when the accept is over: its descriptor must not become another socket's before that.
            state.abandoned = true;
            if !std::mem::replace(&mut state.closing, true) {
                self.reactor.inner.driver.borrow_mut().cancel_accept(self.id);
            }
            return;
        }
        let state = listeners.remove(self.id.0);
        drop(listeners);
        state.into_iter().for_each(|state| self.reactor.close_abandoned(state));
    }
}

/// Waits for a connection; see [`Listener::accept`].
pub struct Accept<'a> {
    listener: &'a Listener,
}

impl Future for Accept<'_> {
    type Output = Result<Connection, ListenError>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        let Listener { reactor, id, .. } = self.listener;
        let accepted = {
            let mut listeners = reactor.inner.listeners.borrow_mut();
            let state = listeners.get_mut(id.0).expect("a listener's slot lives as long as the listener");
            match state.pending.pop_front() {
                Some(accepted) => accepted,
                None if state.closed => return Poll::Ready(Err(ListenError::Closed)),
                None => {
                    state.waiter = Some(reactor.current_task());
                    return Poll::Pending;
                }
            }
        };
        match Connection::adopt(reactor, accepted.socket) {
            Ok(connection) => Poll::Ready(Ok(connection)),
            Err(state) => {
                reactor.inner.driver.borrow_mut().close(state.socket);
                Poll::Ready(Err(ListenError::Full))
            }
        }
    }
}
