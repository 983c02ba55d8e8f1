//! The one interface between the event loop and what moves bytes: the kernel's ring, or the simulated network.
//!
//! **Not** public: what runs on the reactor sees [`crate::Reactor`] and never knows which driver is below.
//!
//! **Invariants**: every operation a driver starts ends with exactly one final completion, also when it was
//! cancelled; a completion for a key that no longer exists is dropped by the loop, never misdelivered.

use std::io;
use std::io::IoSlice;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use crate::address::Address;
use crate::buffer::Received;
use crate::id::{ConnectionId, ListenerId};
use crate::mailbox::doorbell::Doorbell;
use crate::sim::SimDriver;
use crate::time::Instant;
use crate::uring::UringDriver;

/// A socket as its driver names it: a file descriptor, or an endpoint of the simulated network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Socket(pub(crate) i32);

/// An `errno` value.
pub(crate) type Errno = i32;

/// A connection that a listener has accepted and nobody has taken yet.
#[derive(Debug)]
pub(crate) struct AcceptedSocket {
    pub(crate) socket: Socket,
}

/// Why a multishot receive is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ReceiveEnd {
    /// The peer has sent all it will send.
    EndOfStream,
    Failed(Errno),
    /// The pool had no buffer left (`ENOBUFS`): arm again when some have come back.
    NoBuffers,
    /// Cancelled by us, or ended by the kernel for reasons of its own: arm again when wanted.
    Disarmed,
}

/// Which of the pools a receive takes its buffers from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Size {
    /// For requests and frames.
    #[default]
    Small,
    /// For bodies and other bulk.
    Bulk,
}

/// Whether a send has to copy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Copying {
    /// The driver may send from our memory, if that pays.
    May,
    /// An earlier send still has our memory, or sending without a copy does not work on this connection.
    Must,
}

/// How a send has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SendResult {
    pub(crate) result: Result<usize, Errno>,
    /// The kernel still reads the memory; a `SendReleased` follows.
    pub(crate) lent: bool,
    /// A send without a copy that the kernel would not do has sent nothing (`Ok(0)`): try again with a copy.
    pub(crate) refused_zero_copy: bool,
}

impl SendResult {
    /// The end of a send that took a copy of the memory.
    pub(crate) fn copied(result: Result<usize, Errno>) -> SendResult {
        SendResult { result, lent: false, refused_zero_copy: false }
    }
}

/// What a driver reports, in the order in which it happened.
pub(crate) enum Completion {
    Accepted {
        listener: ListenerId,
        result: Result<AcceptedSocket, Errno>,
    },
    /// The multishot accept is over; no `Accepted` follows until it is armed again.
    AcceptEnded {
        listener: ListenerId,
    },
    Connected {
        connection: ConnectionId,
        result: Result<(), Errno>,
    },
    Received {
        connection: ConnectionId,
        data: Received,
    },
    ReceiveEnded {
        connection: ConnectionId,
        end: ReceiveEnd,
    },
    Sent {
        connection: ConnectionId,
        sent: SendResult,
    },
    /// `copied`: the kernel copied all the same; the detour gains nothing on this connection.
    SendReleased {
        connection: ConnectionId,
        copied: bool,
    },
    /// A signal of the process has arrived, by number.
    Signal {
        number: i32,
    },
}

/// The next thing a driver has to say. What is said for every request is here, small enough for registers; all else
/// waits in a queue.
pub(crate) enum Next {
    /// [`Completion::Received`].
    Received { connection: ConnectionId, data: Received },
    /// [`Completion::Sent`] of so many bytes, all of them copied.
    Sent { connection: ConnectionId, bytes: u32 },
    /// Whatever [`Driver::take_queued`] gives.
    Queued,
    /// No more for now: all that [`Driver::enter`] found are reported, or as many as one pass takes.
    Nothing,
}

/// How long a core may wait for its next completion.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wait {
    /// Not at all: there is work.
    No,
    /// Until this instant; a wait may end early for nothing.
    Until(Instant),
    /// Until something happens.
    Forever,
}

