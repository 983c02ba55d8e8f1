//! One connection of the generator: connects, reads, and connects again.
//!
//! **Invariants**: every wait has a deadline, or the sweep of `dispatch` gives it one.

use std::rc::Rc;
use std::time::Duration;

use reactor::{Connection, ConnectionError};

use super::generator::Generator;
use super::http::Answers;
use super::tally::Failure;

/// Between attempts to connect: often enough to come back within a window, not so often that failing is all it does.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// Keeps a lane connected until the run is over.
pub(super) async fn run(generator: Rc<Generator>, lane: usize) {
    let reactor = generator.reactor.clone();
    while !generator.plan.phases.is_over() {
        let deadline = reactor.now() + generator.plan.scenario.timeout;
        match reactor.connect(&generator.plan.address, deadline).await {
            Ok(connection) => {
                generator.open(lane, connection.sender());
                generator.issue();
                let why = read(&generator, lane, &connection).await;
                generator.close(lane, why);
            }
            Err(_) => {
                generator.refuse(reactor.now().as_nanos());
                reactor.sleep(RETRY_AFTER).await;
            }
        }
    }
}

/// Reads answers until the connection fails; returns why it did.
async fn read(generator: &Generator, lane: usize, connection: &Connection) -> Failure {
    let mut answers = Answers::default();
    loop {
        match connection.receive().await {
            Ok(Some(data)) => {
                if generator.with_listener(lane, |listener| answers.read(&data, listener)).is_err() {
                    return Failure::Malformed;
                }
                generator.issue();
            }
            Ok(None) | Err(ConnectionError::Socket(_) | ConnectionError::Full) => return Failure::Closed,
            Err(ConnectionError::TimedOut) => return Failure::TimedOut,
        }
    }
}
