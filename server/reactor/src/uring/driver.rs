//! The driver on the kernel's ring.
//!
//! **Not** deciding: which operation is started when is the event loop's business.
//!
//! **Invariants**: `outstanding` counts operations whose memory or descriptor the kernel still uses; the driver is
//! not dropped before they are over, or what it holds for them is leaked (the loop leaks what connections hold).

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use io_uring::{Submitter, cqueue, opcode, squeue, types};

use super::alarm::{Alarm, AlarmPlan};
use super::buffer_ring::{BULK, BufferRing, SMALL};
use super::by_index::{put, take};
use super::clock::nanoseconds;
use super::messages::Messages;
use super::registered::{Name, RegisteredSockets};
use super::ring::Ring;
use super::socket::{self, RawAddress};
use super::tag::{Kind, NO_KEY, pack, unpack};
use super::unavailable::RingUnavailable;
use crate::address::Address;
use crate::buffer::Received;
use crate::driver::{
    AcceptedSocket, Completion, Copying, DetachedSocket, Driver, Errno, ListenOptions, Next, ReceiveEnd, SendResult,
    Size, Socket, Wait,
};
use crate::id::{ConnectionId, ListenerId, SlabKey};
use crate::mailbox::doorbell::{Doorbell, WakeMethod};
use crate::time::Instant;

/// The buffer groups of the two receive rings.
const SMALL_GROUP: u16 = 0;
const BULK_GROUP: u16 = 1;

/// Sends at least this large go out without a copy, until the kernel says that it copied anyhow. Below, pinning
/// pages costs more than copying them (measured by others at about 3 KiB on bare metal; taken with a margin).
const ZERO_COPY_BYTES_MIN: usize = 16 * 1024;

/// `IORING_SEND_ZC_REPORT_USAGE` and `IORING_NOTIF_USAGE_ZC_COPIED` of `linux/io_uring.h`.
const REPORT_USAGE: u16 = 1 << 3;
const USAGE_COPIED: u32 = 1 << 31;

/// Completions taken per pass at most: a pass of the loop is to stay short.
const TAKEN_MAX: usize = 4096;

/// Further enters of one pass at most: with 20 items each, more than the completions one pass takes.
const ENTERS_PER_PASS_MAX: usize = 256;

/// `IO_LOCAL_TW_DEFAULT_MAX` of the kernel's io_uring.h: an enter puts off what is beyond this many items of work.
const DEFERRED_ITEMS_MIN: usize = 20;

/// Connections whose sockets can be registered at most: 8 bytes of the kernel's each.
const PLACES_MAX: u32 = 16_384;

/// What empties a place in the table of registered sockets.
const EMPTY_PLACE: RawFd = -1;

pub(crate) struct UringDriver {
    ring: Ring,
    registered: RegisteredSockets,
    alarm: Alarm,
    /// What the alarm is set to, where the kernel reads it when the operation is submitted.
    alarm_time: Box<types::Timespec>,
    small: Rc<BufferRing>,
    bulk: Rc<BufferRing>,
    doorbell: Arc<Doorbell>,
    /// What the last of the kernel's completions said; reported before the next is taken.
    ready: VecDeque<Completion>,
    /// Completions taken and enters made since the last [`Driver::enter`].
    taken: usize,
    enters: usize,
    /// What `taken` was before the last of these enters.
    taken_before: usize,
    /// Whether the last enter may have left work that an earlier one had put off.
    leaves_work: bool,
    /// Memory of multi-slice sends and of connects under way, by connection index.
    messages: Messages,
    addresses: Vec<Option<Box<RawAddress>>>,
    signals: Option<OwnedFd>,
    outstanding: usize,
}