pub(crate) trait Driver {
    fn now(&self) -> Instant;

    /// Milliseconds since the Unix epoch.
    fn wall_ms(&self) -> u64;

    /// Milliseconds since the machine started, the time it slept included.
    fn steady_ms(&self) -> u64;

    /// Opens a listening socket; accepts begin with [`Driver::arm_accept`].
    fn listen(&mut self, address: &Address, options: &ListenOptions) -> io::Result<(Socket, Address)>;

    fn arm_accept(&mut self, listener: ListenerId, socket: Socket);

    /// Asks for the accept to end; `AcceptEnded` follows.
    fn cancel_accept(&mut self, listener: ListenerId);

    /// Takes what is left in the backlog, so that no client that has connected is reset, and closes the socket.
    fn close_listener(&mut self, socket: Socket) -> Vec<AcceptedSocket>;

    /// Makes a socket and starts to connect it; `Connected` follows.
    fn connect(&mut self, connection: ConnectionId, address: &Address) -> io::Result<Socket>;

    /// Tells the driver that `socket` is `connection` from now on.
    fn attach(&mut self, connection: ConnectionId, socket: Socket);

    /// The other end of a connected socket, where it has an address.
    fn peer(&self, socket: Socket) -> Option<Address>;

    /// Gives the connection up when the peer has acknowledged nothing for so long although bytes are on the way to it.
    fn limit_unacknowledged(&mut self, socket: Socket, longest: Duration);

    /// Makes the close of a socket a reset: what the kernel still holds of it is thrown away instead of sent.
    fn reset_on_close(&mut self, socket: Socket);

    fn arm_receive(&mut self, connection: ConnectionId, socket: Socket, size: Size);

    /// Asks for the receive to end; `ReceiveEnded` follows.
    fn cancel_receive(&mut self, connection: ConnectionId, size: Size);

