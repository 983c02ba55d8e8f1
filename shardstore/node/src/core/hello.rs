//! The first frame of a connection: who is there, what is agreed, on which core it goes on.
//!
//! ```text
//!  accepting core                                  wanted core
//!  read HELLO ─┬─ refused: our HELLO, then the end
//!              ├─ this core will do: our HELLO ─▶ session
//!              └─ another is wanted ─ Handover ─▶ our HELLO ─▶ session
//! ```
//!
//! **Not**: requests.
//!
//! **Invariants**: our HELLO is sent by the core that goes on with the connection, so that an answer means "you are where
//! you wanted to be, or it had no room"; a connection is handed over once at most.
//!
//! **Source**: docs/wire.md, "HELLO".

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

use reactor::{Connection, ConnectionError, CoreId, Instant};
use shardstore::key::{HASH_ID_RAPIDHASH_V3, STORED_KEY_BYTES_MAX};
use shardstore::wire::batch::BATCH_ENTRIES_MAX;
use shardstore::wire::frame::Decoded;
use shardstore::wire::hello::{Hello, HelloFormatError, Role, WANTED_CORE_ANY};
use shardstore::wire::terms::{SessionTerms, negotiate};
use shardstore::wire::{FrameError, HEADER_BYTES, VERSION_MAX, VERSION_MIN};

use super::drain::QUIET;
use super::intake::Intake;
use super::listener::Seat;
use super::{Core, note, session};
use crate::message::{Handover, Message};
use crate::metrics::Event;
use crate::plan::{HELLO_TIME, LINGER_TIME};

/// Where a header carries the cluster's tag.
const TAG_AT: usize = 60;

const _: () = assert!(TAG_AT + size_of::<u32>() == HEADER_BYTES);

