//! Handshakes on connections of the reactor: what has come is given to a handshake, what it has to say is written, and at its end the
//! connection gets its layer.
//!
//! **Not** the end of a connection: after a fault its alert is written, and [`Connection::finish`] sends it.
//!
//! **Invariants**: every wait ends at the deadline; a server computes with a permit of the core's pass; every handshake is counted once. A
//! handshake that is dropped leaves the line.

use std::sync::Arc;

use reactor::local::{OneSender, one};
use reactor::{Connection, ConnectionError, Instant, Reactor};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, Error, ServerConfig};

use super::HandshakeFault;
use super::client::ClientHandshake;
use super::early::EarlyLayer;
use super::engine::{EarlyData, FinishedHandshake, HandshakeStep, Negotiated};
use super::gate::{GateLimits, HandshakeCounters, HandshakeCounts, HandshakeGate, Ticket};
use super::server::ServerHandshake;
use crate::crypto::WallClock;
use crate::protect::{KernelSide, RecordLayer};

/// The handshakes of one core.
pub struct Handshakes {
    reactor: Reactor,
    clock: Arc<WallClock>,
    gate: HandshakeGate<OneSender<()>>,
    accepted: HandshakeCounters,
    connected: HandshakeCounters,
}

impl Handshakes {
    /// Those of `reactor`'s core; `clock` is the one of the configurations that they will use, and is told the time.
    #[must_use]
    pub fn new(reactor: &Reactor, limits: GateLimits, clock: &Arc<WallClock>) -> Self {
        let [accepted, connected] = [(); 2].map(|()| HandshakeCounters::default());
        let gate = HandshakeGate::new(limits);
        Handshakes { reactor: reactor.clone(), clock: Arc::clone(clock), gate, accepted, connected }
    }

    /// Bounds the handshakes that begin from now on.
    pub fn set_limits(&self, limits: GateLimits) {
        self.gate.set_limits(limits);
    }

    /// Does the server's handshake on a connection that was accepted, by a configuration that [`super::server::prepare`] has seen. What the
    /// connection carries from then on is protected.
    ///
    /// The connection's deadline is set, and there is none afterwards.
    ///
    /// Where the configuration takes early data, it may return before the client has finished, when these have come:
    /// [`Connection::may_be_replayed`] says so. Whoever serves them bounds the time until it has.
    ///
    /// # Errors
    /// Any [`HandshakeFault`]; the alert is written, and the connection is good for [`Connection::finish`] only.
    pub async fn accept(
        &self,
        connection: &Connection,
        config: &Arc<ServerConfig>,
        deadline: Instant,
    ) -> Result<Negotiated, HandshakeFault> {
        connection.set_deadline(deadline);
        let result = self.serve(connection, config, deadline).await;
        connection.set_deadline(Instant::NEVER);
        count(&self.accepted, &result);
        result
    }

    /// Counts that a client has sent early data and has not finished in its time.
    pub fn count_unconfirmed(&self) {
        self.accepted.count_unconfirmed();
    }

    /// Does the client's handshake on a connection that was opened to the server `name`, by a configuration that
    /// [`super::client::prepare`] has seen. What the connection carries from then on is protected.
    ///
    /// The connection's deadline is set, and there is none afterwards.
    ///
    /// # Errors
    /// Any [`HandshakeFault`]; the alert is written, and the connection is good for [`Connection::finish`] only.
    pub async fn connect(
        &self,
        connection: &Connection,
        config: &Arc<ClientConfig>,
        name: ServerName<'static>,
        deadline: Instant,
    ) -> Result<Negotiated, HandshakeFault> {
        connection.set_deadline(deadline);
        let result = self.ask(connection, config, name).await;
        connection.set_deadline(Instant::NEVER);
        count(&self.connected, &result);
        result
    }

    /// What the servers' handshakes have counted.
    #[must_use]
    pub fn accepted(&self) -> HandshakeCounts {
        self.accepted.read()
    }

    /// What the clients' handshakes have counted.
    #[must_use]
    pub fn connected(&self) -> HandshakeCounts {
        self.connected.read()
    }