    /// Starts to send; `Sent` follows, with how much.
    ///
    /// # Safety
    /// The memory of `slices` must stay valid and unchanged until `Sent` (and `SendReleased`, when `Sent` says that
    /// the memory is lent) has been reported.
    unsafe fn send(&mut self, connection: ConnectionId, socket: Socket, slices: &[IoSlice<'_>], copy: Copying);

    /// Asks for the send to end; `Sent` follows.
    fn cancel_send(&mut self, connection: ConnectionId);

    fn cancel_connect(&mut self, connection: ConnectionId);

    /// Tells the peer that nothing more will be sent.
    fn shutdown_send(&mut self, socket: Socket);

    /// Closes a socket on which no operation is under way.
    fn close(&mut self, socket: Socket);

    /// Tells the driver that a connection's socket is about to be closed or given away.
    fn release(&mut self, connection: ConnectionId);

    /// Gives the socket away to another core of the process.
    fn detach(&mut self, socket: Socket) -> DetachedSocket;

    /// Whether enough pooled buffers are back for a receive that ended with `NoBuffers` to be armed again.
    fn buffers_available(&self, size: Size) -> bool;

    /// Starts to report signals of the process (`Signal`), which must be blocked in all threads.
    fn watch_signals(&mut self, signals: &[i32]) -> io::Result<()>;

    /// Wakes the core behind `doorbell`.
    fn wake(&mut self, doorbell: &Doorbell);

    /// Hands all started operations over, waits as `wait` says, and begins to report what is complete.
    fn enter(&mut self, wait: Wait) -> io::Result<()>;

    /// Reports the next completion.
    fn next_completion(&mut self) -> Next;

    /// The completion that [`Next::Queued`] announced.
    fn take_queued(&mut self) -> Option<Completion>;

    /// Looks for completions that [`Driver::enter`] did not find, once there is nothing next. False when this pass has
    /// had all that it takes.
    fn find_more(&mut self) -> io::Result<bool>;

    /// Completions that found no room in the kernel's queue so far.
    fn overflows(&self) -> u64;
}

/// The drivers there are. What happens for every request is dispatched here, where it can be inlined; the rest goes
/// through the trait object that this dereferences to.
pub(crate) enum AnyDriver {
    Uring(Box<UringDriver>),
    Simulated(SimDriver),
}

impl AnyDriver {
    #[inline]
    pub(crate) fn now(&self) -> Instant {
        match self {
            AnyDriver::Uring(driver) => driver.now(),
            AnyDriver::Simulated(driver) => driver.now(),
        }
    }

    /// See [`Driver::send`].
    ///
    /// # Safety
    /// As for [`Driver::send`].
    #[inline]
    pub(crate) unsafe fn send(
        &mut self,
        connection: ConnectionId,
        socket: Socket,
        slices: &[IoSlice<'_>],
        copy: Copying,
    ) {
        match self {
            // SAFETY: the caller vouches for the memory.
            AnyDriver::Uring(driver) => unsafe { driver.send(connection, socket, slices, copy) },
            // SAFETY: as above.
            AnyDriver::Simulated(driver) => unsafe { driver.send(connection, socket, slices, copy) },
        }
    }

    #[inline]
    pub(crate) fn enter(&mut self, wait: Wait) -> io::Result<()> {
        match self {
            AnyDriver::Uring(driver) => driver.enter(wait),
            AnyDriver::Simulated(driver) => driver.enter(wait),
        }
    }

    #[inline(always)]
    pub(crate) fn next_completion(&mut self) -> Next {
        match self {
            AnyDriver::Uring(driver) => driver.next_completion(),
            AnyDriver::Simulated(driver) => driver.next_completion(),
        }
    }

    #[inline]
    pub(crate) fn find_more(&mut self) -> io::Result<bool> {
        match self {
            AnyDriver::Uring(driver) => driver.find_more(),
            AnyDriver::Simulated(driver) => driver.find_more(),
        }
    }
}

impl Deref for AnyDriver {
    type Target = dyn Driver;

    fn deref(&self) -> &Self::Target {
        match self {
            AnyDriver::Uring(driver) => &**driver,
            AnyDriver::Simulated(driver) => driver,
        }
    }
}

impl DerefMut for AnyDriver {
    fn deref_mut(&mut self) -> &mut Self::Target {
        match self {
            AnyDriver::Uring(driver) => &mut **driver,
            AnyDriver::Simulated(driver) => driver,
        }
    }
}

/// Most cores among which connections are steered by CPU: two instructions each, of a program that may have 4096.
pub const STEERED_CPUS_MAX: usize = 1024;

/// How a listening socket is opened.
#[derive(Clone, Debug)]
pub struct ListenOptions {
    /// Connections that may wait to be accepted (`listen(2)`; the kernel caps it at `net.core.somaxconn`).
    pub backlog: u32,
    /// Every core opens the address for itself and the kernel spreads connections over them (`SO_REUSEPORT`).
    pub reuse_port: bool,
    /// Fail if another process listens on the address already, although it would share it: set by the first core that
    /// opens it, so that a second instance of a server is noticed instead of getting half of the connections.
    pub claim: bool,
    /// The CPU of each core, in the order in which cores open the address: a connection goes to the core whose CPU took its packets
    /// (`SO_ATTACH_REUSEPORT_CBPF`), and by a hash where no core has that CPU. Empty: always by a hash. At most [`STEERED_CPUS_MAX`].
    pub steered_cpus: Vec<u32>,
    /// Mode of the file of a Unix socket, from before the first connection on; without it as the umask leaves it.
    pub unix_mode: Option<u32>,
}

impl Default for ListenOptions {
    fn default() -> Self {
        ListenOptions { backlog: 4096, reuse_port: true, claim: false, steered_cpus: Vec::new(), unix_mode: None }
    }
}

/// A socket between two cores of one process: owned by nobody's ring.
#[derive(Debug)]
pub(crate) enum DetachedSocket {
    Kernel(std::os::fd::OwnedFd),
    Simulated(i32),
}
