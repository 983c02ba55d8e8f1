//! Nodes are scripts here: each says what it is told to say next, on the simulator's network and in its time.

mod calls;
mod map;
mod names;
mod script;

use reactor::CoreSpec;
use reactor::sim::{NetworkOptions, World};
use reactor::{CoreId, Host};
use shardstore::key::KeyHasher;
use shardstore::version::Condition;
use store_runtime::request::SetValue;

use super::*;
use script::{Node, Says};

/// One node owns everything, another is there.
const FIRST_OWNS_ALL: &str = "cluster = \"test\"\nepoch = 5\n[[node]]\nid = 1\naddress = \"10.0.0.1:7401\"\n\
    [[node]]\nid = 2\naddress = \"10.0.0.2:7401\"\n[[assign]]\nslots = \"0-16383\"\nnode = 1\n";

const KEY: &[u8] = b"\0key";

const OPTIONS: ClusterOptions = ClusterOptions {
    connect_timeout: Duration::from_millis(300),
    connections_per_node: 4,
    queue_per_node: 2,
    breaker_failures: 2,
    breaker_probe_time: Duration::from_millis(100),
    request_timeout: Duration::from_secs(1),
    cores: 3,
    incarnation: 9,
};

/// What a test works with: the cluster of one core, and the nodes behind it.
#[derive(Clone)]
struct Rig {
    cluster: Rc<Cluster>,
    first: Rc<Node>,
    second: Rc<Node>,
}

/// Runs a test on a simulated core, with nodes that say what they are given here.
fn with_nodes<F: Future<Output = ()> + 'static>(
    first: fn() -> Vec<Says>,
    second: fn() -> Vec<Says>,
    test: impl Fn(Rig) -> F + Clone + Send + 'static,
) {
    with_named_nodes((FIRST_OWNS_ALL.to_owned(), None), first, second, test);
}

/// The same, with the file of the cluster, and how its names are resolved.
fn with_named_nodes<F: Future<Output = ()> + 'static>(
    (file, names): (String, Option<NameLookup>),
    first: fn() -> Vec<Says>,
    second: fn() -> Vec<Says>,
    test: impl Fn(Rig) -> F + Clone + Send + 'static,
) {
    for seed in 0..4 {
        let mut world = World::new(seed, NetworkOptions::default());
        let process = world.add_process("cluster");
        let mut host = world.host(process);
        let doorbells = host.doorbells(1).unwrap();
        let spec = CoreSpec { id: CoreId(0), cpu: None, name: "cluster".to_owned(), doorbells };
        let (test, file, names) = (test.clone(), file.clone(), names.clone());
        let body = move |reactor: Reactor| {
            let topology = Arc::new(Topology::parse(FIRST_OWNS_ALL).unwrap());
            let nodes = [(1, first()), (2, second())].map(|(id, says)| Node::start(&reactor, &topology, id, says));
            let [first, second] = nodes;
            let running = reactor.clone();
            let topology = Arc::new(Topology::parse(&file).unwrap());
            let cluster = Cluster::new(
                reactor.clone(),
                OPTIONS,
                Arc::default(),
                (&topology, names, Links::in_the_clear(&reactor)),
            );
            let task = async move {
                test(Rig { cluster, first: Rc::clone(&first), second: Rc::clone(&second) }).await;
                assert!(first.has_said_all() && second.has_said_all(), "nodes are asked as often as the test says");
                reactor.stop();
            };
            running.spawn(task).unwrap();
        };
        host.start_core(spec, Box::new(body)).unwrap();
        drop(host);
        let deadline = world.now() + Duration::from_secs(120);
        assert!(world.run_until(deadline, |world| !world.is_running(process)), "seed {seed}: the test is not over");
    }
}

impl Rig {
    /// Asks for the key within five seconds.
    async fn ask(&self, op: StoreOp) -> StoreResponse {
        let hash = KeyHasher::new(self.cluster.topology().hash_seed()).hash(KEY);
        let deadline = self.cluster.shared.reactor.now() + Duration::from_secs(5);
        Cluster::call(&self.cluster, &StoreRequest { key: KEY.into(), hash, op, deadline }).await
    }

    async fn get(&self) -> StoreResponse {
        self.ask(StoreOp::Read(ReadPart::beginning(false))).await
    }

    async fn set(&self) -> StoreResponse {
        self.ask(set_op()).await
    }

    /// Starts a read as a task; its answer is found in what is returned.
    fn start_get(&self) -> Rc<RefCell<Option<StoreResponse>>> {
        self.start(StoreOp::Read(ReadPart::beginning(false)))
    }

    fn start(&self, op: StoreOp) -> Rc<RefCell<Option<StoreResponse>>> {
        let answer = Rc::new(RefCell::new(None));
        let (rig, slot) = (self.clone(), Rc::clone(&answer));
        self.cluster.shared.reactor.spawn(async move { *slot.borrow_mut() = Some(rig.ask(op).await) }).unwrap();
        answer
    }

    /// What a node has claimed about the map, once: its id and the epoch.
    fn hint(&self) -> Option<(u32, u32)> {
        self.cluster.take_hint().and_then(|hint| Some((hint.node?.0, hint.epoch)))
    }

    async fn sleep(&self, ms: u64) {
        self.cluster.shared.reactor.sleep(Duration::from_millis(ms)).await;
    }

    /// Milliseconds that something takes.
    async fn time<T>(&self, what: impl Future<Output = T>) -> (T, u128) {
        let began = self.cluster.shared.reactor.now();
        let came = what.await;
        (came, self.cluster.shared.reactor.now().since(began).as_millis())
    }

    /// The state of a node, as operators see it.
    fn state(&self, id: u32) -> Option<(bool, usize)> {
        let states = self.cluster.node_states();
        states.into_iter().find(|state| state.id == id).map(|state| (state.up, state.connections))
    }
}

fn set_op() -> StoreOp {
    let metadata = b"text/plain"[..].into();
    let (value, value_crc32c) = (Arc::new(b"value".to_vec()), shardstore::wire::checksum(b"value"));
    StoreOp::Set(SetValue {
        value,
        value_crc32c,
        metadata,
        condition: Condition::Present,
        ttl_ms: 7_000,
        no_store: false,
    })
}

/// A write of a value of so many bytes.
fn large_set_op(bytes: usize) -> StoreOp {
    let StoreOp::Set(set) = set_op() else { unreachable!("it is one") };
    let value = vec![b'v'; bytes];
    StoreOp::Set(SetValue { value_crc32c: shardstore::wire::checksum(&value), value: Arc::new(value), ..set })
}

fn refused(response: &StoreResponse) -> Option<Refusal> {
    match response.outcome {
        Outcome::Refused(refusal) => Some(refusal),
        _ => None,
    }
}

fn found_version(response: &StoreResponse) -> u64 {
    match &response.outcome {
        Outcome::Found(value) => value.version.bits(),
        other => panic!("{other:?}"),
    }
}