    /// How many servers' handshakes wait for their turn.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.gate.waiting()
    }

    async fn serve(
        &self,
        connection: &Connection,
        config: &Arc<ServerConfig>,
        deadline: Instant,
    ) -> Result<Negotiated, HandshakeFault> {
        self.tell_time();
        // On the heap, so that a task that serves connections is not larger for having shaken hands once.
        let mut handshake = Box::new(ServerHandshake::new(config)?);
        let (mut early, mut is_refused) = (Vec::new(), false);
        loop {
            let mut step = handshake.advance(&mut connection.write())?;
            if step == HandshakeStep::NeedsPermit {
                let permitted = self.permit(deadline).await;
                permitted.map_err(|fault| handshake.refuse(fault, &mut connection.write()))?;
                self.tell_time();
                step = handshake.advance_permitted(&mut connection.write())?;
            }
            if !is_refused && handshake.early_data() == EarlyData::Refused {
                // Here, because whoever repeats somebody else's flight does not come to the end.
                is_refused = true;
                self.accepted.count_early(EarlyData::Refused);
            }
            match step {
                HandshakeStep::Done => break,
                HandshakeStep::NeedsPermit => {}
                HandshakeStep::HasEarlyData => early.append(&mut handshake.take_early()),
                HandshakeStep::NeedsBytes if !early.is_empty() => {
                    let negotiated = handshake.negotiated()?;
                    connection.protect_opened(Box::new(EarlyLayer::new(handshake)), early, Vec::new());
                    return Ok(negotiated);
                }
                HandshakeStep::NeedsBytes => {
                    let received = receive(connection, |bytes| handshake.push(bytes)).await;
                    received.map_err(|fault| handshake.refuse(fault, &mut connection.write()))?;
                }
            }
        }
        let finished = handshake.finish()?;
        protect(connection, (finished, early), KernelSide::Server)
    }

    async fn ask(
        &self,
        connection: &Connection,
        config: &Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> Result<Negotiated, HandshakeFault> {
        self.tell_time();
        let mut handshake = Box::new(ClientHandshake::new(config, name)?);
        while handshake.advance(&mut connection.write())? != HandshakeStep::Done {
            let received = receive(connection, |bytes| handshake.push(bytes)).await;
            received.map_err(|fault| handshake.refuse(fault, &mut connection.write()))?;
            self.tell_time();
        }
        let finished = handshake.finish()?;
        protect(connection, (finished, Vec::new()), KernelSide::Client)
    }

    fn tell_time(&self) {
        self.clock.set_wall_ms(self.reactor.wall_ms());
    }

    fn pass(&self) -> u64 {
        self.reactor.counters().passes
    }

    /// Waits for a permit of a pass.
    async fn permit(&self, deadline: Instant) -> Result<(), HandshakeFault> {
        if self.gate.try_enter(self.pass()) {
            return Ok(());
        }
        let (call, called) = one(&self.reactor);
        let ticket = self.gate.join(call).ok_or(HandshakeFault::Shed)?;
        let _place = LinePlace { gate: &self.gate, ticket };
        let turn = async {
            called.receive().await;
            while !self.gate.take(ticket, self.pass()) {
                self.reactor.yield_now().await;
            }
        };
        self.reactor.until(deadline, turn).await.ok_or(HandshakeFault::TimedOut)
    }
}

/// Leaves the line when dropped.
struct LinePlace<'a> {
    gate: &'a HandshakeGate<OneSender<()>>,
    ticket: Ticket,
}

impl Drop for LinePlace<'_> {
    fn drop(&mut self) {
        self.gate.leave(self.ticket);
    }
}

fn count(counters: &HandshakeCounters, result: &Result<Negotiated, HandshakeFault>) {
    match result {
        Ok(negotiated) => {
            counters.count_done(negotiated.kind);
            if negotiated.early_data == EarlyData::Accepted {
                counters.count_early(EarlyData::Accepted);
            }
        }
        Err(fault) => counters.count_failed(fault),
    }
}

async fn receive(connection: &Connection, push: impl FnOnce(&[u8])) -> Result<(), HandshakeFault> {
    match connection.receive().await {
        Ok(Some(bytes)) => {
            push(&bytes);
            Ok(())
        }
        Ok(None) => Err(HandshakeFault::Closed),
        Err(ConnectionError::TimedOut) => Err(HandshakeFault::TimedOut),
        Err(ConnectionError::Socket(errno)) => Err(HandshakeFault::Socket(errno)),
        Err(error @ (ConnectionError::Full | ConnectionError::Protection(_))) => {
            Err(HandshakeFault::Internal(Error::General(error.to_string())))
        }
    }
}

