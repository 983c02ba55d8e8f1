//! Every reference engine against a naive model that shares no code with it, under random requests.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};

use super::engine::{Capacity, Engine, Kind, object_bytes};
use super::fit::Fits;
use perf_basis::trace::{Builder, Trace, TraceRequest};

/// A naive engine: what it would evict, how it answers; all by searching.
trait EngineModel {
    fn hit(&mut self, id: u32) -> bool;
    fn evict(&mut self, request: &TraceRequest);
    fn add(&mut self, object: Object);
    fn objects(&self) -> Vec<Object>;
    /// Called before room is made for an object that is missing.
    fn missed(&mut self, _id: u32) {}
}

#[derive(Clone, Copy, Debug)]
struct Object {
    id: u32,
    bytes: u32,
    /// Uses since it was put where it is; SIEVE's mark; Belady's next use.
    mark: u32,
}

fn weight(capacity: Capacity, object: Object) -> u64 {
    if matches!(capacity, Capacity::Objects(_)) { 1 } else { object.bytes.into() }
}

fn total(capacity: Capacity, objects: &[Object]) -> u64 {
    objects.iter().map(|object| weight(capacity, *object)).sum()
}

fn position(objects: &[Object], id: u32) -> Option<usize> {
    objects.iter().position(|object| object.id == id)
}

/// Oldest first.
#[derive(Default)]
struct Fifo(Vec<Object>);

impl EngineModel for Fifo {
    fn hit(&mut self, id: u32) -> bool {
        position(&self.0, id).is_some()
    }
    fn evict(&mut self, _: &TraceRequest) {
        self.0.remove(0);
    }
    fn add(&mut self, object: Object) {
        self.0.push(object);
    }
    fn objects(&self) -> Vec<Object> {
        self.0.clone()
    }
}

/// Last used last.
#[derive(Default)]
struct LruModel(Vec<Object>);

impl EngineModel for LruModel {
    fn hit(&mut self, id: u32) -> bool {
        let Some(at) = position(&self.0, id) else { return false };
        let object = self.0.remove(at);
        self.0.push(object);
        true
    }
    fn evict(&mut self, _: &TraceRequest) {
        self.0.remove(0);
    }
    fn add(&mut self, object: Object) {
        self.0.push(object);
    }
    fn objects(&self) -> Vec<Object> {
        self.0.clone()
    }
}

/// Oldest first, with the index of the hand.
#[derive(Default)]
struct SieveModel(Vec<Object>, usize);

impl EngineModel for SieveModel {
    fn hit(&mut self, id: u32) -> bool {
        let Some(at) = position(&self.0, id) else { return false };
        self.0[at].mark = 1;
        true
    }
    fn evict(&mut self, _: &TraceRequest) {
        loop {
            if self.1 >= self.0.len() {
                self.1 = 0;
            }
            if self.0[self.1].mark == 0 {
                self.0.remove(self.1);
                // A hand that has passed the newest begins again at the oldest, not at what comes next.
                if self.1 >= self.0.len() {
                    self.1 = 0;
                }
                return;
            }
            self.0[self.1].mark = 0;
            self.1 += 1;
            if self.1 >= self.0.len() {
                self.1 = 0;
            }
        }
    }
    fn add(&mut self, object: Object) {
        self.0.push(object);
    }
    fn objects(&self) -> Vec<Object> {
        self.0.clone()
    }
}

struct S3FifoModel {
    capacity: Capacity,
    small: Vec<Object>,
    main: Vec<Object>,
    /// What left the small queue, in order; without its id once it was asked for again.
    left: Vec<(Option<u32>, u64)>,
    was_ghost: bool,
}

impl EngineModel for S3FifoModel {
    fn hit(&mut self, id: u32) -> bool {
        let mut all = self.small.iter_mut().chain(&mut self.main);
        let found = all.find(|object| object.id == id);
        found.map(|object| object.mark = (object.mark + 1).min(3)).is_some()
    }
    fn missed(&mut self, id: u32) {
        let ghost_max = self.capacity.amount() * 9 / 10;
        let mut reach = 0;
        self.was_ghost = false;
        for (ghost, weight) in self.left.iter_mut().rev() {
            reach += *weight;
            if *ghost == Some(id) {
                self.was_ghost = reach <= ghost_max;
                *ghost = None;
            }
        }
    }
    fn evict(&mut self, _: &TraceRequest) {
        if total(self.capacity, &self.small) > (self.capacity.amount() / 10).max(1) || self.main.is_empty() {
            while !self.small.is_empty() {
                let object = self.small.remove(0);
                if object.mark < 2 {
                    self.left.push((Some(object.id), weight(self.capacity, object)));
                    return;
                }
                self.main.push(Object { mark: 0, ..object });
            }
        }
        loop {
            let object = self.main.remove(0);
            if object.mark == 0 {
                return;
            }
            self.main.push(Object { mark: object.mark - 1, ..object });
        }
    }
    fn add(&mut self, object: Object) {
        if self.was_ghost { self.main.push(object) } else { self.small.push(object) }
    }
    fn objects(&self) -> Vec<Object> {
        [self.small.clone(), self.main.clone()].concat()
    }
}

