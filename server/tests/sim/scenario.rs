//! One seed: start, let clients work while things go wrong, let everything heal, check, stop, look for leaks.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use reactor::sim::{NetworkOptions, ProcessId, World};
use reactor::{CoreId, CoreSpec, Host, Instant, Random, Reactor};

use crate::client::{Client, Failure, Request};
use crate::cluster::{Cluster, EDGES, NODES, REQUEST_TIME, edge_address};
use crate::faults::{Injector, STEP};
use crate::history::{Delete, KeyHistory, Read, Write};

/// Clients, each with one request under way.
const CLIENTS: usize = 6;
/// Keys: few, so that clients meet on them.
const KEYS: u64 = 12;
/// Steps of the fault injector.
const FAULTS: u32 = 20;
/// How long an answer may take beyond the deadline of the request to the node: the way to the edge and back, twice
/// retransmitted on a bad network, and the hop between its cores.
const ANSWER_SLACK: Duration = Duration::from_millis(1500);
/// How much longer the largest values may take, four times over a bad network.
const LARGE_VALUE_TIME: Duration = Duration::from_secs(20);
/// How soon after everything has healed every key must be served again.
const RECOVERY: Duration = Duration::from_millis(1000);

/// How a seed went.
pub(crate) struct Outcome {
    pub(crate) violation: Option<String>,
    pub(crate) summary: String,
}

/// What clients and the driver share.
#[derive(Default)]
struct Shared {
    keys: BTreeMap<String, KeyHistory>,
    /// When each node died.
    deaths: Vec<Vec<Instant>>,
    owners: BTreeMap<String, usize>,
    violation: Option<String>,
    requests: u64,
    refused: u64,
    failed: u64,
    stop: bool,
    stopped: usize,
    verbose: bool,
    /// Values of megabytes, and the time they take on a bad network.
    large_values: bool,
}

impl Shared {
    fn violate(&mut self, text: String) {
        if self.verbose {
            println!("violation: {text}");
        }
        self.violation.get_or_insert(text);
    }
}

/// Runs the scenario of one seed.
pub(crate) fn run(seed: u64, verbose: bool) -> Outcome {
    let mut world = World::new(seed, NetworkOptions::default());
    let clients = world.add_process("clients");
    let mut cluster = Cluster::start(world);
    let shared = Rc::new(RefCell::new(Shared {
        deaths: vec![Vec::new(); NODES],
        verbose,
        large_values: seed % 8 == 3,
        ..Shared::default()
    }));
    for key in 0..KEYS {
        let name = key_name(key);
        let owner = cluster.owner_of(&name);
        shared.borrow_mut().owners.insert(name, owner);
    }
    start_clients(&mut cluster.world, clients, &shared, seed);
    let injector = misbehave(&mut cluster, &shared, verbose);
    let violation = finish(&mut cluster, clients, &shared, injector);
    let shared = shared.borrow();
    let summary = format!(
        "{} requests, {} refused, {} failed, {:.1} virtual s, trace {:016x}",
        shared.requests,
        shared.refused,
        shared.failed,
        cluster.world.now().as_nanos() as f64 / 1e9,
        cluster.world.trace()
    );
    Outcome { violation, summary }
}

fn key_name(key: u64) -> String {
    format!("key-{key}")
}

fn start_clients(world: &mut World, process: ProcessId, shared: &Rc<RefCell<Shared>>, seed: u64) {
    let handoff = HANDOFF.with(|slot| {
        slot.borrow_mut().push(Rc::clone(shared));
        slot.borrow().len() - 1
    });
    let mut host = world.host(process);
    let doorbells = host.doorbells(1).unwrap();
    let spec = CoreSpec { id: CoreId(0), cpu: None, name: "clients".to_owned(), doorbells };
    let body = move |reactor: Reactor| {
        let shared = HANDOFF.with(|slot| slot.borrow_mut().remove(handoff));
        for client in 0..CLIENTS {
            let worker = Worker::new(&reactor, Rc::clone(&shared), seed, client);
            reactor.spawn(worker.run()).unwrap();
        }
    };
    host.start_core(spec, Box::new(body)).unwrap();
}