/// Why a connection does not get past its HELLO.
enum Refusal {
    /// It said nothing, or not all of it, in time.
    TimedOut,
    /// It is gone.
    Lost,
    /// It does not speak the protocol, or not so that an answer would be understood.
    Foreign(&'static str),
    /// It gets our HELLO, so that it comes to the same verdict.
    Answered(&'static str),
}

/// Serves a connection that was accepted, from its HELLO to its end.
pub(super) async fn welcome(seat: Seat, connection: Connection) {
    let core = Rc::clone(&seat.core);
    let mut intake = Intake::new(Vec::new(), core.reactor.now());
    match read(&seat, &connection, &mut intake).await {
        Ok((hello, session)) => match session.core.filter(|wanted| *wanted != core.reactor.core().0) {
            Some(wanted) => hand_over(seat, connection, Named { wanted, hello, rest: intake.into_rest() }).await,
            None => session::run(seat, connection, session, intake).await,
        },
        Err(refusal) => refuse(&core, connection, refusal).await,
    }
}

/// Reads the peer's HELLO and compares it with ours.
async fn read(seat: &Seat, connection: &Connection, intake: &mut Intake) -> Result<(Hello, SessionTerms), Refusal> {
    let core = &seat.core;
    let deadline = core.reactor.now() + HELLO_TIME;
    loop {
        match front(intake) {
            Ok(Some((hello, bytes))) => {
                intake.consume(bytes, &mut core.spares.borrow_mut());
                let session = negotiate(&core.hello(), &hello).map_err(|error| Refusal::Answered(error.name()))?;
                return Ok((hello, session));
            }
            Ok(None) => {}
            Err(refusal) => return Err(refusal),
        }
        receive(seat, connection, intake, deadline).await?;
    }
}

/// The HELLO at the front, if it is all there, with its length.
fn front(intake: &Intake) -> Result<Option<(Hello, usize)>, Refusal> {
    // Whatever cluster the peer belongs to, its HELLO is read, so that the verdict can name it.
    let tag = intake.front().get(TAG_AT..HEADER_BYTES).and_then(|tag| tag.try_into().ok());
    let limits = Hello::limits(tag.map_or(0, u32::from_le_bytes));
    match intake.peek(&limits) {
        Ok(Decoded::Frame(frame)) => match Hello::parse(&frame) {
            Ok(hello) => Ok(Some((hello, frame.wire_bytes()))),
            Err(error @ HelloFormatError::NotHello) => Err(Refusal::Foreign(error.name())),
            Err(error) => Err(Refusal::Answered(error.name())),
        },
        Ok(Decoded::Partial { .. }) => Ok(None),
        Err(error @ FrameError::Version(_)) => Err(Refusal::Answered(error.name())),
        Err(error) => Err(Refusal::Foreign(error.name())),
    }
}

/// Waits for more bytes; for a shorter time once the node is draining.
async fn receive(seat: &Seat, connection: &Connection, intake: &mut Intake, deadline: Instant) -> Result<(), Refusal> {
    let core = &seat.core;
    let received = loop {
        let quiet_at = if core.is_draining() { core.reactor.now() + QUIET } else { Instant::NEVER };
        connection.set_deadline(deadline.min(quiet_at));
        let mut receiving = connection.receive();
        let mut rung = pin!(seat.bell.notified());
        let received = poll_fn(|context| match Pin::new(&mut receiving).poll(context) {
            Poll::Ready(received) => Poll::Ready(Some(received)),
            Poll::Pending => rung.as_mut().poll(context).map(|()| None),
        });
        if let Some(received) = received.await {
            break received;
        }
    };
    match received {
        Ok(Some(data)) => {
            intake.lend(data, core.reactor.now());
            // A HELLO is small: bringing its pieces together costs nothing that matters.
            intake.hold(&mut core.spares.borrow_mut());
            Ok(())
        }
        Ok(None) => Err(Refusal::Lost),
        Err(ConnectionError::TimedOut) => Err(Refusal::TimedOut),
        Err(_) => Err(Refusal::Lost),
    }
}

async fn refuse(core: &Core, connection: Connection, refusal: Refusal) {
    match refusal {
        Refusal::TimedOut => note(core, Event::HelloTimedOut),
        Refusal::Lost => note(core, Event::Lost),
        Refusal::Foreign(name) => core.metrics().faults.note(name),
        Refusal::Answered(name) => {
            core.metrics().faults.note(name);
            core.hello().encode(&mut connection.write());
            connection.finish(LINGER_TIME).await;
        }
    }
}

/// A connection that another core is to have.
struct Named {
    wanted: u16,
    hello: Hello,
    rest: Vec<u8>,
}

/// Gives a connection to the core it named; keeps it where that has no room for the message.
async fn hand_over(seat: Seat, connection: Connection, named: Named) {
    let core = Rc::clone(&seat.core);
    let Named { wanted, hello, rest } = named;
    let Ok(detached) = connection.detach().await else {
        note(&core, Event::Lost);
        return;
    };
    let handover = Message::Handover(Box::new(Handover { connection: detached, hello, rest }));
    match core.mailbox.send(&core.reactor, CoreId(wanted), handover) {
        Ok(()) => note(&core, Event::HandedOver),
        Err(Message::Handover(handover)) => {
            note(&core, Event::HandoverRefused);
            go_on(seat, *handover).await;
        }
        Err(_) => debug_assert!(false, "what comes back is what was sent"),
    }
}

/// Takes a connection that another core accepted.
pub(super) fn receive_handover(core: &Rc<Core>, handover: Handover) {
    let Some(seat) = Seat::take(core) else { return };
    if core.reactor.spawn(go_on(seat, handover)).is_err() {
        note(core, Event::RefusedFull);
    }
}

async fn go_on(seat: Seat, handover: Handover) {
    let core = Rc::clone(&seat.core);
    let Handover { connection, hello, rest } = handover;
    let Ok(connection) = connection.attach(&core.reactor) else {
        note(&core, Event::RefusedFull);
        return;
    };
    match negotiate(&core.hello(), &hello) {
        Ok(session) => session::run(seat, connection, session, Intake::new(rest, core.reactor.now())).await,
        Err(error) => refuse(&core, connection, Refusal::Answered(error.name())).await,
    }
}

impl Core {
    /// What this node says about itself.
    pub(super) fn hello(&self) -> Hello {
        let limits = &self.shared.settings.limits;
        let shard_max = u32::try_from(self.shard.borrow().value_bytes_max()).unwrap_or(u32::MAX);
        Hello {
            version_min: VERSION_MIN,
            version_max: VERSION_MAX,
            role: Role::Node,
            hash_id: HASH_ID_RAPIDHASH_V3,
            hash_seed: self.shared.hash_seed,
            cores: self.shared.cores,
            wanted_core: WANTED_CORE_ANY,
            features: 0,
            node_id: self.me.0,
            topology_epoch: self.topology_epoch(),
            incarnation: self.shared.incarnation,
            frame_value_bytes_max: limits.frame_bytes,
            value_bytes_max: limits.value_bytes.min(shard_max),
            credit_requests: u32::from(limits.requests_per_connection),
            credit_bytes: limits.bytes_per_connection,
            batch_entries_max: BATCH_ENTRIES_MAX,
            key_bytes_max: STORED_KEY_BYTES_MAX as u16,
            cluster: self.shared.cluster.to_string(),
        }
    }
}