/// Looks ahead through all requests.
struct BeladyModel {
    ids: Vec<u32>,
    held: Vec<Object>,
}

impl EngineModel for BeladyModel {
    fn hit(&mut self, id: u32) -> bool {
        position(&self.held, id).is_some()
    }
    fn evict(&mut self, request: &TraceRequest) {
        let ahead = &self.ids[request.at as usize..];
        let next_use = |object: &Object| ahead.iter().position(|id| *id == object.id).unwrap_or(usize::MAX);
        let far = self.held.iter().map(|object| (next_use(object), object.id)).max().unwrap();
        self.held.retain(|object| object.id != far.1);
    }
    fn add(&mut self, object: Object) {
        self.held.push(object);
    }
    fn objects(&self) -> Vec<Object> {
        self.held.clone()
    }
}

fn model(kind: Kind, capacity: Capacity, trace: &Trace) -> Box<dyn EngineModel> {
    match kind {
        Kind::Fifo => Box::new(Fifo::default()),
        Kind::Lru => Box::new(LruModel::default()),
        Kind::Sieve => Box::new(SieveModel::default()),
        Kind::S3Fifo => {
            Box::new(S3FifoModel { capacity, small: Vec::new(), main: Vec::new(), left: Vec::new(), was_ghost: false })
        }
        Kind::Belady => {
            Box::new(BeladyModel { ids: trace.requests().map(|request| request.id).collect(), held: Vec::new() })
        }
        Kind::Shardstore => unreachable!("it has a model of its own, in its crate"),
    }
}

/// Few keys often, many seldom, and runs through new ones; sizes of 0 to 199 bytes, and some that fit nowhere.
fn random_trace(seed: u64, requests: u64) -> Trace {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut builder = Builder::new(0);
    let mut fresh = 1000;
    for _ in 0..requests {
        let key = match random.random_range(0..10) {
            0..=4 => random.random_range(0..20),
            5..=8 => random.random_range(0..150),
            _ => {
                fresh += 1;
                fresh
            }
        };
        let size = if random.random_range(0..50) == 0 { 100_000 } else { random.random_range(0..200) };
        builder.add_sized(key, size as u32).unwrap();
    }
    builder.finish()
}

fn compare(kind: Kind, capacity: Capacity, trace: &Trace, seed: u64) {
    let mut engine = kind.make(capacity, trace, &mut Fits::default()).unwrap();
    let mut model = model(kind, capacity, trace);
    for request in trace.requests() {
        let hit = model.hit(request.id);
        let object = Object { id: request.id, bytes: object_bytes(request), mark: 0 };
        if !hit && weight(capacity, object) <= capacity.amount() {
            model.missed(request.id);
            while total(capacity, &model.objects()) + weight(capacity, object) > capacity.amount() {
                model.evict(&request);
            }
            model.add(object);
        }
        let place = format!("seed {seed}, {kind:?} of {capacity:?}, request {}", request.at);
        assert_eq!(engine.request(request), hit, "{place}");
        let held = engine.held();
        let objects = model.objects();
        let bytes = objects.iter().map(|object| u64::from(object.bytes)).sum();
        assert_eq!((held.objects, held.bytes), (objects.len() as u64, bytes), "{place}");
        assert!(capacity.weight(held) <= capacity.amount(), "{place}");
    }
}

const REFERENCES: [Kind; 5] = [Kind::Fifo, Kind::Lru, Kind::Sieve, Kind::S3Fifo, Kind::Belady];

#[test]
fn reference_engines_do_what_naive_models_do() {
    for seed in 1..=6 {
        let trace = random_trace(seed, 1500);
        for kind in REFERENCES {
            for objects in [1, 2, 7, 40, 100] {
                compare(kind, Capacity::Objects(objects), &trace, seed);
            }
            for bytes in [16, 300, 2000, 10_000] {
                compare(kind, Capacity::Bytes(bytes), &trace, seed);
            }
        }
    }
}

#[test]
fn no_engine_misses_less_than_the_optimum_by_count() {
    let trace = random_trace(7, 20_000);
    let hits = |kind: Kind| {
        let mut engine: Box<dyn Engine> = kind.make(Capacity::Objects(50), &trace, &mut Fits::default()).unwrap();
        trace.requests().filter(|request| engine.request(*request)).count()
    };
    let best = hits(Kind::Belady);
    assert!(REFERENCES.into_iter().all(|kind| hits(kind) <= best));
}