impl UringDriver {
    /// A driver for the calling thread.
    ///
    /// # Errors
    /// The operator's: io_uring is refused, and why.
    pub(crate) fn new(doorbell: &Arc<Doorbell>) -> Result<Self, RingUnavailable> {
        let map =
            |shape| BufferRing::new(shape).map_err(|error| RingUnavailable::new("mapping receive buffers", error));
        let (small, bulk) = (map(SMALL)?, map(BULK)?);
        let mut places = 0;
        let ring = Ring::new(|submitter| {
            places = make_places(submitter);
            for (buffers, group) in [(&small, SMALL_GROUP), (&bulk, BULK_GROUP)] {
                // SAFETY: the mapping holds that many entries and outlives the ring, after which it is dropped.
                unsafe { submitter.register_buf_ring_with_flags(buffers.address(), buffers.buffers(), group, 0)? };
            }
            Ok(())
        })?;
        doorbell.publish_ring(ring.fd());
        let mut driver = UringDriver {
            ring,
            registered: RegisteredSockets::new(places),
            alarm: Alarm::default(),
            alarm_time: Box::default(),
            small: Rc::new(small),
            bulk: Rc::new(bulk),
            doorbell: Arc::clone(doorbell),
            ready: VecDeque::new(),
            taken: 0,
            taken_before: 0,
            leaves_work: false,
            enters: 0,
            messages: Messages::default(),
            addresses: Vec::new(),
            signals: None,
            outstanding: 0,
        };
        driver.arm_doorbell();
        Ok(driver)
    }

    #[inline]
    fn push(&mut self, entry: squeue::Entry, kind: Kind, key: SlabKey) {
        let entry = entry.user_data(pack(kind, key));
        if kind != Kind::Ignored {
            self.outstanding += 1;
        }
        // SAFETY: entries of this driver point to nothing, to the boxes in `messages` and `addresses`, which are
        // kept until the completion, to `alarm_time`, which the kernel reads when it takes the entry, or to memory that the caller of `Driver::send` vouches for.
        unsafe { self.ring.push(&entry) };
    }

    /// Starts an operation that nobody waits for; only its failure posts a completion, which is ignored.
    fn push_ignored(&mut self, entry: squeue::Entry) {
        self.push(entry.flags(squeue::Flags::SKIP_SUCCESS), Kind::Ignored, NO_KEY);
    }

    fn cancel(&mut self, kind: Kind, key: SlabKey) {
        self.push_ignored(opcode::AsyncCancel::new(pack(kind, key)).build());
    }

    fn arm_doorbell(&mut self) {
        if let (WakeMethod::EventFd, Some(fd)) = (self.doorbell.method, self.doorbell.eventfd()) {
            self.poll(fd, Kind::Wake);
        }
    }

    #[cold]
    fn set_alarm(&mut self, deadline: Instant) {
        *self.alarm_time = types::Timespec::from(Duration::from_nanos(deadline.as_nanos()));
        // Absolute, on the clock of `now`.
        let entry = opcode::Timeout::new(&raw const *self.alarm_time).flags(types::TimeoutFlags::ABS).build();
        self.push(entry, Kind::Alarm, NO_KEY);
    }

    fn poll(&mut self, fd: RawFd, kind: Kind) {
        let entry = opcode::PollAdd::new(types::Fd(fd), libc::POLLIN as u32).multi(true).build();
        self.push(entry, kind, NO_KEY);
    }

    /// What a completion of the kernel's says, if it is what every request brings; anything else goes to the queue.
    #[inline(always)]
    fn translate(&mut self, entry: &cqueue::Entry) -> Option<Next> {
        let (kind, key) = unpack(entry.user_data());
        let (result, flags) = (entry.result(), entry.flags());
        if kind == Kind::Receive && result > 0 && cqueue::more(flags) {
            if let Some(buffer) = cqueue::buffer_select(flags) {
                self.small.note_lent();
                let data = Received::pooled(Rc::clone(&self.small), buffer, result as u32);
                return Some(Next::Received { connection: ConnectionId(key), data });
            }
        } else if kind == Kind::Send && result >= 0 && !cqueue::more(flags) && !cqueue::notif(flags) {
            self.note_over(kind, false);
            self.messages.free(key);
            return Some(Next::Sent { connection: ConnectionId(key), bytes: result as u32 });
        }
        self.translate_rare(entry);
        None
    }

