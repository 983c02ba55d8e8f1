//! Freeing large values slice by slice: the kernel takes about 100 microseconds for each MiB that it gets back.
//!
//! **Not** for values up to `SLICE_BYTES`, which are freed at once.
//!
//! **Invariants**: between two slices the core does what else has come; what a value leases is given back as it is freed, so that whoever
//! sends the next one finds room.
//!
//! **Source**: mremap(2), by which glibc's realloc gives the end of a large allocation back where it lies.

use std::sync::Arc;

use reactor::Reactor;

use crate::budget::Lease;

/// Bytes that are freed between two turns of other tasks.
const SLICE_BYTES: usize = 1 << 20;

/// Frees a value, if nobody else has it, and with it what it leases; done once all is free. Whoever is answered after that finds room
/// for the next value.
pub async fn reclaim(reactor: &Reactor, value: Arc<Vec<u8>>, lease: Option<Lease>) {
    if let Ok(bytes) = Arc::try_unwrap(value) {
        free(reactor, bytes, lease).await;
    }
}

/// The same, elsewhere: for what nobody is answered after.
pub fn discard(reactor: &Reactor, value: Arc<Vec<u8>>, lease: Option<Lease>) {
    let Ok(bytes) = Arc::try_unwrap(value) else { return };
    if bytes.capacity() <= SLICE_BYTES {
        return;
    }
    let freeing = reactor.clone();
    // Without room for a task it is freed at once.
    let _ = reactor.spawn(async move { free(&freeing, bytes, lease).await });
}

async fn free(reactor: &Reactor, mut bytes: Vec<u8>, mut lease: Option<Lease>) {
    while bytes.capacity() > SLICE_BYTES {
        let left = bytes.capacity() - SLICE_BYTES;
        bytes.truncate(left);
        bytes.shrink_to(left);
        if let Some(lease) = &mut lease {
            lease.shrink_to(left);
        }
        reactor.yield_now().await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

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
                discard(&running, Arc::clone(&shared), None);
                discard(&running, shared, lease);
                let turns = Cell::new(0);
                while budget.leased_bytes() > 0 {
                    turns.set(turns.get() + 1);
                    let freed = turns.get() * SLICE_BYTES;
                    assert!(budget.leased_bytes() <= (17 << 20) - freed, "{} after {freed}", budget.leased_bytes());
                    running.yield_now().await;
                }
                assert!((14..=17).contains(&turns.get()), "{} turns for 16 MiB", turns.get());
                // Small ones need no task.
                discard(&running, Arc::new(vec![1; SLICE_BYTES]), budget.lease(SLICE_BYTES));
                assert_eq!(budget.leased_bytes(), 0);
                running.stop();
            };
            reactor.spawn(task).unwrap();
        });
    }
}