thread_local! {
    /// Hands the shared state to the clients' core, whose body must be `Send` although it never leaves this thread.
    static HANDOFF: RefCell<Vec<Rc<RefCell<Shared>>>> = const { RefCell::new(Vec::new()) };
}

/// Lets the cluster run while faults happen.
fn misbehave(cluster: &mut Cluster, shared: &Rc<RefCell<Shared>>, verbose: bool) -> Injector {
    let mut injector = Injector::default();
    cluster.world.run_for(Duration::from_millis(200));
    for _ in 0..FAULTS {
        let died = injector.step(cluster);
        if let Some(text) = injector.violation.take() {
            shared.borrow_mut().violate(text);
        }
        let now = cluster.world.now();
        for node in died {
            shared.borrow_mut().deaths[node].push(now);
        }
        if verbose {
            for text in injector.told.drain(..) {
                println!("{:8.3} s  {text}", now.as_nanos() as f64 / 1e9);
            }
        }
        let span = Duration::from_micros(cluster.world.random().between(10_000, STEP.as_micros() as u64));
        cluster.world.run_for(span);
        if shared.borrow().violation.is_some() {
            break;
        }
    }
    injector
}

/// Ends all faults, waits for recovery, checks every key through every edge, and stops everything.
fn finish(
    cluster: &mut Cluster,
    clients: ProcessId,
    shared: &Rc<RefCell<Shared>>,
    mut injector: Injector,
) -> Option<String> {
    injector.calm(cluster);
    cluster.world.run_for(RECOVERY + REQUEST_TIME);
    let before = shared.borrow().refused;
    cluster.world.run_for(Duration::from_millis(500));
    let refused = shared.borrow().refused - before;
    if refused > 0 {
        shared.borrow_mut().violate(format!("{refused} requests were refused after everything had healed"));
    }
    shared.borrow_mut().stop = true;
    let deadline = cluster.world.now() + Duration::from_secs(20);
    let ended = cluster.world.run_until(deadline, |world| !world.is_running(clients));
    if !ended {
        shared.borrow_mut().violate("a client hangs".to_owned());
    }
    if shared.borrow().violation.is_none() {
        let deadline = cluster.world.now() + Duration::from_secs(120);
        if let Err(text) = cluster.stop_all(deadline) {
            shared.borrow_mut().violate(text);
        }
        let endpoints = cluster.world.open_endpoints();
        if endpoints > 0 {
            shared.borrow_mut().violate(format!("{endpoints} ends of connections are left"));
        }
    }
    shared.borrow().violation.clone()
}

/// One client: draws an operation, does it, checks the answer.
struct Worker {
    reactor: Reactor,
    shared: Rc<RefCell<Shared>>,
    random: Random,
    clients: Vec<Client>,
    number: usize,
    writes: u64,
}

impl Worker {
    fn new(reactor: &Reactor, shared: Rc<RefCell<Shared>>, seed: u64, number: usize) -> Self {
        let clients = (0..EDGES).map(|edge| Client::new(reactor, edge_address(edge))).collect();
        let random = Random::new(seed.wrapping_mul(1_000_003) ^ number as u64);
        Worker { reactor: reactor.clone(), shared, random, clients, number, writes: 0 }
    }

    async fn run(mut self) {
        while !self.shared.borrow().stop {
            let edge = self.random.below(EDGES as u64) as usize;
            let key = key_name(self.random.below(KEYS));
            match self.random.below(10) {
                0..=2 => self.put(edge, &key).await,
                3 => self.delete(edge, &key).await,
                _ => self.get(edge, &key).await,
            }
            let pause = Duration::from_micros(self.random.between(100, 20_000));
            self.reactor.sleep(pause).await;
        }
        self.shared.borrow_mut().stopped += 1;
    }

