//! Freeing large values slice by slice: the kernel takes about 100 microseconds for each MiB that it gets back.
//!
//! **Not** for values up to [`SLICE_BYTES`], which are freed at once.
//!
//! **Invariants**: between two slices the core does what else has come; what a value is leased by is held until all of it is free.
//!
//! **Source**: mremap(2), by which glibc's realloc gives the end of a large allocation back where it lies.

use std::sync::Arc;

use reactor::Reactor;

/// Bytes that are freed between two turns of other tasks.
const SLICE_BYTES: usize = 1 << 20;

/// Frees a value, if nobody else has it, and then drops `lease`.
pub fn discard(reactor: &Reactor, value: Arc<Vec<u8>>, lease: impl Sized + 'static) {
    let Ok(bytes) = Arc::try_unwrap(value) else { return };
    if bytes.capacity() <= SLICE_BYTES {
        return;
    }
    let freeing = reactor.clone();
    // Without room for a task it is freed at once.
    let _ = reactor.spawn(async move {
        free(&freeing, bytes).await;
        drop(lease);
    });
}

async fn free(reactor: &Reactor, mut bytes: Vec<u8>) {
    while bytes.capacity() > SLICE_BYTES {
        let left = bytes.capacity() - SLICE_BYTES;
        bytes.truncate(left);
        bytes.shrink_to(left);
        reactor.yield_now().await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use reactor::Mailbox;

    use super::*;
    use crate::budget::{Budget, Oversize};
    use crate::rig;

    #[test]
    fn others_get_their_turn_while_a_large_value_is_freed() {
        rig::run::<()>(1, 16, |reactor: Reactor, _: Mailbox<()>| {
            let budget = Budget::new(64 << 20, Oversize::Refuse);
            let running = reactor.clone();
            let task = async move {
                let (shared, lease) = (Arc::new(vec![1; 16 << 20]), budget.lease(16 << 20));
                discard(&running, Arc::clone(&shared), ());
                discard(&running, shared, lease);
                let turns = Cell::new(0);
                while budget.leased_bytes() > 0 {
                    turns.set(turns.get() + 1);
                    running.yield_now().await;
                }
                assert!((14..=17).contains(&turns.get()), "{} turns for 16 MiB", turns.get());
                // Small ones need no task.
                let lease = Rc::new(());
                discard(&running, Arc::new(vec![1; SLICE_BYTES]), Rc::clone(&lease));
                assert_eq!(Rc::strong_count(&lease), 1);
                running.stop();
            };
            reactor.spawn(task).unwrap();
        });
    }
}
