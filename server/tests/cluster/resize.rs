//! Three nodes become four and three again while clients write and read: nothing is stale, nothing that has left comes back, and
//! exactly as many keys are gone as the nodes say.
//!
//! `RESIZES=5 cargo test -p corelane --test cluster resize` does so that often.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use shardstore::key::{KeyHasher, StoredKey};
use shardstore::placement::Topology;

use super::keys::{get, put};
use super::member::until;
use super::rig::{NODES, Rig};
use crate::support::client::Client;

/// How often, unless `RESIZES` says more.
const RESIZES: u32 = 1;
/// Keys that are written before a change and read after it.
const COLD_KEYS: usize = 300;
/// Keys of each edge's client, which it writes and reads all the time.
const HOT_KEYS: usize = 40;

#[expect(clippy::disallowed_methods, reason = "the one who runs the test says how often")]
fn resizes() -> u32 {
    std::env::var("RESIZES").map_or(RESIZES, |count| count.parse().unwrap())
}

fn cold(number: usize) -> String {
    format!("cold:{number}")
}

fn hot(edge: usize, number: usize) -> String {
    format!("hot:{edge}:{number}")
}

/// The keys whose owners differ between two files.
fn moved(before: &str, next: &str) -> BTreeSet<String> {
    let (before, next) = (Topology::parse(before).unwrap(), Topology::parse(next).unwrap());
    let hasher = KeyHasher::new(before.hash_seed());
    let is_moved = |key: &String| {
        let mut stored = Vec::new();
        StoredKey::encode(b"default", key.as_bytes(), &mut stored).unwrap();
        let slot = hasher.hash(&stored).slot();
        before.owner(slot).id != next.owner(slot).id
    };
    let hot_keys = (0..2).flat_map(|edge| (0..HOT_KEYS).map(move |number| hot(edge, number)));
    (0..COLD_KEYS).map(cold).chain(hot_keys).filter(is_moved).collect()
}

/// What the driver and the clients share.
#[derive(Default)]
struct Progress {
    stop: AtomicBool,
    /// How often each client has written all its keys.
    rounds: [AtomicU64; 2],
    /// How often the number of nodes has begun to change, and how often all processes had the new file.
    changes: AtomicU64,
    settled: AtomicU64,
}

/// Ends the clients, also where a check before it has failed: the test would wait for them for ever.
struct EndsClients<'a>(&'a Progress);

impl Drop for EndsClients<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }
}

/// Writes its keys one after another, and reads each before: it is what was written last, or gone because it has moved since.
fn work(edge: SocketAddr, number: usize, progress: &Progress) {
    let mut client = Client::connect(edge);
    let mut written: Vec<Option<(u64, u64)>> = vec![None; HOT_KEYS];
    for value in 0.. {
        if progress.stop.load(Ordering::Relaxed) {
            return;
        }
        let index = value as usize % HOT_KEYS;
        let key = hot(number, index);
        let answer = get(&mut client, &key);
        match (answer.status, written[index]) {
            (200, Some((last, _))) => assert_eq!(answer.body, last.to_string().as_bytes(), "{key} is what it was"),
            (404, None) | (503, _) => {}
            (404, Some((_, settled))) => {
                assert!(progress.changes.load(Ordering::Relaxed) > settled, "{key} is gone, and nothing has changed");
                written[index] = None;
            }
            (status, last) => panic!("{key}: {status} after {last:?}"),
        }
        // A change that is under way, or begins, may take it.
        let settled = progress.settled.load(Ordering::Relaxed);
        let answer = put(&mut client, &key, value.to_string().as_bytes(), "");
        match answer.status {
            201 | 204 => written[index] = Some((value, settled)),
            503 => {
                let text = String::from_utf8_lossy(&answer.body).into_owned();
                assert!(!text.contains("outcome-unknown"), "nothing fails here: {text}");
            }
            status => panic!("{key}: a PUT is answered {status}"),
        }
        if index + 1 == HOT_KEYS {
            progress.rounds[number].fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The cluster, and the file in force.
struct Resize {
    rig: Rig,
    epoch: u32,
    file: String,
}

impl Resize {
    fn dropped(&self) -> u64 {
        let running = self.rig.nodes.iter().filter(|node| node.runs());
        running.map(|node| node.metric("corelane_cache_disowned_total")).sum()
    }

    /// Waits until every client has written every key twice: each at least once since now.
    fn await_rounds(&self, progress: &Progress) {
        let begun = [0, 1].map(|number| progress.rounds[number].load(Ordering::Relaxed));
        until("a round of all clients", || {
            let is_over = |number: usize| progress.rounds[number].load(Ordering::Relaxed) >= begun[number] + 2;
            (is_over(0) && is_over(1)).then_some(())
        });
    }

    /// Changes the number of nodes to `count` while clients work.
    fn change(&mut self, count: usize, progress: &Progress) {
        let mut client = self.rig.edges[0].connect();
        for key in (0..COLD_KEYS).map(cold) {
            let status = put(&mut client, &key, key.as_bytes(), "").status;
            assert!(matches!(status, 201 | 204), "{key}: {status}");
        }
        self.await_rounds(progress);
        let before = self.dropped();
        progress.changes.fetch_add(1, Ordering::Relaxed);
        self.epoch += 1;
        let next = self.rig.topology_of(self.epoch, count);
        let moved = moved(&self.file, &next);
        self.file = next;
        self.rig.write_nodes_topology(&self.file);
        self.rig.write_edges_topology(&self.file);
        if count > NODES {
            self.rig.nodes[NODES].start();
        }
        let members = || self.rig.nodes.iter().chain(&self.rig.edges);
        members().for_each(|member| member.signal(Signal::HUP));
        for member in members() {
            until("the epoch everywhere", || (member.epoch() == u64::from(self.epoch)).then_some(()));
        }
        progress.settled.fetch_add(1, Ordering::Relaxed);
        until("all that is dropped", || (self.dropped() - before >= moved.len() as u64).then_some(()));
        self.await_rounds(progress);
        assert_eq!(self.dropped() - before, moved.len() as u64, "what nodes say that they dropped is what has moved");
        self.check_cold(&moved);
    }

    /// Of the keys that nobody has written since, those that have moved are gone, and no others.
    fn check_cold(&self, moved: &BTreeSet<String>) {
        let mut clients = [self.rig.edges[0].connect(), self.rig.edges[1].connect()];
        for key in (0..COLD_KEYS).map(cold) {
            for client in &mut clients {
                let answer = get(client, &key);
                let expected = if moved.contains(&key) { 404 } else { 200 };
                assert_eq!(answer.status, expected, "{key}");
                assert!(expected == 404 || answer.body == key.as_bytes(), "{key}");
            }
        }
    }
}

#[test]
fn three_nodes_become_four_and_three_again() {
    let mut rig = Rig::start(Duration::ZERO);
    rig.add_node();
    let file = rig.topology_of(1, NODES);
    let mut resize = Resize { rig, epoch: 1, file };
    let (progress, edges) = (Progress::default(), [0, 1].map(|edge: usize| resize.rig.edges[edge].address));
    std::thread::scope(|scope| {
        let _ends = EndsClients(&progress);
        for (number, edge) in edges.into_iter().enumerate() {
            let progress = &progress;
            scope.spawn(move || work(edge, number, progress));
        }
        for _ in 0..resizes() {
            resize.change(NODES + 1, &progress);
            resize.change(NODES, &progress);
            let last = &mut resize.rig.nodes[NODES];
            last.signal(Signal::TERM);
            assert_eq!(last.await_exit(), 0);
        }
    });
}