    #[inline(never)]
    fn translate_rare(&mut self, entry: &cqueue::Entry) {
        let (kind, key) = unpack(entry.user_data());
        let (result, more) = (entry.result(), cqueue::more(entry.flags()));
        self.note_over(kind, more);
        match kind {
            Kind::Ignored => {}
            Kind::Accept => self.translate_accept(ListenerId(key), result, more),
            Kind::Connect => {
                take(&mut self.addresses, key);
                let result = if result < 0 { Err(-result) } else { Ok(()) };
                self.ready.push_back(Completion::Connected { connection: ConnectionId(key), result });
            }
            Kind::Receive | Kind::ReceiveBulk => self.translate_receive(ConnectionId(key), entry, kind),
            Kind::Send => self.translate_send(ConnectionId(key), entry),
            Kind::Alarm => self.alarm.note_over(),
            Kind::Wake if more || self.doorbell.method == WakeMethod::MsgRing => {}
            Kind::Wake => self.arm_doorbell(),
            Kind::Signal => {
                self.read_signals();
                if let (false, Some(fd)) = (more, self.signals.as_ref().map(AsRawFd::as_raw_fd)) {
                    self.poll(fd, Kind::Signal);
                }
            }
        }
    }

    fn translate_accept(&mut self, listener: ListenerId, result: i32, more: bool) {
        if result != -libc::ECANCELED {
            let result = if result < 0 { Err(-result) } else { Ok(AcceptedSocket { socket: Socket(result) }) };
            self.ready.push_back(Completion::Accepted { listener, result });
        }
        if !more {
            self.ready.push_back(Completion::AcceptEnded { listener });
        }
    }

    fn translate_receive(&mut self, connection: ConnectionId, entry: &cqueue::Entry, kind: Kind) {
        let result = entry.result();
        let buffers = if kind == Kind::ReceiveBulk { &self.bulk } else { &self.small };
        if let Some(buffer) = cqueue::buffer_select(entry.flags()) {
            buffers.note_lent();
            let data = Received::pooled(Rc::clone(buffers), buffer, result.max(0) as u32);
            if result > 0 {
                self.ready.push_back(Completion::Received { connection, data });
            }
        }
        if !cqueue::more(entry.flags()) {
            let end = match -result {
                0 => ReceiveEnd::EndOfStream,
                libc::ENOBUFS => ReceiveEnd::NoBuffers,
                libc::ECANCELED | i32::MIN..=-1 => ReceiveEnd::Disarmed,
                errno => ReceiveEnd::Failed(errno),
            };
            self.ready.push_back(Completion::ReceiveEnded { connection, end });
        }
    }

    fn translate_send(&mut self, connection: ConnectionId, entry: &cqueue::Entry) {
        if cqueue::notif(entry.flags()) {
            let copied = entry.result() as u32 & USAGE_COPIED != 0;
            self.ready.push_back(Completion::SendReleased { connection, copied });
            return;
        }
        self.messages.free(connection.0);
        let lent = cqueue::more(entry.flags());
        let result: Result<usize, Errno> = usize::try_from(entry.result()).map_err(|_| -entry.result());
        // Only a send without a copy can announce a notification and fail all the same: the socket does not do it
        // (EOPNOTSUPP on Unix sockets), or the pages may not be pinned (RLIMIT_MEMLOCK).
        let refused_zero_copy = lent
            && matches!(result, Err(libc::EOPNOTSUPP | libc::ENOMEM | libc::ENOBUFS | libc::EINVAL | libc::EFAULT));
        let result = if refused_zero_copy { Ok(0) } else { result };
        self.ready.push_back(Completion::Sent { connection, sent: SendResult { result, lent, refused_zero_copy } });
    }

    fn read_signals(&mut self) {
        let Some(fd) = &self.signals else { return };
        loop {
            // SAFETY: signalfd_siginfo is plain data for which zero is valid; read(2) fills at most its size.
            let info = unsafe {
                let mut info: libc::signalfd_siginfo = std::mem::zeroed();
                let size = size_of_val(&info);
                if libc::read(fd.as_raw_fd(), (&raw mut info).cast(), size) != size as isize {
                    return;
                }
                info
            };
            self.ready.push_back(Completion::Signal { number: info.ssi_signo as i32 });
        }
    }

    fn buffers(&self, size: Size) -> &BufferRing {
        match size {
            Size::Small => &self.small,
            Size::Bulk => &self.bulk,
        }
    }

