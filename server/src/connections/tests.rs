//! Connections of a simulated core to itself.

use reactor::sim::{NetworkOptions, World};
use reactor::{Address, ConnectionError, CoreId, CoreSpec, Host, ListenError, ListenOptions};

use super::*;

struct Rig {
    reactor: Reactor,
    metrics: Arc<CoreMetrics>,
    connections: Rc<Connections>,
    listener: Rc<Listener>,
    address: Address,
    /// The clients' ends.
    clients: RefCell<Vec<Connection>>,
}

impl Rig {
    /// A connection that was accepted.
    async fn accept(&self) -> Connection {
        let client = self.reactor.connect(&self.address, Instant::NEVER).await.unwrap();
        self.clients.borrow_mut().push(client);
        self.listener.accept().await.unwrap()
    }

    /// Drains for five seconds at most: how many were left, after how many milliseconds.
    async fn drain(&self) -> (usize, u128) {
        let began = self.reactor.now();
        let left = self.connections.drain(began + Duration::from_secs(5)).await;
        (left, self.reactor.now().since(began).as_millis())
    }

    /// Serves a connection for so long, and then as if it had ended. What it waited for came at that instant.
    fn serve(&self, connection: Connection, registered: Registered, time: Duration) -> Rc<Cell<Option<Instant>>> {
        let (reactor, expired) = (self.reactor.clone(), Rc::new(Cell::new(None)));
        let seen = Rc::clone(&expired);
        let end = reactor.now() + time;
        let task = async move {
            connection.set_deadline(end);
            if matches!(connection.receive().await, Err(ConnectionError::TimedOut)) {
                seen.set(Some(reactor.now()));
            }
            reactor.sleep_until(end).await;
            drop((connection, registered));
        };
        self.reactor.spawn(task).unwrap();
        expired
    }
}

fn on_a_core<F: Future<Output = ()> + 'static>(test: fn(Rc<Rig>) -> F) {
    let mut world = World::new(1, NetworkOptions::default());
    let process = world.add_process("connections");
    let mut host = world.host(process);
    let doorbells = host.doorbells(1).unwrap();
    let spec = CoreSpec { id: CoreId(0), cpu: None, name: "connections".to_owned(), doorbells };
    let body = move |reactor: Reactor| {
        let address = Address::Tcp("10.0.0.1:80".parse().unwrap());
        let metrics = Arc::new(CoreMetrics::default());
        let listener = Rc::new(reactor.listen(&address, &ListenOptions::default()).unwrap());
        let connections = Connections::new(&reactor, &metrics, usize::MAX);
        connections.add_listener(&listener);
        let rig =
            Rig { reactor: reactor.clone(), metrics, connections, listener, address, clients: RefCell::default() };
        let task = async move {
            let rig = Rc::new(rig);
            test(Rc::clone(&rig)).await;
            rig.reactor.stop();
        };
        reactor.spawn(task).unwrap();
    };
    host.start_core(spec, Box::new(body)).unwrap();
    drop(host);
    let deadline = world.now() + Duration::from_secs(60);
    assert!(world.run_until(deadline, |world| !world.is_running(process)), "the test is over");
}

#[test]
fn connections_count_from_their_admission_to_their_end() {
    on_a_core(|rig| async move {
        let connections = [rig.accept().await, rig.accept().await, rig.accept().await];
        let counts = || (rig.connections.count(), rig.metrics.connections.value());
        let [first, second, third] = connections.each_ref().map(|connection| rig.connections.register(connection));
        assert_eq!(counts(), (3, 3));
        second.finish();
        assert_eq!(counts(), (3, 3), "its last response is still to be read");
        drop(first);
        assert_eq!(counts(), (2, 2));
        drop((second, third));
        assert_eq!(counts(), (0, 0));
    });
}

#[test]
fn draining_begins_once_and_closes_what_listens() {
    on_a_core(|rig| async move {
        assert!(!rig.connections.is_draining() && rig.connections.begin_drain());
        assert!(rig.connections.is_draining() && !rig.connections.begin_drain());
        assert!(matches!(rig.listener.accept().await, Err(ListenError::Closed)));
        assert_eq!(rig.drain().await, (0, 1_000), "nobody is left when idle ones have had their time");
    });
}

#[test]
fn a_drain_hurries_who_waits_and_ends_with_the_last_or_at_its_deadline() {
    on_a_core(|rig| async move {
        let began = rig.reactor.now();
        let (idle, finished) = (rig.accept().await, rig.accept().await);
        let (registered, last) = (rig.connections.register(&idle), rig.connections.register(&finished));
        last.finish();
        let hurried = rig.serve(idle, registered, Duration::from_secs(2));
        let left_alone = rig.serve(finished, last, Duration::from_secs(3));
        let (left, ms) = rig.drain().await;
        assert!(left == 0 && (2_980..3_020).contains(&ms), "{left} left after {ms} ms");
        let after = |seen: Rc<Cell<Option<Instant>>>| seen.get().map(|at| at.since(began).as_millis() / 100);
        assert_eq!((after(hurried), after(left_alone)), (Some(10), Some(30)));

        let stays = rig.accept().await;
        let registered = rig.connections.register(&stays);
        assert_eq!(rig.drain().await, (1, 5_000));
        drop((stays, registered));
    });
}