    async fn call(&mut self, edge: usize, request: &Request<'_>) -> Option<crate::client::Answer> {
        let large_values = self.shared.borrow().large_values;
        let limit = REQUEST_TIME + ANSWER_SLACK + if large_values { LARGE_VALUE_TIME } else { Duration::ZERO };
        let result = self.clients[edge].call(request, limit).await;
        let mut shared = self.shared.borrow_mut();
        shared.requests += 1;
        match result {
            Ok(answer) if answer.status == 503 => {
                shared.refused += 1;
                None
            }
            Ok(answer) => Some(answer),
            Err(Failure::Connection) => {
                shared.failed += 1;
                None
            }
            Err(Failure::TimedOut) => {
                let text = format!(
                    "{} of {} through edge {} was not answered in {limit:?}",
                    request.method,
                    request.key,
                    edge + 1
                );
                shared.violate(text);
                None
            }
            Err(Failure::Malformed(text)) => {
                shared.violate(format!("an answer is malformed: {text}"));
                None
            }
        }
    }

    async fn put(&mut self, edge: usize, key: &str) {
        self.writes += 1;
        let mut value = format!("{key} client {} write {} ", self.number, self.writes).into_bytes();
        let large_values = self.shared.borrow().large_values;
        let bytes = match (self.random.chance(if large_values { 20 } else { 50 }), large_values) {
            (true, true) => 5_000_000,
            (true, false) => 200_000,
            (false, _) => 300,
        };
        value.resize(value.len() + self.random.below(bytes) as usize, b'.');
        let value = Rc::new(value);
        let ttl_s = self.random.chance(200).then(|| self.random.between(1, 3));
        let fields = ttl_s.map_or(String::new(), |seconds| format!("Cache-Control: max-age={seconds}\r\n"));
        let began = self.reactor.now();
        let write = Write { edge, began, acknowledged: None, version: None, ttl: ttl_s.map(Duration::from_secs) };
        self.history(key, |history| history.writes.insert(value.to_vec(), write));
        let request = Request { method: "PUT", key, fields: &fields, body: Some(Rc::clone(&value)) };
        let Some(answer) = self.call(edge, &request).await else { return };
        let now = self.reactor.now();
        match (answer.status, answer.etag) {
            (201 | 204, Some(version)) => self.history(key, |history| {
                let write = history.writes.get_mut(&*value).expect("inserted when it began");
                write.acknowledged = Some(now);
                write.version = Some(version);
            }),
            _ => self.shared.borrow_mut().violate(format!("a PUT was answered {answer:?}")),
        }
    }

    async fn delete(&mut self, edge: usize, key: &str) {
        let delete = Delete { edge, began: self.reactor.now(), began_ms: self.reactor.wall_ms(), acknowledged: None };
        let index = self.history(key, |history| {
            history.deletes.push(delete);
            history.deletes.len() - 1
        });
        let request = Request { method: "DELETE", key, fields: "", body: None };
        let Some(answer) = self.call(edge, &request).await else { return };
        let now = self.reactor.now();
        match answer.status {
            204 | 404 => self.history(key, |history| history.deletes[index].acknowledged = Some(now)),
            status => self.shared.borrow_mut().violate(format!("a DELETE was answered {status}")),
        }
    }

    async fn get(&mut self, edge: usize, key: &str) {
        let began = self.reactor.now();
        let request = Request { method: "GET", key, fields: "", body: None };
        let Some(answer) = self.call(edge, &request).await else { return };
        let found = match (answer.status, answer.etag) {
            (200, Some(version)) => Some((answer.body, version)),
            (404, _) => None,
            (status, etag) => {
                self.shared.borrow_mut().violate(format!("a GET was answered {status} with version {etag:?}"));
                return;
            }
        };
        let read = Read { edge, began, ended: self.reactor.now(), found };
        let mut shared = self.shared.borrow_mut();
        let owner = shared.owners[key];
        let deaths = shared.deaths[owner].clone();
        let checked = shared.keys.entry(key.to_owned()).or_default().check(&read, &deaths);
        if let Err(text) = checked {
            shared.violate(format!("{key} (node {}) through edge {}: {text}", owner + 1, edge + 1));
        }
    }

    fn history<R>(&self, key: &str, change: impl FnOnce(&mut KeyHistory) -> R) -> R {
        change(self.shared.borrow_mut().keys.entry(key.to_owned()).or_default())
    }
}
