//! How a core learns that another has put something into its mailbox, and how it is woken when it sleeps.
//!
//! ```text
//!   sender                                   receiver
//!   push message (release)                   parked = true
//!   rung = true (release)                    fence
//!   fence                                    look at rung once more; sleep only if it is false
//!   parked? -> parked = false, wake it       after waking: parked = false; take rung; drain mailboxes
//! ```
//!
//! Each side writes, then fences, then reads what the other wrote: at least one of the two sees the other (the
//! store-buffer pattern), so that a message is never left behind while its receiver sleeps. `tests/loom_mailbox.rs`
//! checks it.
//!
//! **Invariants**: a core that is not parked is never woken by a system call.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::AtomicI32;

use crate::sync::{AtomicBool, Ordering, fence};

/// The part of a doorbell that both sides share.
#[derive(Debug)]
pub(crate) struct DoorbellFlags {
    rung: AtomicBool,
    parked: AtomicBool,
}

impl DoorbellFlags {
    pub(crate) fn new() -> Self {
        DoorbellFlags { rung: AtomicBool::new(false), parked: AtomicBool::new(false) }
    }

    /// The sender's side, after its message is in: true when the receiver sleeps and has to be woken.
    pub(crate) fn ring(&self) -> bool {
        // Release: who sees the bell rung sees the message too, also where stores are reordered.
        self.rung.store(true, Ordering::Release);
        // The model does not switch threads at a fence by itself, and would miss what happens between the two.
        #[cfg(loom)]
        loom::thread::yield_now();
        fence(Ordering::SeqCst);
        // Only one of several senders gets to wake; the swap happens only when the receiver is parked.
        self.parked.load(Ordering::Relaxed) && self.parked.swap(false, Ordering::Relaxed)
    }

    /// The receiver's side, before it sleeps: false when there is something to look at, and it must not.
    pub(crate) fn park(&self) -> bool {
        self.parked.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if self.rung.load(Ordering::Relaxed) {
            self.parked.store(false, Ordering::Relaxed);
            return false;
        }
        true
    }

    /// The receiver's side, once it is awake.
    pub(crate) fn unpark(&self) {
        self.parked.store(false, Ordering::Relaxed);
    }

    /// The receiver's side: whether to look into the mailboxes.
    pub(crate) fn take(&self) -> bool {
        if !self.rung.load(Ordering::Relaxed) {
            return false;
        }
        self.rung.store(false, Ordering::Relaxed);
        // The store is ordered before the reads of the mailboxes: a sender that pushes after those reads rings anew.
        fence(Ordering::SeqCst);
        true
    }

    pub(crate) fn is_rung(&self) -> bool {
        self.rung.load(Ordering::Relaxed)
    }
}

/// What a wake from outside goes through. Which one is cheaper differs by kernel and load: measure, then choose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WakeMethod {
    /// The sender writes to an eventfd on which the receiver has a multishot poll: one system call, at once.
    EventFd,
    /// The sender's ring posts a completion to the receiver's (`IORING_OP_MSG_RING`): batched with its next enter.
    MsgRing,
}

/// A core's doorbell: shared by all cores of its process.
#[derive(Debug)]
pub(crate) struct Doorbell {
    pub(crate) flags: DoorbellFlags,
    pub(crate) method: WakeMethod,
    eventfd: Option<OwnedFd>,
    /// The receiver's ring, once it runs; -1 before.
    ring: AtomicI32,
}

impl Doorbell {
    /// A doorbell for a core on the kernel's ring.
    ///
    /// # Errors
    /// Ours, when the process has no file descriptor left for the eventfd.
    pub(crate) fn for_ring(method: WakeMethod) -> std::io::Result<Arc<Doorbell>> {
        // SAFETY: eventfd(2) takes no pointers.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(std::io::Error::last_os_error());
        }
        // SAFETY: `fd` was opened just above and belongs to nobody else.
        let eventfd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Arc::new(Doorbell { flags: DoorbellFlags::new(), method, eventfd: Some(eventfd), ring: AtomicI32::new(-1) }))
    }

    /// A doorbell for a simulated core: the scheduler looks at its flags, nothing has to be woken.
    pub(crate) fn simulated() -> Arc<Doorbell> {
        let ring = AtomicI32::new(-1);
        Arc::new(Doorbell { flags: DoorbellFlags::new(), method: WakeMethod::EventFd, eventfd: None, ring })
    }

    pub(crate) fn eventfd(&self) -> Option<RawFd> {
        self.eventfd.as_ref().map(AsRawFd::as_raw_fd)
    }

    pub(crate) fn ring_fd(&self) -> RawFd {
        self.ring.load(Ordering::Acquire)
    }

    pub(crate) fn publish_ring(&self, fd: RawFd) {
        self.ring.store(fd, Ordering::Release);
    }

    /// Wakes through the eventfd.
    pub(crate) fn write_eventfd(&self) {
        let Some(fd) = self.eventfd() else { return };
        let one = 1u64.to_ne_bytes();
        // SAFETY: `one` is 8 readable bytes, which is what write(2) to an eventfd takes. It fails only when the
        // counter is full, and then the receiver has been woken already.
        unsafe { libc::write(fd, one.as_ptr().cast(), one.len()) };
    }
}
