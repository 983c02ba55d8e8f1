//! One ring: set-up, restrictions, submission, and waiting.
//!
//! **Not** aware of what its entries mean.
//!
//! **Invariants**: only the thread that made it uses it (`SINGLE_ISSUER`); a submission never fails for want of room,
//! it submits and tries again; only the opcodes in [`ALLOWED`] can be submitted, ever.

use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use io_uring::register::Restriction;
use io_uring::{CompletionQueue, IoUring, SubmissionQueue, Submitter, cqueue, opcode, squeue, types};

use super::unavailable::RingUnavailable;

/// Entries between two enters: one send per client that one enter reports, and some.
const SUBMISSIONS: u32 = 1024;
/// Completions outlive a pass when their tasks are slow; overflow is survived but costs.
const COMPLETIONS: u32 = 8 * SUBMISSIONS;
const _: () =
    assert!(COMPLETIONS >= 4 * SUBMISSIONS, "multishot operations complete more often than they are submitted");

/// The opcodes in use. The kernel refuses every other one on this ring for good: a hole in our memory safety cannot
/// be turned into file access through the ring, which seccomp would not see.
const ALLOWED: [u8; 12] = [
    opcode::AcceptMulti::CODE,
    opcode::AsyncCancel::CODE,
    opcode::Close::CODE,
    opcode::Connect::CODE,
    opcode::MsgRingData::CODE,
    opcode::Nop::CODE,
    opcode::PollAdd::CODE,
    opcode::RecvMulti::CODE,
    opcode::Send::CODE,
    opcode::SendMsg::CODE,
    opcode::SendZc::CODE,
    opcode::Timeout::CODE,
];

pub(crate) struct Ring {
    // The three parts borrow from `whole`, which is boxed and never moved; they are dropped first.
    submitter: ManuallyDrop<Submitter<'static>>,
    submissions: ManuallyDrop<SubmissionQueue<'static>>,
    completions: ManuallyDrop<CompletionQueue<'static>>,
    whole: *mut IoUring,
}

impl Ring {
    /// A ring for the calling thread, with the buffer group registered by `register` before the ring is sealed.
    ///
    /// # Errors
    /// The operator's, explained.
    pub(crate) fn new(register: impl FnOnce(&Submitter<'_>) -> io::Result<()>) -> Result<Ring, RingUnavailable> {
        let mut whole = build().map_err(|error| RingUnavailable::new("io_uring_setup", error))?;
        register(&whole.submitter()).map_err(|error| RingUnavailable::new("registering receive buffers", error))?;
        seal(&mut whole).map_err(|error| RingUnavailable::new("restricting the ring", error))?;
        let whole = Box::into_raw(Box::new(whole));
        // SAFETY: `whole` comes from a box that is freed only in `drop`, after the three parts that borrow from it.
        let (submitter, submissions, completions) = unsafe { (*whole).split() };
        let mut ring = Ring {
            submitter: ManuallyDrop::new(submitter),
            submissions: ManuallyDrop::new(submissions),
            completions: ManuallyDrop::new(completions),
            whole,
        };
        // Spares the kernel a look-up per enter. An old kernel or a full table refuses; that only costs a little.
        let _ = ring.submitter.register_ring_fd();
        Ok(ring)
    }

    pub(crate) fn fd(&self) -> RawFd {
        // SAFETY: `whole` is valid until `drop`.
        unsafe { (*self.whole).as_raw_fd() }
    }

    /// Queues an entry; submits what is queued when there is no room.
    ///
    /// # Safety
    /// All memory the entry points to must stay valid until its last completion.
    #[inline]
    pub(crate) unsafe fn push(&mut self, entry: &squeue::Entry) {
        // SAFETY: the caller vouches for the entry's memory.
        while unsafe { self.submissions.push(entry) }.is_err() {
            self.make_room();
        }
    }

    /// Submits what is queued, so that there is room for more.
    #[cold]
    fn make_room(&mut self) {
        self.submissions.sync();
        // An error leaves the queue as it was: EBUSY until completions are taken, which `enter` then does.
        if self.submitter.submit().is_err() {
            std::thread::yield_now();
        }
        self.submissions.sync();
    }

    /// Submits all that is queued. Waits for a completion as long as `wait` says: `None` not at all, `Some(None)`
    /// for ever.
    ///
    /// # Errors
    /// Ours; waits that end by time or by a signal are not errors.
    pub(crate) fn enter(&mut self, wait: Option<Option<Duration>>) -> io::Result<()> {
        self.submissions.sync();
        let result = match wait {
            None => self.submitter.submit_and_wait(0),
            Some(None) => self.submitter.submit_and_wait(1),
            Some(Some(time)) => {
                let time = types::Timespec::from(time);
                self.submitter.submit_with_args(1, &types::SubmitArgs::new().timespec(&time))
            }
        };
        self.submissions.sync();
        self.completions.sync();
        match result {
            Ok(_) => Ok(()),
            Err(error) => match error.raw_os_error() {
                Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN) => Ok(()),
                _ => Err(error),
            },
        }
    }

