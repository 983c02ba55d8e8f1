//! Waiting for a client to take what is queued for it, and for the core's memory while others do not.
//!
//! **Invariants**: a client that takes less than [`TAKEN_BYTES_MIN`] in an idle time is given up, and while the core's memory for
//! send queues is used up, one that takes nothing in [`LOOK_TIME`]; what is under way keeps its deadline when the server begins
//! to drain.

use std::time::Duration;

use reactor::{Connection, ConnectionError, Instant};

use super::H1;

/// Bytes that a client must take in an idle time while answers wait for it. About the slowest body we take, the other
/// way round: who is slower holds memory for hours.
const TAKEN_BYTES_MIN: usize = 64 * 1024;

/// How long a client may take nothing while the core has no memory left for others: several round trips around the world, and a
/// lost packet or two.
const LOOK_TIME: Duration = Duration::from_secs(1);

/// How long a request waits for memory: those who hold it are cut off within [`LOOK_TIME`].
const MEMORY_TIME: Duration = Duration::from_secs(3);

/// How often it looks.
const MEMORY_LOOK: Duration = Duration::from_millis(5);

/// Waits until at most `below` bytes are queued, for as long as the client goes on taking them.
///
/// # Errors
/// The client takes nothing, which is counted, or is gone.
pub(super) async fn drain_to(h1: &H1, connection: &Connection, below: usize) -> Result<(), ConnectionError> {
    let mut queued = connection.queued_bytes();
    loop {
        let deadline = h1.reactor.now() + h1.snapshot.get().settings.limits.idle_timeout;
        let goal = below.max(queued.saturating_sub(TAKEN_BYTES_MIN));
        taken(h1, connection, goal, deadline).await?;
        queued = connection.queued_bytes();
        if queued <= below {
            return Ok(());
        }
    }
}

/// Waits until at most `goal` bytes are queued.
async fn taken(h1: &H1, connection: &Connection, goal: usize, deadline: Instant) -> Result<(), ConnectionError> {
    let mut queued = connection.queued_bytes();
    let mut look = h1.reactor.now() + LOOK_TIME;
    loop {
        connection.set_deadline(deadline.min(look));
        match connection.drained(goal).await {
            Err(ConnectionError::TimedOut) if h1.reactor.now() < deadline => {}
            Err(ConnectionError::TimedOut) => {
                h1.metrics.timeouts.increment();
                return Err(ConnectionError::TimedOut);
            }
            outcome => return outcome,
        }
        // The beginning of a drain wakes it earlier.
        if h1.reactor.now() < look {
            continue;
        }
        // What is sent in place costs the core no memory.
        if h1.is_full() && connection.queued_bytes() >= queued && connection.queued_buffer_bytes() > 0 {
            h1.metrics.cut_for_memory.increment();
            return Err(ConnectionError::TimedOut);
        }
        (queued, look) = (connection.queued_bytes(), h1.reactor.now() + LOOK_TIME);
    }
}

/// Waits until the core's send queues take more; false when they do not in time.
pub(super) async fn memory_comes_back(h1: &H1) -> bool {
    let deadline = h1.reactor.now() + MEMORY_TIME;
    while h1.is_overfull() {
        if h1.reactor.now() >= deadline {
            return false;
        }
        h1.reactor.sleep(MEMORY_LOOK).await;
    }
    true
}
