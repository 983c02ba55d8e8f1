//! One seed: start, let clients work while things go wrong, let everything heal, check, stop, look for leaks.

pub(crate) mod resize;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use reactor::sim::{NetworkOptions, ProcessId, World};
use reactor::{CoreId, CoreSpec, Host, Instant, Random, Reactor};

use crate::client::{Client, Failure, Request};
use crate::cluster::{Cluster, EDGES, REQUEST_TIME, SKEW_MS_MAX, STEP_MS_MAX, Variant, edge_address, range_of};
use crate::faults::{Injector, STEP};
use crate::history::{Allowance, Delete, Found, KeyHistory, Loss, Read, Write};

/// Clients, each with one request under way.
const CLIENTS: usize = 6;
/// Keys: few, so that clients meet on them.
const KEYS: u64 = 12;
/// Requests that a client sends at once at most.
const PIPELINED_MAX: u64 = 6;
/// How long after a topology has changed a node may still answer by the old one: it is told at once, and reads no disk.
const MOVE_TIME: Duration = Duration::from_millis(50);
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
    variant: Variant,
    violation: Option<String>,
    requests: u64,
    refused: u64,
    failed: u64,
    stop: bool,
    stopped: usize,
    verbose: bool,
    /// Values of megabytes, and the time they take on a bad network.
    large_values: bool,
    /// What the keeper has to do, where there is one.
    order: resize::Order,
    /// Keys that it found gone.
    gone: u64,
}

impl Shared {
    fn violate(&mut self, text: String) {
        if self.verbose {
            println!("violation: {text}");
        }
        self.violation.get_or_insert(text);
    }

    fn allowance(&self) -> Allowance {
        Allowance {
            skew_ms: match self.variant {
                Variant { stepped_clocks: true, .. } => 2 * STEP_MS_MAX as u64,
                Variant { skewed_clocks: true, .. } => SKEW_MS_MAX as u64,
                _ => 0,
            },
            evicting: self.variant.evicting,
        }
    }

    /// Notes that the values of some keys may be lost.
    fn lose(&mut self, loss: Loss, is_lost: impl Fn(&str) -> bool) {
        for key in (0..KEYS).map(key_name).filter(|key| is_lost(key)) {
            self.keys.entry(key).or_default().losses.push(loss);
        }
    }
}

/// What is different in a seed: all of it comes together in one of them, and none of it in another.
fn variant_of(seed: u64) -> Variant {
    Variant {
        skewed_clocks: seed % 4 == 1,
        stepped_clocks: seed % 4 == 2,
        evicting: seed % 8 == 5,
        moving: !seed.is_multiple_of(3),
        resizing: false,
        mutual_tls: is_mutual_tls(seed),
    }
}

/// With one seed in four edges and nodes show each other certificates: with whatever else is different.
fn is_mutual_tls(seed: u64) -> bool {
    seed % 12 < 3
}

