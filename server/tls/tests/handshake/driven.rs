//! Handshakes on connections of the reactor, on the kernel's rings and on the simulated network, and what they protect.

use std::cell::RefCell;
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use corelane_tls::crypto::{WallClock, seeded};
use corelane_tls::handshake::drive::Handshakes;
use corelane_tls::handshake::gate::GateLimits;
use corelane_tls::handshake::{HandshakeFault, Negotiated};
use reactor::sim::{NetworkOptions, World};
use reactor::{Address, Connection, CoreId, CoreSpec, Host, ListenOptions, Listener, Reactor, Threads, WakeMethod};
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::{ClientConfig, HandshakeKind, ServerConfig};

use crate::authority::{Authority, Key, Wanted};
use crate::pair::{Side, name};

/// What the cores of a scenario use.
#[derive(Clone)]
pub(crate) struct Scene {
    pub(crate) server: Arc<ServerConfig>,
    pub(crate) client: Arc<ClientConfig>,
    pub(crate) limits: GateLimits,
    pub(crate) listen_on: Address,
}

/// One core of it.
pub(crate) struct Seat {
    pub(crate) scene: Scene,
    pub(crate) reactor: Reactor,
    pub(crate) handshakes: Handshakes,
    pub(crate) listener: Listener,
}

impl Seat {
    pub(crate) async fn dial(&self) -> Connection {
        self.reactor.connect(self.listener.address(), self.soon()).await.unwrap()
    }

    pub(crate) fn soon(&self) -> reactor::Instant {
        self.reactor.now() + Duration::from_secs(10)
    }

    pub(crate) async fn serve(&self, connection: &Connection) -> Result<Negotiated, HandshakeFault> {
        self.handshakes.accept(connection, &self.scene.server, self.soon()).await
    }

    pub(crate) async fn ask(&self, connection: &Connection) -> Result<Negotiated, HandshakeFault> {
        self.handshakes.connect(connection, &self.scene.client, name("corelane.test"), self.soon()).await
    }
}

/// Starts a core that is both ends; it ends with `body`.
pub(crate) fn start<F: Future<Output = ()> + 'static>(
    host: &mut dyn Host,
    scene: Scene,
    body: impl FnOnce(Rc<Seat>) -> F + Send + 'static,
) {
    let doorbells = host.doorbells(1).unwrap();
    let spec = CoreSpec { id: CoreId(0), cpu: None, name: "seat".into(), doorbells };
    let first = move |reactor: Reactor| {
        let listener = reactor.listen(&scene.listen_on, &ListenOptions::default()).unwrap();
        // The clock of the configurations stands still at the day of the tests, not at the host's.
        let handshakes = Handshakes::new(&reactor, scene.limits, &Arc::new(WallClock::default()));
        let seat = Rc::new(Seat { scene, reactor: reactor.clone(), handshakes, listener });
        let (main, running) = (reactor.clone(), body(Rc::clone(&seat)));
        drop(seat);
        let main = async move {
            let limit = main.now() + Duration::from_secs(300);
            assert!(main.until(limit, running).await.is_some(), "the scenario hangs");
            main.stop();
        };
        reactor.spawn(main).unwrap();
    };
    host.start_core(spec, Box::new(first)).unwrap();
}

pub(crate) fn scene(seed: u64) -> Scene {
    let authority = Authority::new(Key::Ed25519);
    let identity = authority.issue(&Wanted { key: Key::Ed25519, ..Wanted::default() });
    let crypto = seeded(seed);
    let mut server = Side { provider: Arc::clone(&crypto), ..Side::server(&identity) }.server_config();
    server.ticketer = Ticketer::new().unwrap();
    let client = Side { provider: crypto, ..Side::client(&authority) }.client_config();
    let listen_on = Address::Tcp(SocketAddr::from(([127, 0, 0, 1], 0)));
    Scene { server: Arc::new(server), client: Arc::new(client), limits: GateLimits::default(), listen_on }
}

/// Runs a scenario on the rings, and for some seeds in the simulation.
fn on_both<F: Future<Output = ()> + 'static>(body: fn(Rc<Seat>) -> F) {
    on_both_in(scene, body);
}

/// The same in this scene.
pub(crate) fn on_both_in<F: Future<Output = ()> + 'static>(scene: fn(u64) -> Scene, body: fn(Rc<Seat>) -> F) {
    let mut threads = Threads::new(Some(WakeMethod::EventFd));
    start(&mut threads, scene(1), body);
    threads.join();
    for seed in 0..30 {
        simulate(seed, scene(seed), body);
    }
}

pub(crate) fn simulate<F: Future<Output = ()> + 'static>(seed: u64, scene: Scene, body: fn(Rc<Seat>) -> F) {
    let mut world = World::new(seed, NetworkOptions::default());
    let process = world.add_process("both");
    let listen_on = Address::Tcp(SocketAddr::from(([10, 0, 0, 1], 443)));
    start(&mut world.host(process), Scene { listen_on, ..scene }, body);
    let deadline = world.now() + Duration::from_secs(120);
    assert!(world.run_until(deadline, |world| !world.is_running(process)), "seed {seed}: hangs");
}

async fn read_all(connection: &Connection) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(data) = connection.receive().await.unwrap() {
        all.extend_from_slice(&data);
    }
    all
}

