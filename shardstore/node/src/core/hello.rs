//! The first frame of a connection: the peer, the terms, and the core that serves the connection.
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
use std::sync::Arc;
use std::task::Poll;

use corelane_tls::store::ProcessIdentity;
use reactor::{Address, Connection, ConnectionError, CoreId, Instant, Received};
use shardstore::key::{HASH_ID_RAPIDHASH_V3, STORED_KEY_BYTES_MAX};
use shardstore::session::{FrameReader, HelloReadError};
use shardstore::wire::batch::BATCH_ENTRIES_MAX;
use shardstore::wire::hello::{FEATURE_READ, Hello, HelloExtension, HelloFormatError, Role, WANTED_CORE_ANY};
use shardstore::wire::terms::{HelloError, SessionTerms, negotiate};
use shardstore::wire::{FrameError, VERSION_MAX, VERSION_MIN};

use super::context::clock_us;
use super::drain::QUIET;
use super::permit::ConnectionPermit;
use super::{NodeCore, identity, note, session};
use crate::message::{Handover, NodeMessage, PeerFault, PeerRefused};
use crate::metrics::Event;
use crate::plan::{HELLO_TIME, LINGER_TIME};

/// Why a connection does not get past its HELLO.
enum HelloRefusal {
    /// It said nothing, or not all of it, in time.
    TimedOut,
    /// It is gone.
    Lost,
    /// It does not speak the protocol, or not so that an answer would be understood.
    Foreign(&'static str),
    /// It gets our HELLO, so that it comes to the same verdict.
    Answered(&'static str),
    /// The two do not agree; as above, and the operator is told.
    Disagreed(HelloError),
    /// It says that it is somebody else than it has shown; it is told nothing.
    Impostor(PeerFault),
}

impl From<HelloReadError> for HelloRefusal {
    fn from(error: HelloReadError) -> Self {
        match error {
            HelloReadError::Format(error @ HelloFormatError::NotHello) => HelloRefusal::Foreign(error.name()),
            HelloReadError::Format(error) => HelloRefusal::Answered(error.name()),
            HelloReadError::Frame(error @ FrameError::Version(_)) => HelloRefusal::Answered(error.name()),
            HelloReadError::Frame(error) => HelloRefusal::Foreign(error.name()),
        }
    }
}

/// Serves a connection that was accepted, from its HELLO to its end.
pub(super) async fn admit(permit: ConnectionPermit, connection: Connection) {
    let core = Rc::clone(&permit.core);
    let deadline = core.reactor.now() + HELLO_TIME;
    // In memory of its own, which a connection that is established does not keep.
    let certified = match Box::pin(identity::establish(&core, &connection, deadline)).await {
        Ok(certified) => certified,
        Err(fault) => return identity::refuse(&core, connection, fault).await,
    };
    let mut reader = FrameReader::default();
    match read(&permit, &connection, (&mut reader, deadline), certified.as_ref()).await {
        Ok((hello, terms)) => match terms.core.filter(|wanted| *wanted != core.reactor.core().0) {
            Some(wanted) => {
                hand_over(permit, connection, PendingHandover { wanted, hello, rest: reader.into_rest() }).await;
            }
            None => session::run(permit, connection, terms, reader).await,
        },
        Err(refusal) => refuse(&core, connection, (refusal, reader)).await,
    }
}

/// Reads the peer's HELLO and compares it with ours.
async fn read(
    permit: &ConnectionPermit,
    connection: &Connection,
    (reader, deadline): (&mut FrameReader, Instant),
    certified: Option<&ProcessIdentity>,
) -> Result<(Hello, SessionTerms), HelloRefusal> {
    let core = &permit.core;
    loop {
        let data = receive(permit, connection, deadline).await?;
        if let Some(hello) = reader.read_hello(&data, &mut core.spares.borrow_mut())? {
            if let Some(certified) = certified {
                identity::check(&hello, certified).map_err(HelloRefusal::Impostor)?;
            }
            let terms = negotiate(&core.hello(), &hello).map_err(HelloRefusal::Disagreed)?;
            return Ok((hello, terms));
        }
    }
}

/// Waits for more bytes; for a shorter time once the node is draining.
async fn receive(
    permit: &ConnectionPermit,
    connection: &Connection,
    deadline: Instant,
) -> Result<Received, HelloRefusal> {
    let core = &permit.core;
    let received = loop {
        let quiet_at = if core.is_draining() { core.reactor.now() + QUIET } else { Instant::NEVER };
        connection.set_deadline(deadline.min(quiet_at));
        let mut receiving = connection.receive();
        let mut notified = pin!(permit.attention.notified());
        let received = poll_fn(|context| match Pin::new(&mut receiving).poll(context) {
            Poll::Ready(received) => Poll::Ready(Some(received)),
            Poll::Pending => notified.as_mut().poll(context).map(|()| None),
        });
        if let Some(received) = received.await {
            break received;
        }
    };
    match received {
        Ok(Some(data)) => Ok(data),
        Err(ConnectionError::TimedOut) => Err(HelloRefusal::TimedOut),
        Ok(None) | Err(_) => Err(HelloRefusal::Lost),
    }
}

async fn refuse(core: &NodeCore, connection: Connection, (refusal, reader): (HelloRefusal, FrameReader)) {
    match refusal {
        HelloRefusal::Impostor(fault) => {
            core.metrics().faults.note("wrong_identity");
            core.report_refused(connection.peer(), fault);
        }
        HelloRefusal::TimedOut => note(core, Event::HelloTimedOut),
        HelloRefusal::Lost => note(core, Event::Lost),
        HelloRefusal::Foreign(name) => core.metrics().faults.note(name),
        HelloRefusal::Answered(name) => answer_and_end(core, connection, (name, &core.hello_to_stranger())).await,
        HelloRefusal::Disagreed(HelloError::Map { epoch, first, last }) => {
            let ours = core.hello_with_owners(first);
            ours.encode(&mut connection.write());
            let known = HelloError::Map { epoch, first, last };
            let error = read_owners(core, &connection, (&ours, reader)).await.unwrap_or(known);
            core.metrics().faults.note(error.name());
            core.report_refused(connection.peer(), error.into());
            connection.finish(LINGER_TIME).await;
        }
        HelloRefusal::Disagreed(error) => {
            let name = error.name();
            let is_ours = !matches!(error, HelloError::Cluster { .. } | HelloError::Version { .. });
            core.report_refused(connection.peer(), error.into());
            let hello = if is_ours { core.hello() } else { core.hello_to_stranger() };
            answer_and_end(core, connection, (name, &hello)).await;
        }
    }
}

async fn answer_and_end(core: &NodeCore, connection: Connection, (name, hello): (&'static str, &Hello)) {
    core.metrics().faults.note(name);
    hello.encode(&mut connection.write());
    connection.finish(LINGER_TIME).await;
}

/// Waits for the HELLO in which a peer with another map shows the owners of the block that ours has shown; gives what the two say.
async fn read_owners(
    core: &NodeCore,
    connection: &Connection,
    (ours, mut reader): (&Hello, FrameReader),
) -> Option<HelloError> {
    connection.set_deadline(core.reactor.now() + LINGER_TIME);
    loop {
        let data = connection.receive().await.ok()??;
        if let Some(theirs) = reader.read_hello(&data, &mut core.spares.borrow_mut()).ok()? {
            return negotiate(ours, &theirs).err();
        }
    }
}

/// A connection that another core is to have.
struct PendingHandover {
    wanted: u16,
    hello: Hello,
    rest: Vec<u8>,
}

/// Gives a connection to the core it named; keeps it where that has no room for the message.
async fn hand_over(permit: ConnectionPermit, connection: Connection, named: PendingHandover) {
    let core = Rc::clone(&permit.core);
    let PendingHandover { wanted, hello, rest } = named;
    let Ok(detached) = connection.detach().await else {
        note(&core, Event::Lost);
        return;
    };
    let handover = NodeMessage::Handover(Box::new(Handover { connection: detached, hello, rest }));
    match core.mail.send(CoreId(wanted), handover) {
        Ok(()) => note(&core, Event::HandedOver),
        Err(NodeMessage::Handover(handover)) => {
            note(&core, Event::HandoverRefused);
            go_on(permit, *handover).await;
        }
        Err(_) => debug_assert!(false, "what comes back is what was sent"),
    }
}

/// Takes a connection that another core accepted.
pub(super) fn receive_handover(core: &Rc<NodeCore>, handover: Handover) {
    let permit = ConnectionPermit::take(core);
    if permit.is_none_or(|permit| core.reactor.spawn(go_on(permit, handover)).is_err()) {
        note(core, Event::RefusedFull);
    }
}

async fn go_on(permit: ConnectionPermit, handover: Handover) {
    let core = Rc::clone(&permit.core);
    let Handover { connection, hello, rest } = handover;
    let Ok(connection) = connection.attach(&core.reactor) else {
        note(&core, Event::RefusedFull);
        return;
    };
    match negotiate(&core.hello(), &hello) {
        Ok(terms) => session::run(permit, connection, terms, FrameReader::with_rest(rest)).await,
        Err(error) => {
            refuse(&core, connection, (HelloRefusal::Disagreed(error), FrameReader::with_rest(rest))).await;
        }
    }
}

impl NodeCore {
    /// Tells the operator of a peer that was refused; its own side comes to the same verdict.
    pub(super) fn report_refused(&self, peer: Option<Address>, fault: PeerFault) {
        // A full mailbox costs a line of the log; the peer comes again.
        let refused = NodeMessage::PeerRefused(Box::new(PeerRefused { peer, fault }));
        let _ = self.mail.send(self.store.cores().control(), refused);
    }

    /// What it says to a peer that has not shown to be of its cluster: all but the seed, by which keys that meet can be chosen.
    fn hello_to_stranger(&self) -> Hello {
        Hello { hash_seed: 0, ..self.hello() }
    }

    /// What this node says about itself.
    pub(super) fn hello(&self) -> Hello {
        let limits = self.limits();
        let shard_max = u32::try_from(self.store.shard().value_bytes_max()).unwrap_or(u32::MAX);
        Hello {
            version_min: VERSION_MIN,
            version_max: VERSION_MAX,
            role: Role::Node,
            hash_id: HASH_ID_RAPIDHASH_V3,
            hash_seed: self.shared.hash_seed,
            cores: self.shared.cores,
            wanted_core: WANTED_CORE_ANY,
            features: FEATURE_READ,
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
            extension: Some(HelloExtension {
                clock_us: clock_us(self.reactor.read_clock()),
                map: Arc::clone(self.topology.borrow().digest()),
                owners: None,
                wanted_node: 0,
            }),
        }
    }

    /// The same, and the owners of the block that begins at a slot.
    fn hello_with_owners(&self, first: usize) -> Hello {
        let mut hello = self.hello();
        if let Some(extension) = &mut hello.extension {
            extension.owners = Some(Box::new(self.topology.borrow().block_owners(first)));
        }
        hello
    }
}
