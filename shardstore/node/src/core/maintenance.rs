//! Background work of a core: the cache's, and the publication of numbers.
//!
//! **Not**: what an insert needs at once; that is the cache's own.
//!
//! **Invariants**: a slice is bounded; a core without work sleeps between slices, longer when there was nothing to do.
//!
//! **Source**: shardstore/README.md.

use std::rc::Rc;
use std::time::Duration;

use super::NodeCore;

/// Units of one slice: below 100 microseconds.
const SLICE_UNITS: u32 = 64;

/// Slices in one turn before the core sleeps again, each after all other ready tasks.
const SLICES_PER_TURN: usize = 64;

/// Pause after a turn that found work.
const PAUSE_BUSY: Duration = Duration::from_millis(20);

/// Pause after a turn that found none: expired items are found this late, and numbers are this old.
const PAUSE_IDLE: Duration = Duration::from_millis(500);

pub(super) async fn maintain(core: Rc<NodeCore>) {
    loop {
        core.drop_disowned().await;
        let mut slices = 0;
        while slices < SLICES_PER_TURN {
            let done = core.store.maintain(SLICE_UNITS);
            if done < SLICE_UNITS {
                break;
            }
            slices += 1;
            core.reactor.yield_now().await;
        }
        core.publish();
        let pause = if slices > 0 { PAUSE_BUSY } else { PAUSE_IDLE };
        core.until_disowning(core.reactor.now() + pause).await;
    }
}