#[test]
fn what_is_written_behind_a_handshake_arrives_and_tickets_resume() {
    on_both(|seat| async move {
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let serving = Rc::clone(&seat);
            let (told, negotiated) = reactor::local::one(&seat.reactor);
            let server = async move {
                let connection = serving.listener.accept().await.unwrap();
                let negotiated = serving.serve(&connection).await.unwrap();
                let mut question = Vec::new();
                while question.len() < 100_000 {
                    question.extend_from_slice(&connection.receive().await.unwrap().unwrap());
                }
                connection.write().extend(question.iter().rev());
                told.send(negotiated);
                connection.finish(Duration::from_secs(10)).await;
            };
            seat.reactor.spawn(server).unwrap();
            let connection = seat.dial().await;
            let asked = seat.ask(&connection).await.unwrap();
            let question: Vec<u8> = (0..100_000_u32).map(|n| (n * 7) as u8).collect();
            connection.write().extend_from_slice(&question);
            let mut answer = read_all(&connection).await;
            answer.reverse();
            assert!(answer == question, "what came back is what was sent");
            let served = negotiated.receive().await.unwrap();
            assert_eq!([asked.kind, served.kind], [kind; 2]);
            assert_eq!(served.server_name.as_deref(), Some("corelane.test"));
            assert_eq!((asked.version, asked.suite), (served.version, served.suite));
            connection.finish(Duration::from_secs(10)).await;
        }
        for counts in [seat.handshakes.accepted(), seat.handshakes.connected()] {
            assert_eq!((counts.full, counts.resumed, counts.failed_total()), (1, 1, 0));
        }
    });
}

#[test]
fn silence_an_early_end_and_other_words_have_their_faults() {
    on_both(|seat| async move {
        // What the client says instead of a hello, whether it then ends, and what becomes of it.
        let cases: [(&[u8], bool, &str, u8); 4] = [
            (b"", false, "timed_out", 0),
            (&[22, 3, 1, 0, 200, 1, 0], false, "timed_out", 0),
            (&[22, 3, 1, 0, 200, 1, 0], true, "closed", 0),
            (b"GET / HTTP/1.1\r\n\r\n", false, "not_tls", 50),
        ];
        for (words, ends, label, alert) in cases {
            let serving = Rc::clone(&seat);
            let server = async move {
                let connection = serving.listener.accept().await.unwrap();
                let deadline = serving.reactor.now() + Duration::from_millis(200);
                let result = serving.handshakes.accept(&connection, &serving.scene.server, deadline).await;
                assert_eq!(result.unwrap_err().label(), label);
                connection.finish(Duration::from_secs(10)).await;
            };
            seat.reactor.spawn(server).unwrap();
            let connection = seat.dial().await;
            connection.write().extend_from_slice(words);
            if ends {
                connection.finish(Duration::from_secs(10)).await;
                continue;
            }
            let said = read_all(&connection).await;
            assert_eq!((said.len(), said[6]), (7, alert), "{label}");
            connection.finish(Duration::from_secs(10)).await;
        }
        seat.reactor.sleep(Duration::from_millis(1)).await;
        assert_eq!(seat.handshakes.accepted().failed_total(), 4);
    });
}

/// How many clients come at once.
const STORM: usize = 200;

/// A storm's clients come when all have sent their hello: two have a permit, some wait, the others are shed.
async fn storm(seat: Rc<Seat>) {
    let ends = Rc::new(RefCell::new(Vec::new()));
    let start = Rc::new(reactor::local::StartGate::new(&seat.reactor));
    for _ in 0..STORM {
        let connection = seat.dial().await;
        let accepted = seat.listener.accept().await.unwrap();
        let (serving, asking) = (Rc::clone(&seat), Rc::clone(&seat));
        let (start, ends) = (Rc::clone(&start), Rc::clone(&ends));
        let server = async move {
            start.pass().await;
            let _ = serving.serve(&accepted).await;
            accepted.finish(Duration::from_secs(10)).await;
        };
        let client = async move {
            let result = asking.ask(&connection).await;
            ends.borrow_mut().push(result.map(|negotiated| negotiated.kind).map_err(|fault| fault.label()));
            // Its Finished is written, and leaves.
            connection.finish(Duration::from_secs(10)).await;
        };
        seat.reactor.spawn(server).unwrap();
        seat.reactor.spawn(client).unwrap();
    }
    seat.reactor.sleep(Duration::from_secs(1)).await;
    start.open();
    let counted = || seat.handshakes.accepted().full + seat.handshakes.accepted().failed_total();
    while ends.borrow().len() < STORM || counted() < STORM as u64 {
        seat.reactor.sleep(Duration::from_millis(1)).await;
    }
    let counts = seat.handshakes.accepted();
    let done = ends.borrow().iter().filter(|end| end.is_ok()).count();
    assert_eq!(counts.full, done as u64);
    assert_eq!(counts.failed_total(), (STORM - done) as u64);
    assert!(ends.borrow().iter().all(|end| matches!(end, Ok(_) | Err("alert_received"))), "{:?}", ends.borrow());
    let waiting_max = seat.scene.limits.waiting_max;
    assert!((waiting_max..=waiting_max + 2).contains(&done), "{done} of {STORM}");
    assert_eq!(seat.handshakes.waiting(), 0);
}

#[test]
fn in_a_storm_those_that_find_no_place_are_told() {
    for seed in 0..4 {
        let limits = GateLimits { per_pass: 2, waiting_max: 50 };
        simulate(seed, Scene { limits, ..scene(seed) }, storm);
    }
}
