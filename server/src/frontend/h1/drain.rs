//! Waiting for a client to take what is queued for it.
//!
//! **Invariants**: a client that takes less than [`TAKEN_BYTES_MIN`] in an idle time is given up; what is under way keeps its
//! deadline when the server begins to drain.

use reactor::{Connection, ConnectionError, Instant};

use super::H1;

/// Bytes that a client must take in an idle time while answers wait for it. About the slowest body we take, the other
/// way round: who is slower holds memory for hours.
const TAKEN_BYTES_MIN: usize = 64 * 1024;

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
    loop {
        connection.set_deadline(deadline);
        match connection.drained(goal).await {
            Err(ConnectionError::TimedOut) if h1.reactor.now() < deadline => {}
            Err(ConnectionError::TimedOut) => {
                h1.metrics.timeouts.increment();
                return Err(ConnectionError::TimedOut);
            }
            outcome => return outcome,
        }
    }
}