    /// Puts a descriptor into a place of the table of registered files; -1 empties it.
    ///
    /// # Errors
    /// The kernel's: no memory, or no such place.
    pub(crate) fn register_file(&self, place: u32, descriptor: RawFd) -> io::Result<()> {
        self.submitter.register_files_update(place, &[descriptor]).map(drop)
    }

    /// The next completion, if one is there.
    pub(crate) fn next_completion(&mut self) -> Option<cqueue::Entry> {
        self.completions.next()
    }

    /// Completions that found no room in the queue, as the kernel counts them; it keeps them (NODROP) at a cost.
    pub(crate) fn overflows(&self) -> u64 {
        u64::from(self.completions.overflow())
    }

    /// Whether the kernel holds completions back: deferred work, or an overflow of the queue.
    pub(crate) fn has_more(&mut self) -> bool {
        self.completions.sync();
        !self.completions.is_empty() || self.submissions.taskrun() || self.submissions.cq_overflow()
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: each part is dropped once, here, before the ring it borrows from; `whole` came from a box.
        unsafe {
            ManuallyDrop::drop(&mut self.submitter);
            ManuallyDrop::drop(&mut self.submissions);
            ManuallyDrop::drop(&mut self.completions);
            drop(Box::from_raw(self.whole));
        }
    }
}

/// Sets a ring up, disabled, with the newest flags this kernel takes.
fn build() -> io::Result<IoUring> {
    let mut builder = IoUring::builder();
    builder
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_coop_taskrun()
        .setup_taskrun_flag()
        .setup_submit_all()
        .setup_clamp()
        .setup_cqsize(COMPLETIONS)
        .setup_r_disabled();
    // NO_SQARRAY came with 6.6; an older kernel answers EINVAL.
    match builder.clone().setup_no_sqarray().build(SUBMISSIONS) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => builder.build(SUBMISSIONS),
        result => result,
    }
}

/// Restricts the ring to [`ALLOWED`], and enables it.
fn seal(ring: &mut IoUring) -> io::Result<()> {
    let mut restrictions: Vec<Restriction> = ALLOWED.iter().map(|code| Restriction::sqe_op(*code)).collect();
    let flags = [squeue::Flags::FIXED_FILE, squeue::Flags::BUFFER_SELECT, squeue::Flags::SKIP_SUCCESS];
    let allowed = flags.iter().fold(0, |bits, flag| bits | flag.bits());
    restrictions.push(Restriction::sqe_flags_allowed(allowed));
    // Registering the ring's own descriptor happens once the thread runs.
    restrictions.push(Restriction::register_op(REGISTER_RING_FDS));
    restrictions.push(Restriction::register_op(REGISTER_FILES_UPDATE));
    ring.submitter().register_restrictions(&mut restrictions)?;
    ring.submitter().register_enable_rings()
}

/// `IORING_REGISTER_FILES_UPDATE` and `IORING_REGISTER_RING_FDS` of `linux/io_uring.h`.
const REGISTER_FILES_UPDATE: u8 = 6;
const REGISTER_RING_FDS: u8 = 20;