/// Gives a connection its layer.
fn protect<Data>(
    connection: &Connection,
    (finished, early): (FinishedHandshake<Data>, Vec<u8>),
    side: impl FnOnce(rustls::kernel::KernelConnection<Data>) -> KernelSide,
) -> Result<Negotiated, HandshakeFault> {
    let FinishedHandshake { secrets, kernel, unread, negotiated } = finished;
    let layer = RecordLayer::new(secrets, side(kernel), negotiated.version)?;
    connection.protect_opened(Box::new(layer), early, unread);
    Ok(negotiated)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;
    use std::sync::Arc;
    use std::time::Duration;

    use reactor::sim::{NetworkOptions, World};
    use reactor::{CoreId, CoreSpec, Host, Reactor};

    use super::{GateLimits, HandshakeFault, Handshakes};

    const WAITERS: usize = 300;

    /// Runs `main` on a simulated core until it stops the core.
    fn on_a_core(seed: u64, main: impl FnOnce(Reactor) + Send + 'static) {
        let mut world = World::new(seed, NetworkOptions::default());
        let process = world.add_process("core");
        let mut host = world.host(process);
        let doorbells = host.doorbells(1).unwrap();
        let spec = CoreSpec { id: CoreId(0), cpu: None, name: "core".into(), doorbells };
        host.start_core(spec, Box::new(main)).unwrap();
        drop(host);
        let deadline = world.now() + Duration::from_secs(60);
        assert!(world.run_until(deadline, |world| !world.is_running(process)), "seed {seed}: hangs");
    }

    fn handshakes(reactor: &Reactor, waiting_max: usize) -> Rc<Handshakes> {
        Rc::new(Handshakes::new(reactor, GateLimits { per_pass: 2, waiting_max }, &Arc::default()))
    }

    #[test]
    fn a_storm_costs_a_pass_two_steps_and_a_few_polls() {
        for seed in 0..20 {
            on_a_core(seed, |reactor| {
                let handshakes = handshakes(&reactor, WAITERS);
                let passes = Rc::new(RefCell::new(Vec::new()));
                let tasks = WAITERS + 2;
                for _ in 0..tasks {
                    let (handshakes, passes) = (Rc::clone(&handshakes), Rc::clone(&passes));
                    let waiter = async move {
                        let deadline = handshakes.reactor.now() + Duration::from_secs(30);
                        handshakes.permit(deadline).await.unwrap();
                        passes.borrow_mut().push(handshakes.pass());
                    };
                    reactor.spawn(waiter).unwrap();
                }
                let main = reactor.clone();
                let watch = async move {
                    // By now each has asked, and two have had their permit.
                    main.yield_now().await;
                    main.yield_now().await;
                    let mut polls = main.counters().polls;
                    let mut polls_max = 0;
                    while handshakes.waiting() > 0 {
                        main.yield_now().await;
                        polls_max = polls_max.max(main.counters().polls - polls);
                        polls = main.counters().polls;
                    }
                    main.yield_now().await;
                    let passes = passes.borrow();
                    assert_eq!(passes.len(), tasks, "each has its turn");
                    assert!(passes.is_sorted());
                    assert!(passes.windows(3).all(|three| three[0] != three[2]), "two a pass");
                    let span = passes[tasks - 1] - passes[0];
                    assert!(span <= tasks as u64, "no pass is wasted: {span}");
                    // Two that take their permit, the front that asks in vain, this task; twice for a wake that came in between.
                    assert!(polls_max <= 8, "{polls_max} polls in one pass");
                    main.stop();
                };
                reactor.spawn(watch).unwrap();
            });
        }
    }

    #[test]
    fn the_line_is_full_times_out_and_may_be_left() {
        on_a_core(1, |reactor| {
            let handshakes = handshakes(&reactor, 3);
            let main = reactor.clone();
            let test = async move {
                let far = main.now() + Duration::from_secs(30);
                // A front that never asks again holds the line up.
                let front = handshakes.gate.join(reactor::local::one(&main).0).unwrap();
                let results = Rc::new(RefCell::new(Vec::new()));
                for (name, deadline) in [("short", main.now() + Duration::from_millis(5)), ("long", far)] {
                    let (handshakes, results) = (Rc::clone(&handshakes), Rc::clone(&results));
                    let waiter = async move {
                        let result = handshakes.permit(deadline).await;
                        results.borrow_mut().push((name, result.map_err(|fault| fault.label())));
                    };
                    main.spawn(waiter).unwrap();
                }
                main.yield_now().await;
                assert_eq!(handshakes.waiting(), 3);
                assert!(matches!(handshakes.permit(far).await, Err(HandshakeFault::Shed)));
                main.sleep(Duration::from_millis(20)).await;
                assert_eq!(*results.borrow(), [("short", Err("timed_out"))]);
                assert_eq!(handshakes.waiting(), 2, "who is late has left");
                // A wait that is dropped leaves, too.
                assert!(main.until(main.now(), handshakes.permit(far)).await.is_none());
                assert_eq!(handshakes.waiting(), 2);
                handshakes.gate.leave(front);
                main.sleep(Duration::from_millis(1)).await;
                assert_eq!(results.borrow()[1..], [("long", Ok(()))]);
                assert_eq!(handshakes.waiting(), 0);
                main.stop();
            };
            reactor.spawn(test).unwrap();
        });
    }
}
