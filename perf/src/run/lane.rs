//! One connection of the generator: connects, does what its protocol wants first, reads, and connects again.
//!
//! **Invariants**: every wait has a deadline, or the sweep of `dispatch` gives it one.

use std::rc::Rc;
use std::time::Duration;

use reactor::{Connection, ConnectionError, Instant};

use super::generator::Generator;
use super::protocol::{Granted, ProtocolResponses, Refused};
use super::tally::RequestFailure;

/// Between attempts to connect: often enough to come back within a window, not so often that failing is all it does.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// Keeps a lane connected until the run is over.
pub(super) async fn run(generator: Rc<Generator>, lane: usize) {
    let reactor = generator.reactor.clone();
    while !generator.plan.phases.is_over() {
        let deadline = reactor.now() + generator.plan.scenario.timeout;
        match open(&generator, lane, deadline).await {
            Ok((connection, allowance, answers)) => {
                generator.open(lane, connection.sender(), allowance);
                generator.issue();
                let why = read(&generator, lane, &connection, answers).await;
                generator.close(lane, why);
            }
            Err(_) => {
                generator.refuse(reactor.now().as_nanos());
                reactor.sleep(RETRY_AFTER).await;
            }
        }
    }
}

/// Connects, and brings the connection to where it can be asked.
async fn open(
    generator: &Generator,
    lane: usize,
    deadline: Instant,
) -> Result<(Connection, Granted, ProtocolResponses), Refused> {
    let plan = &generator.plan;
    let connection = generator.reactor.connect(&plan.address, deadline).await?;
    connection.set_deadline(deadline);
    // Generators of several cores begin at different cores of the server.
    let (allowance, answers) = plan.requests.open(&connection, lane + generator.reactor.core().index()).await?;
    connection.expect_bulk(plan.expects_bulk);
    connection.set_deadline(Instant::NEVER);
    Ok((connection, allowance, answers))
}

/// Reads answers until the connection fails; returns why it did.
async fn read(
    generator: &Generator,
    lane: usize,
    connection: &Connection,
    mut answers: ProtocolResponses,
) -> RequestFailure {
    loop {
        match connection.receive().await {
            Ok(Some(data)) => {
                if generator.with_listener(lane, |listener| answers.read(&data, listener)).is_err() {
                    return RequestFailure::Malformed;
                }
                generator.issue();
            }
            Err(ConnectionError::TimedOut) => return RequestFailure::TimedOut,
            Ok(None) | Err(_) => return RequestFailure::Closed,
        }
    }
}