    /// How a send names its socket, and the flag that says so.
    #[inline]
    fn name_for_send(&mut self, connection: ConnectionId, socket: Socket) -> (types::Fd, squeue::Flags) {
        let place = connection.0.index;
        let is_registered = match self.registered.next_send(place) {
            Name::Place => true,
            Name::Descriptor => false,
            Name::Register => self.register(place, socket),
        };
        if is_registered {
            (types::Fd(place as RawFd), squeue::Flags::FIXED_FILE)
        } else {
            (types::Fd(socket.0), squeue::Flags::empty())
        }
    }

    #[cold]
    fn register(&mut self, place: u32, socket: Socket) -> bool {
        let is_registered = self.ring.register_file(place, socket.0).is_ok();
        self.registered.note(place, is_registered);
        is_registered
    }
}

/// Makes the ring's table of registered sockets as large as the limit on open files lets it be; returns its size.
fn make_places(submitter: &Submitter<'_>) -> u32 {
    let mut places = PLACES_MAX;
    while places > 0 && submitter.register_files_sparse(places).is_err() {
        places /= 2;
    }
    places
}

/// The buffer group of a receive, and the kind of its operation.
fn receive_of(size: Size) -> (u16, Kind) {
    match size {
        Size::Small => (SMALL_GROUP, Kind::Receive),
        Size::Bulk => (BULK_GROUP, Kind::ReceiveBulk),
    }
}

impl Driver for UringDriver {
    #[inline]
    fn now(&self) -> Instant {
        Instant::from_nanos(nanoseconds(libc::CLOCK_MONOTONIC))
    }

    fn wall_ms(&self) -> u64 {
        // The coarse clock is one load in the vDSO; its few milliseconds of grain do not matter to a calendar.
        nanoseconds(libc::CLOCK_REALTIME_COARSE) / 1_000_000
    }

    fn steady_ms(&self) -> u64 {
        // Not CLOCK_MONOTONIC, which stops while the machine sleeps: what was stored for a minute would outlive the night.
        nanoseconds(libc::CLOCK_BOOTTIME) / 1_000_000
    }

    fn listen(&mut self, address: &Address, options: &ListenOptions) -> io::Result<(Socket, Address)> {
        let (fd, bound) = socket::listen(address, options)?;
        Ok((Socket(fd.into_raw_fd()), bound))
    }

    fn arm_accept(&mut self, listener: ListenerId, socket: Socket) {
        let entry = opcode::AcceptMulti::new(types::Fd(socket.0)).flags(libc::SOCK_CLOEXEC).build();
        self.push(entry, Kind::Accept, listener.0);
    }

    fn cancel_accept(&mut self, listener: ListenerId) {
        self.cancel(Kind::Accept, listener.0);
    }

    fn close_listener(&mut self, socket: Socket) -> Vec<AcceptedSocket> {
        // SAFETY: the descriptor came from `listen`, and the loop closes it once.
        let fd = unsafe { OwnedFd::from_raw_fd(socket.0) };
        socket::remove_own(&fd);
        let rest = socket::drain_backlog(&fd);
        rest.into_iter().map(|fd| AcceptedSocket { socket: Socket(fd.into_raw_fd()) }).collect()
    }

    fn connect(&mut self, connection: ConnectionId, address: &Address) -> io::Result<Socket> {
        let raw = Box::new(RawAddress::new(address)?);
        let fd = socket::open_to_connect(&raw)?;
        let entry = opcode::Connect::new(types::Fd(fd.as_raw_fd()), raw.as_ptr(), raw.len()).build();
        put(&mut self.addresses, connection.0, raw);
        self.push(entry, Kind::Connect, connection.0);
        Ok(Socket(fd.into_raw_fd()))
    }

    fn attach(&mut self, _: ConnectionId, _: Socket) {}

    fn peer(&self, socket: Socket) -> Option<Address> {
        socket::peer(socket.0)
    }

    fn limit_unacknowledged(&mut self, socket: Socket, longest: Duration) {
        socket::limit_unacknowledged(socket.0, longest);
    }

