//! The driver of a simulated core: every operation goes to the shared [`Network`].
//!
//! **Not** deciding anything: what happens when is the network's business.
//!
//! **Invariants**: no operation completes inside the call that starts it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::time::Duration;

use super::endpoint::{CoreAddress, WINDOW_BYTES};
use super::network::Network;
use crate::address::Address;
use crate::driver::{
    AcceptedSocket, Completion, Copying, DetachedSocket, Driver, ListenOptions, Next, Size, Socket, Wait,
};
use crate::id::{ConnectionId, ListenerId};
use crate::mailbox::doorbell::Doorbell;
use crate::time::Instant;

/// Wall-clock time at the start of every simulation: 2030-01-01.
const EPOCH_MS: u64 = 1_893_456_000_000;
/// By how much the machines of processes have been started one after another: 28 hours.
const UPTIME_STEP_MS: u64 = 100_000_007;

pub(crate) struct SimDriver {
    pub(crate) network: Rc<RefCell<Network>>,
    pub(crate) place: CoreAddress,
    /// Taken by the last enter and not reported.
    ready: VecDeque<Completion>,
}

impl SimDriver {
    pub(crate) fn new(network: Rc<RefCell<Network>>, place: CoreAddress) -> Self {
        SimDriver { network, place, ready: VecDeque::new() }
    }

    fn key(&self) -> (usize, usize) {
        (self.place.process, self.place.core)
    }

    fn socket_of(&self, connection: ConnectionId) -> Option<i32> {
        self.network.borrow().by_connection(self.key(), connection)
    }
}

/// The wall clock of a process, in milliseconds of Unix time.
pub(super) fn wall_ms(network: &Network, process: usize) -> u64 {
    let skew_ms = network.clock_skews_ms.get(&process).copied().unwrap_or(0);
    (EPOCH_MS + network.now.as_nanos() / 1_000_000).saturating_add_signed(skew_ms)
}

impl Driver for SimDriver {
    fn now(&self) -> Instant {
        self.network.borrow().process_now(self.place.process)
    }

    fn wall_ms(&self) -> u64 {
        wall_ms(&self.network.borrow(), self.place.process)
    }

    fn steady_ms(&self) -> u64 {
        // No two machines have started at the same time: a reading that leaves its process is found out.
        let uptime_ms = UPTIME_STEP_MS * (1 + self.place.process as u64);
        uptime_ms + self.network.borrow().now.as_nanos() / 1_000_000
    }

    fn listen(&mut self, address: &Address, options: &ListenOptions) -> io::Result<(Socket, Address)> {
        let listened = self.network.borrow_mut().listen(self.place, address, options.reuse_port);
        listened.map(|socket| (Socket(socket), address.clone())).map_err(io::Error::from_raw_os_error)
    }

    fn arm_accept(&mut self, listener: ListenerId, socket: Socket) {
        self.network.borrow_mut().arm_accept(listener, socket.0);
    }

    fn cancel_accept(&mut self, listener: ListenerId) {
        self.network.borrow_mut().cancel_accept(self.key(), listener);
    }

    fn close_listener(&mut self, socket: Socket) -> Vec<AcceptedSocket> {
        self.network.borrow_mut().close_listener(socket.0)
    }

    fn connect(&mut self, connection: ConnectionId, address: &Address) -> io::Result<Socket> {
        Ok(Socket(self.network.borrow_mut().connect(self.place, connection, address)))
    }

    fn attach(&mut self, connection: ConnectionId, socket: Socket) {
        self.network.borrow_mut().attach(self.place, Some(connection), socket.0);
    }

    fn peer(&self, socket: Socket) -> Option<Address> {
        self.network.borrow().peer(socket.0)
    }

    fn limit_unacknowledged(&mut self, _: Socket, _: Duration) {
        // The simulated kernel keeps what it holds as long as the connection is open: the worst that may happen.
    }

    fn reset_on_close(&mut self, socket: Socket) {
        self.network.borrow_mut().reset_on_close(socket.0);
    }

    fn arm_receive(&mut self, _: ConnectionId, socket: Socket, _: Size) {
        self.network.borrow_mut().arm_receive(socket.0);
    }

    fn cancel_receive(&mut self, connection: ConnectionId, _: Size) {
        if let Some(socket) = self.socket_of(connection) {
            self.network.borrow_mut().cancel_receive(socket);
        }
    }

    unsafe fn send(&mut self, _: ConnectionId, socket: Socket, slices: &[IoSlice<'_>], _: Copying) {
        // Copied at once: the simulated kernel keeps no reference to anybody's memory.
        let mut bytes = Vec::new();
        for slice in slices {
            let room = WINDOW_BYTES.saturating_sub(bytes.len());
            bytes.extend_from_slice(&slice[..slice.len().min(room)]);
        }
        self.network.borrow_mut().send(socket.0, bytes);
    }

    fn cancel_send(&mut self, connection: ConnectionId) {
        if let Some(socket) = self.socket_of(connection) {
            self.network.borrow_mut().cancel_send(socket);
        }
    }

    fn cancel_connect(&mut self, connection: ConnectionId) {
        if let Some(socket) = self.socket_of(connection) {
            self.network.borrow_mut().cancel_connect(socket);
        }
    }

    fn shutdown_send(&mut self, socket: Socket) {
        self.network.borrow_mut().shutdown_send(socket.0);
    }

    fn close(&mut self, socket: Socket) {
        self.network.borrow_mut().close(socket.0);
    }

    fn release(&mut self, _: ConnectionId) {}

    fn detach(&mut self, socket: Socket) -> DetachedSocket {
        self.network.borrow_mut().attach(self.place, None, socket.0);
        DetachedSocket::Simulated(socket.0)
    }

    fn buffers_available(&self, _: Size) -> bool {
        true
    }

    fn watch_signals(&mut self, _: &[i32]) -> io::Result<()> {
        Ok(())
    }

    fn wake(&mut self, _: &Doorbell) {
        // The scheduler looks at every doorbell before it lets time pass.
    }

    fn enter(&mut self, _: Wait) -> io::Result<()> {
        let key = self.key();
        self.network.borrow_mut().take_completions(key, &mut self.ready);
        Ok(())
    }

    fn next_completion(&mut self) -> Next {
        if self.ready.is_empty() { Next::Nothing } else { Next::Queued }
    }

    fn take_queued(&mut self) -> Option<Completion> {
        self.ready.pop_front()
    }

    fn find_more(&mut self) -> io::Result<bool> {
        Ok(false)
    }

    fn overflows(&self) -> u64 {
        0
    }
}
