//! The messages of sends with several slices: the kernel reads them until the send has ended.
//!
//! **Not** the bytes the slices point to; whoever sends vouches for those.
//!
//! **Invariants**: a message stays where it is until it is freed; a connection has one at most, since it has one send at
//! most.
//!
//! **Source**: sendmsg(2).

use std::io::IoSlice;

use crate::id::SlabKey;
use crate::outbox::SLICES_MAX;

/// A gathered send: the kernel reads both parts until it has completed.
struct GatheredSend {
    header: libc::msghdr,
    slices: [libc::iovec; SLICES_MAX],
}

#[derive(Default)]
pub(crate) struct Messages {
    /// By connection index.
    held: Vec<Option<Box<GatheredSend>>>,
    under_way: usize,
}

impl Messages {
    /// Makes the message of a connection's send; it can be read at the pointer until it is freed.
    pub(crate) fn hold(&mut self, connection: SlabKey, slices: &[IoSlice<'_>]) -> *const libc::msghdr {
        let empty = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        // SAFETY: msghdr is plain data for which zero is valid.
        let header: libc::msghdr = unsafe { std::mem::zeroed() };
        let mut message = Box::new(GatheredSend { header, slices: [empty; SLICES_MAX] });
        for (to, from) in message.slices.iter_mut().zip(slices) {
            *to = libc::iovec { iov_base: from.as_ptr().cast_mut().cast(), iov_len: from.len() };
        }
        message.header.msg_iov = message.slices.as_mut_ptr();
        message.header.msg_iovlen = slices.len().min(SLICES_MAX);
        let pointer = &raw const message.header;
        super::by_index::put(&mut self.held, connection, message);
        self.under_way += 1;
        pointer
    }

    /// Frees the message of a send that has ended; does nothing after a send of one slice.
    #[inline]
    pub(crate) fn free(&mut self, connection: SlabKey) {
        if self.under_way > 0 {
            self.free_held(connection);
        }
    }

    #[inline(never)]
    fn free_held(&mut self, connection: SlabKey) {
        if super::by_index::take(&mut self.held, connection).is_some() {
            self.under_way -= 1;
        }
    }
}