    fn reset_on_close(&mut self, socket: Socket) {
        socket::reset_on_close(socket.0);
    }

    fn arm_receive(&mut self, connection: ConnectionId, socket: Socket, size: Size) {
        let (group, kind) = receive_of(size);
        self.push(opcode::RecvMulti::new(types::Fd(socket.0), group).build(), kind, connection.0);
    }

    fn cancel_receive(&mut self, connection: ConnectionId, size: Size) {
        self.cancel(receive_of(size).1, connection.0);
    }

    #[inline]
    unsafe fn send(&mut self, connection: ConnectionId, socket: Socket, slices: &[IoSlice<'_>], copy: Copying) {
        // MSG_WAITALL makes the kernel go on after a short send by itself, mostly.
        let flags = libc::MSG_NOSIGNAL | libc::MSG_WAITALL;
        let (fd, kind_of_name) = self.name_for_send(connection, socket);
        let entry = match slices {
            [one] => {
                let len = u32::try_from(one.len()).unwrap_or(u32::MAX);
                if copy == Copying::May && one.len() >= ZERO_COPY_BYTES_MIN {
                    opcode::SendZc::new(fd, one.as_ptr(), len).flags(flags).zc_flags(REPORT_USAGE).build()
                } else {
                    opcode::Send::new(fd, one.as_ptr(), len).flags(flags).build()
                }
            }
            many => opcode::SendMsg::new(fd, self.messages.hold(connection.0, many)).flags(flags as u32).build(),
        };
        self.push(entry.flags(kind_of_name), Kind::Send, connection.0);
    }

    fn cancel_send(&mut self, connection: ConnectionId) {
        self.cancel(Kind::Send, connection.0);
    }

    fn cancel_connect(&mut self, connection: ConnectionId) {
        self.cancel(Kind::Connect, connection.0);
    }

    fn shutdown_send(&mut self, socket: Socket) {
        // Not through the ring: there it always runs on a worker thread, which looks the descriptor up when it gets
        // to it, and by then it may have been closed and be another connection's. (Seen on 6.18.)
        socket::shutdown_send(socket.0);
    }

    fn close(&mut self, socket: Socket) {
        if socket.0 >= 0 {
            self.push_ignored(opcode::Close::new(types::Fd(socket.0)).build());
        }
    }

    fn release(&mut self, connection: ConnectionId) {
        let place = connection.0.index;
        if self.registered.forget(place) {
            self.ring
                .register_file(place, EMPTY_PLACE)
                .expect("the place exists, and the kernel frees without failing");
        }
    }

    fn detach(&mut self, socket: Socket) -> DetachedSocket {
        // SAFETY: the loop gives the socket away and forgets it.
        DetachedSocket::Kernel(unsafe { OwnedFd::from_raw_fd(socket.0) })
    }

    fn buffers_available(&self, size: Size) -> bool {
        self.buffers(size).can_rearm()
    }

    fn watch_signals(&mut self, signals: &[i32]) -> io::Result<()> {
        // SAFETY: sigset_t is plain data that sigemptyset initialises; signalfd copies it; the descriptor it returns
        // belongs to nobody else.
        let fd = unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            for number in signals {
                libc::sigaddset(&raw mut set, *number);
            }
            let fd = libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            OwnedFd::from_raw_fd(fd)
        };
        let raw = fd.as_raw_fd();
        self.signals = Some(fd);
        self.poll(raw, Kind::Signal);
        Ok(())
    }

    fn wake(&mut self, doorbell: &Doorbell) {
        match doorbell.method {
            WakeMethod::EventFd => doorbell.write_eventfd(),
            WakeMethod::MsgRing => {
                let tag = pack(Kind::Wake, NO_KEY);
                let ring = types::Fd(doorbell.ring_fd());
                self.push_ignored(opcode::MsgRingData::new(ring, 0, tag, None).build());
            }
        }
    }

