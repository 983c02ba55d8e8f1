//! What a core counts, and how.
//!
//! **Not** shared: a core counts for itself, and whoever reports asks each.
//!
//! **Invariants**: every count only grows; `accept_errno` is no count, but the last of something that was counted.

use std::cell::Cell;

/// Declares the counts twice: as cells for the core, and as plain numbers for those who read them.
macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What a core counts: monotone sums since its start, and an error number.
        #[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
        pub struct ReactorCounters {
            $($(#[$doc])* pub $name: u64,)*
        }

        /// The counts where they grow: one cell each, so that counting is one addition.
        #[derive(Default)]
        pub(crate) struct CounterCells {
            $(pub(crate) $name: Cell<u64>,)*
        }

        impl CounterCells {
            pub(crate) fn read(&self) -> ReactorCounters {
                ReactorCounters { $($name: self.$name.get(),)* }
            }
        }
    };
}

counters! {
    /// Passes of the event loop.
    passes,
    /// Task polls.
    polls,
    /// Completions handled.
    completions,
    /// Connections accepted.
    accepted,
    /// Accepts that failed (`EMFILE`, say).
    accept_errors,
    /// The error number of the last of these; 0 for none.
    accept_errno,
    /// Sends started.
    sends,
    /// Bytes received.
    received_bytes,
    /// Bytes sent.
    sent_bytes,
    /// Receives that ended because the pool had no buffer left.
    starved,
    /// Receives stopped because their task did not read.
    held_back,
    /// Other cores woken by a system call or a ring message.
    wakes,
    /// Completions that found no room in the kernel's queue.
    overflows,
}

/// Adds to one of the counts.
pub(crate) fn add(count: &Cell<u64>, more: u64) {
    count.set(count.get() + more);
}
