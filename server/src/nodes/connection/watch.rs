//! Looking after a connection on which answers are owed: whether anything moves, a PING where nothing does, and its end.
//!
//! **Not** judging a node by bytes that wait in the kernel: only by what it acknowledges and sends.
//!
//! **Invariants**: a node that gives no sign of life for its patience is given up.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use reactor::{Connection, ConnectionSender, Instant, Received};
use shardstore::key::SlotId;
use shardstore::wire::Request;
use shardstore::wire::request::Op as WireOp;

use super::{NodeConnection, PendingCall};
use crate::nodes::clock;
use crate::nodes::fault::ConnectionFault;
use crate::nodes::health::NodeHealth;
use crate::nodes::shared::ClusterShared;

/// How often a connection is looked after in the time that a node may be silent.
const LOOKS: u32 = 8;

/// How long a connection may be idle while its node's epoch is not known, or is older than ours.
const COMPARE_TIME: Duration = Duration::from_secs(1);

/// What has become of the bytes that were written, and since when something is owed.
pub(super) struct SendProgress {
    /// Bytes of requests written on this connection.
    pub(super) written: Cell<u64>,
    /// Of these, those the kernel had taken when that was last looked at.
    pub(super) taken: Cell<u64>,
    /// When it was last seen to have taken more while more was waiting, or when a request was sent while none was in flight.
    pub(super) moved: Cell<Instant>,
}

impl SendProgress {
    pub(super) fn new(now: Instant) -> Self {
        SendProgress { written: Cell::new(0), taken: Cell::new(0), moved: Cell::new(now) }
    }

    /// Looks at how much is still waiting to be taken.
    ///
    /// That the kernel takes bytes says something of the node only where it had stopped to: then it has been acknowledged some.
    fn look(&self, queued: u64, now: Instant) {
        let taken = self.written.get().saturating_sub(queued);
        if self.taken.replace(taken) < taken && queued > 0 {
            self.moved.set(now);
        }
    }
}

impl NodeConnection {
    /// Asks for a sign of life and for the time.
    fn ping(&self, now: Instant) {
        if self.pinging.get() {
            return;
        }
        let mut request = Request::new(0, SlotId::ZERO, 0, WireOp::Ping);
        let bytes = self.wire_bytes(&request);
        // Without credit, as much as the node takes is in flight: any of that is to give a sign of life.
        let Some(grant) = self.session.borrow_mut().credit.take(bytes) else { return };
        self.pinging.set(true);
        self.begin(grant, &mut request, PendingCall { sender: None, progress: None }, now);
        let session = self.session.borrow();
        if let Some(sender) = &*self.sender.borrow() {
            session.parts(&request).for_each(|part| self.write_part(&session, &request, part, sender));
        }
    }

    /// The node has answered a PING.
    pub(super) fn note_clock(&self, told_us: u64) {
        self.pinging.set(false);
        if let Some(mut clock) = self.clock.get().filter(|_| told_us > 0) {
            clock.improve(told_us, self.reactor.read_clock());
            self.clock.set(Some(clock));
        }
    }

    /// Looks after a connection on which answers are owed: a node that gives no sign of life is asked for one, and given up when
    /// that does not come.
    ///
    /// # Errors
    /// [`ConnectionFault::Silent`].
    fn look_after(&self, patience: Duration) -> Result<(), ConnectionFault> {
        let now = self.reactor.now();
        let queued = self.sender.borrow().as_ref().map_or(0, ConnectionSender::queued_bytes);
        self.progress.look(queued as u64, now);
        if self.session.borrow().is_idle() {
            return Ok(());
        }
        let silent = now.since(self.progress.moved.get().max(self.last_heard.get()));
        // Without credit for a PING the responses that are due are to be the sign.
        let patience_now = if self.pinging.get() { patience } else { patience * 3 / 2 };
        if silent >= patience_now {
            return Err(ConnectionFault::Silent(silent));
        }
        let is_clock_old = self.clock.get().is_some_and(|clock| now.since(clock.heard()) >= clock::REFRESH);
        if silent >= patience / 2 || is_clock_old {
            self.ping(now);
        }
        Ok(())
    }

    /// Waits for bytes; none when it was time to look after the connection.
    pub(super) async fn receive(
        &self,
        shared: &ClusterShared,
        node: &NodeHealth,
        connection: &Connection,
    ) -> Result<Option<Received>, ConnectionFault> {
        let patience = shared.options.get().connect_timeout;
        let is_idle = self.session.borrow().is_idle();
        let is_compared = !node.is_behind.get() && node.compared.get() == shared.topology.borrow().epoch();
        let look_at = match is_idle {
            true if is_compared => Instant::NEVER,
            true => shared.reactor.now() + COMPARE_TIME,
            false => shared.reactor.now() + patience / LOOKS,
        };
        let mut receiving = connection.receive();
        let mut begun = pin!(self.begun.notified());
        let received = poll_fn(|context| match Pin::new(&mut receiving).poll(context) {
            Poll::Ready(received) => Poll::Ready(Some(received)),
            Poll::Pending if is_idle => begun.as_mut().poll(context).map(|()| None),
            Poll::Pending => Poll::Pending,
        });
        let received = shared.reactor.until(look_at, received).await;
        if is_idle && received.is_none() && self.session.borrow().is_idle() {
            // A HELLO on another connection says which epoch the node has by now.
            return Err(ConnectionFault::Ended);
        }
        match received.flatten() {
            Some(received) => Ok(Some(received?.ok_or(ConnectionFault::Ended)?)),
            None => self.look_after(patience).map(|()| None),
        }
    }
}