    fn enter(&mut self, wait: Wait) -> io::Result<()> {
        let wait = match wait {
            Wait::No => None,
            Wait::Forever => Some(None),
            Wait::Until(deadline) => match self.alarm.plan(deadline) {
                AlarmPlan::Stands => Some(None),
                AlarmPlan::Set => {
                    self.set_alarm(deadline);
                    Some(None)
                }
                AlarmPlan::Beside => Some(Some(deadline.since(self.now()))),
            },
        };
        (self.taken, self.taken_before, self.enters) = (0, 0, 0);
        // An enter that wants no completion runs no work that was put off, whatever else it finds.
        self.leaves_work = wait.is_none();
        self.ring.enter(wait)
    }

    #[inline(always)]
    fn next_completion(&mut self) -> Next {
        loop {
            if !self.ready.is_empty() {
                return Next::Queued;
            }
            if self.has_taken_enough() {
                return Next::Nothing;
            }
            let Some(entry) = self.ring.next_completion() else { return Next::Nothing };
            self.taken += 1;
            if let Some(next) = self.translate(&entry) {
                return next;
            }
        }
    }

    fn take_queued(&mut self) -> Option<Completion> {
        self.ready.pop_front()
    }

    fn find_more(&mut self) -> io::Result<bool> {
        // From 6.13 one enter runs about 20 items of deferred work: go on until there is no more. One that has brought
        // fewer has left none; what has come since is for the next pass, whose enter does not sleep over it.
        let brought = self.taken - self.taken_before;
        let may_have_left = self.leaves_work || brought >= DEFERRED_ITEMS_MIN;
        if !may_have_left || self.has_taken_enough() || !self.ring.has_more() || self.enters == ENTERS_PER_PASS_MAX {
            return Ok(false);
        }
        self.enters += 1;
        self.taken_before = self.taken;
        self.leaves_work = false;
        // Items that the kernel has put off are run only by an enter that wants a completion; with no time to wait it
        // runs them and returns. One that wants none leaves them, and the flag that says so, for ever (seen on 6.18).
        self.ring.enter(Some(Some(Duration::ZERO)))?;
        Ok(true)
    }

    fn overflows(&self) -> u64 {
        self.ring.overflows()
    }
}

impl Drop for UringDriver {
    /// Cancels everything and waits, for a bounded time, until the kernel has let go of our memory.
    fn drop(&mut self) {
        const ROUNDS_MAX: usize = 100;
        self.push_ignored(opcode::AsyncCancel2::new(types::CancelBuilder::any()).build());
        // What was queued last (closes) is handed over in any case.
        let mut entered = self.ring.enter(None);
        for _ in 0..ROUNDS_MAX {
            while let Some(entry) = self.ring.next_completion() {
                self.translate_for_drop(&entry);
            }
            if self.outstanding == 0 || entered.is_err() {
                break;
            }
            entered = self.ring.enter(Some(Some(Duration::from_millis(10))));
        }
        if self.outstanding > 0 {
            std::mem::forget(std::mem::take(&mut self.messages));
            std::mem::forget(std::mem::take(&mut self.addresses));
            std::mem::forget(Rc::clone(&self.small));
            std::mem::forget(Rc::clone(&self.bulk));
        }
    }
}

impl UringDriver {
    /// Whether this pass has had its share of completions.
    fn has_taken_enough(&self) -> bool {
        // Not beyond the pool: what is taken holds buffers until tasks have run.
        self.taken >= TAKEN_MAX || !self.small.can_rearm()
    }

    /// Counts an operation as over when no completion of it follows. Rings of other cores (`MsgRing`) are not ours.
    fn note_over(&mut self, kind: Kind, more: bool) {
        let foreign = kind == Kind::Wake && self.doorbell.method == WakeMethod::MsgRing;
        if kind != Kind::Ignored && !foreign && !more {
            assert!(self.outstanding > 0, "a completion of {kind:?} without its operation");
            self.outstanding -= 1;
        }
    }

    /// Counts an operation as over, and closes what it brought.
    fn translate_for_drop(&mut self, entry: &cqueue::Entry) {
        let (kind, _) = unpack(entry.user_data());
        self.note_over(kind, cqueue::more(entry.flags()));
        if kind == Kind::Accept && entry.result() >= 0 {
            // SAFETY: the kernel made this descriptor for us just now, and nobody knows of it yet.
            drop(unsafe { OwnedFd::from_raw_fd(entry.result()) });
        }
    }
}
