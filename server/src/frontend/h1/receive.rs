//! Receiving bytes of a request under way.

use corelane_http::h1::server::RequestReader;
use reactor::{Connection, ConnectionError, Instant, Reactor, Received};

/// The requests of one connection.
pub(super) type Requests = RequestReader<Received, Instant>;

/// Receives what belongs to a request under way. The beginning of a drain brings every deadline forward, so that idle
/// connections end; a request that has begun keeps its own.
pub(super) async fn receive_until(
    reactor: &Reactor,
    connection: &Connection,
    deadline: Instant,
) -> Result<Option<Received>, ConnectionError> {
    loop {
        connection.set_deadline(deadline);
        match connection.receive().await {
            Err(ConnectionError::TimedOut) if reactor.now() < deadline => {}
            outcome => return outcome,
        }
    }
}