/// Runs the scenario of one seed.
pub(crate) fn run(seed: u64, verbose: bool) -> Outcome {
    let mut world = World::new(seed, NetworkOptions::default());
    let clients = world.add_process("clients");
    let variant = variant_of(seed);
    let mut cluster = Cluster::start(world, variant);
    let large_values = seed % 8 == 3 || variant.evicting;
    let shared = Rc::new(RefCell::new(Shared { variant, verbose, large_values, ..Shared::default() }));
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
        if shared.borrow().variant.resizing {
            let keeper = Worker::new(&reactor, Rc::clone(&shared), seed, CLIENTS);
            reactor.spawn(keeper.keep()).unwrap();
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
            let loss = Loss { from: now, until: now, moved: false };
            shared.borrow_mut().lose(loss, |key| cluster.owner_of(key) == node);
        }
        for range in injector.moved.drain(..) {
            let loss = Loss { from: now, until: now + MOVE_TIME, moved: true };
            shared.borrow_mut().lose(loss, |key| range_of(key) == range);
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

/// On what a write depends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Only {
    Always,
    Absent,
    Version(u64),
}

impl Only {
    fn field(self) -> String {
        match self {
            Only::Always => String::new(),
            Only::Absent => "If-None-Match: *\r\n".to_owned(),
            Only::Version(version) => format!("If-Match: \"{version}\"\r\n"),
        }
    }
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
            if self.shared.borrow().variant.resizing {
                self.work_steadily(edge, &key).await;
                continue;
            }
            match self.random.below(16) {
                0..=3 => self.put(edge, &key, Only::Always).await,
                4 => self.put(edge, &key, Only::Absent).await,
                5 => self.replace(edge, &key).await,
                6 => self.delete(edge, &key).await,
                7 => self.read_fresh(edge, &key).await,
                8 => self.read_several(edge).await,
                _ => self.get(edge, &key).await,
            }
            let pause = Duration::from_micros(self.random.between(100, 20_000));
            self.reactor.sleep(pause).await;
        }
        self.shared.borrow_mut().stopped += 1;
    }

    /// Writes and reads only, so that what is gone is what nodes have dropped.
    async fn work_steadily(&mut self, edge: usize, key: &str) {
        match self.random.below(16) {
            0..=4 => self.put(edge, key, Only::Always).await,
            5..=6 => self.read_fresh(edge, key).await,
            7 => self.read_several(edge).await,
            8..=10 => {
                let cold = resize::cold_name(self.random.below(resize::COLD_KEYS));
                self.get(edge, &cold).await;
            }
            _ => self.get(edge, key).await,
        }
        let pause = Duration::from_micros(self.random.between(100, 20_000));
        self.reactor.sleep(pause).await;
    }

    /// How long an answer may take.
    fn limit(&self) -> Duration {
        let large_values = self.shared.borrow().large_values;
        REQUEST_TIME + ANSWER_SLACK + if large_values { LARGE_VALUE_TIME } else { Duration::ZERO }
    }

    async fn call(&mut self, edge: usize, request: &Request<'_>) -> Option<crate::client::Answer> {
        let limit = self.limit();
        let result = self.clients[edge].call(request, limit).await;
        self.judge(edge, request, result)
    }

    /// Counts what a request came to; gives the answer, if it was served.
    fn judge(
        &self,
        edge: usize,
        request: &Request<'_>,
        result: Result<crate::client::Answer, Failure>,
    ) -> Option<crate::client::Answer> {
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
                let edge = edge + 1;
                shared.violate(format!("{} of {} through edge {edge} was not answered", request.method, request.key));
                None
            }
            Err(Failure::Malformed(text)) => {
                shared.violate(format!("an answer is malformed: {text}"));
                None
            }
        }
    }

    /// Writes a new value; what is not applied, because `only` does not hold, was never written.
    async fn put(&mut self, edge: usize, key: &str, only: Only) {
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
        let has_ttl = !self.shared.borrow().variant.resizing && self.random.chance(200);
        let ttl_s = has_ttl.then(|| self.random.between(1, 3));
        let mut fields = ttl_s.map_or(String::new(), |seconds| format!("Cache-Control: max-age={seconds}\r\n"));
        fields += &only.field();
        let began = self.reactor.now();
        let lands_by_ms = self.reactor.wall_ms() + self.limit().as_millis() as u64;
        let ttl = ttl_s.map(Duration::from_secs);
        let write = Write { edge, began, acknowledged: None, version: None, ttl, lands_by_ms };
        self.history(key, |history| history.writes.insert(value.to_vec(), write));
        let request = Request { method: "PUT", key, fields: &fields, body: Some(Rc::clone(&value)) };
        let limit = self.limit();
        let result = self.clients[edge].call(&request, limit).await;
        if result.as_ref().is_ok_and(crate::client::Answer::says_nothing_changed) {
            // Whoever reads it all the same has read what nobody wrote.
            self.history(key, |history| history.writes.remove(&*value));
        }
        let Some(answer) = self.judge(edge, &request, result) else { return };
        let now = self.reactor.now();
        match (answer.status, answer.etag) {
            (201 | 204, Some(version)) => {
                self.history(key, |history| {
                    let write = history.writes.get_mut(&*value).expect("inserted when it began");
                    write.acknowledged = Some(now);
                    write.version = Some(version);
                });
                self.check_condition(edge, key, only, began);
            }
            (412, _) if only != Only::Always => {
                self.history(key, |history| history.writes.remove(&*value));
            }
            _ => self.shared.borrow_mut().violate(format!("a PUT was answered {answer:?}")),
        }
    }

    /// What it means that a write on a condition has succeeded.
    fn check_condition(&self, edge: usize, key: &str, only: Only, began: Instant) {
        let allowance = self.shared.borrow().allowance();
        let ended = self.reactor.now();
        let checked = self.history(key, |history| match only {
            Only::Always => Ok(()),
            Only::Absent => history.check(&Read { edge, fresh: true, began, ended, found: None }, allowance),
            Only::Version(version) => history.replace(version),
        });
        if let Err(text) = checked {
            self.shared.borrow_mut().violate(format!("{key} through edge {}, {only:?}: {text}", edge + 1));
        }
    }

    /// Reads a version through one edge, and replaces it through another.
    async fn replace(&mut self, edge: usize, key: &str) {
        let request = Request { method: "GET", key, fields: "", body: None };
        let Some(answer) = self.call(edge, &request).await else { return };
        let Some(version) = answer.etag.filter(|_| answer.status == 200) else { return };
        let other = self.random.below(EDGES as u64) as usize;
        self.put(other, key, Only::Version(version)).await;
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
        self.check_read(edge, key, (began, false), answer);
    }

    /// A read for which no copy will do: it sees every acknowledged write, whichever edge acknowledged it.
    async fn read_fresh(&mut self, edge: usize, key: &str) {
        let began = self.reactor.now();
        let request = Request { method: "GET", key, fields: "Cache-Control: no-cache\r\n", body: None };
        let Some(answer) = self.call(edge, &request).await else { return };
        self.check_read(edge, key, (began, true), answer);
    }

    /// Several reads at once on one connection; answers come in the order of the requests.
    async fn read_several(&mut self, edge: usize) {
        let count = self.random.between(2, PIPELINED_MAX);
        let keys: Vec<String> = (0..count).map(|_| key_name(self.random.below(KEYS))).collect();
        let requests: Vec<Request<'_>> =
            keys.iter().map(|key| Request { method: "GET", key, fields: "", body: None }).collect();
        let began = self.reactor.now();
        let limit = self.limit() * count as u32;
        let results = self.clients[edge].call_all(&requests, limit).await;
        for (request, result) in requests.iter().zip(results) {
            if let Some(answer) = self.judge(edge, request, result) {
                self.check_read(edge, request.key, (began, false), answer);
            }
        }
    }

    fn check_read(&self, edge: usize, key: &str, (began, fresh): (Instant, bool), answer: crate::client::Answer) {
        let found = match (answer.status, answer.etag) {
            (200, Some(version)) => Some(Found { value: answer.body, version, max_age_s: answer.max_age_s }),
            (404, _) => None,
            (status, etag) => {
                self.shared.borrow_mut().violate(format!("a GET was answered {status} with version {etag:?}"));
                return;
            }
        };
        let read = Read { edge, fresh, began, ended: self.reactor.now(), found };
        let allowance = self.shared.borrow().allowance();
        if let Err(text) = self.history(key, |history| history.check(&read, allowance)) {
            let kind = if fresh { "no-cache" } else { "read" };
            self.shared.borrow_mut().violate(format!("{key} through edge {}, {kind}: {text}", edge + 1));
        }
    }

    fn history<R>(&self, key: &str, change: impl FnOnce(&mut KeyHistory) -> R) -> R {
        change(self.shared.borrow_mut().keys.entry(key.to_owned()).or_default())
    }
}
