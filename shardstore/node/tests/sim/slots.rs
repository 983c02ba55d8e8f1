//! Slots that leave a node and come back: what they held is dropped and counted, and is never shown again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reactor::Signal;
use reactor::sim::NetworkOptions;
use shardstore::version::Condition;
use shardstore::wire::batch::{BatchAnswers, MgetKeys};
use shardstore::wire::ext::WantedPart;
use shardstore::wire::{Op, Status};

use crate::epochs::{TWO, swapped};
use crate::peer::{Peer, key, set};
use crate::rig::{Rig, script};

const KEYS: usize = 60;

/// Keys of the lower half of the slots, which node 1 owns at first and at last.
fn lower_keys(peer: &Peer) -> Vec<Vec<u8>> {
    let names = (0..).map(|n| key(format!("{n}")));
    names.filter(|key| peer.hasher.hash(key).slot().number() < 8192).take(KEYS).collect()
}

fn first_again(epoch: u32) -> String {
    TWO.replace("epoch = 5", &format!("epoch = {epoch}"))
}

/// Writes every key, on the connection of one core: half of them through a hop.
fn write_all(rig: &mut Rig) {
    rig.run(script!(|reactor| {
        let mut peer = Peer::connect(&reactor, 0).await;
        for key in lower_keys(&peer) {
            assert_eq!(peer.set(&key, b"before").await.status, Status::Ok);
        }
    }));
}

impl Rig {
    fn take_map(&mut self, text: &str) {
        self.file.write(text);
        self.world.signal(self.node, Signal::Reload);
    }

    fn dropped(&self) -> Vec<u64> {
        let log = self.log.text();
        let lines = log.lines().filter(|line| line.contains("event=slots_dropped"));
        lines.map(|line| line.split("items=").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap()).collect()
    }
}

#[test]
fn a_slot_that_comes_back_shows_nothing_of_what_was_there() {
    for seed in 0..20 {
        let mut rig = Rig::with(seed, TWO, NetworkOptions::default(), &[]);
        write_all(&mut rig);
        rig.take_map(&swapped(6));
        rig.world.run_for(Duration::from_millis(100));
        assert_eq!(rig.dropped(), [KEYS as u64], "seed {seed}: {}", rig.log.text());
        rig.take_map(&first_again(7));
        rig.world.run_for(Duration::from_millis(100));
        rig.run(script!(|reactor| {
            let mut peer = Peer::connect(&reactor, 0).await;
            assert_eq!(peer.stat("corelane_cache_disowned_total").await, KEYS as u64);
            let keys = lower_keys(&peer);
            for key in &keys {
                assert_eq!(peer.get(key).await.status, Status::NotFound);
            }
            assert_eq!(peer.set(&keys[0], b"since").await.status, Status::Ok);
            assert_eq!(peer.get(&keys[0]).await.value, b"since");
        }));
        assert_eq!(rig.dropped().len(), 2, "seed {seed}: the upper half left, and was empty: {}", rig.log.text());
    }
}

/// The map changes twice before a core has done anything about it, and peers ask from the first moment on.
#[test]
fn a_slot_that_is_back_at_once_keeps_what_is_written_since_and_nothing_else() {
    for seed in 0..60 {
        let mut rig = Rig::with(seed, TWO, NetworkOptions::default(), &[]);
        write_all(&mut rig);
        let peer = rig.peer(script!(|reactor| {
            let mut peer = Peer::connect(&reactor, 0).await;
            let keys = lower_keys(&peer);
            // Until the map has changed twice.
            while peer.set(&keys[0], b"probe").await.slot_epoch < 7 {}
            peer.epoch = 7;
            assert_eq!(peer.get(&keys[0]).await.value, b"probe");
            for key in &keys[1..20] {
                assert_eq!(peer.get(key).await.status, Status::NotFound);
                let set = Op::Set(shardstore::wire::request::Set {
                    condition: Condition::Absent,
                    ..match set(key, b"since") {
                        Op::Set(set) => set,
                        _ => unreachable!(),
                    }
                });
                assert_eq!(peer.call(set).await.status, Status::Ok);
            }
            let mut payload = Vec::new();
            let listed: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
            let all = peer.call(Op::Mget(MgetKeys::write(&mut payload, &listed).unwrap())).await;
            let answers = BatchAnswers::parse(&all.value, 100).unwrap();
            for (number, answer) in answers.iter().enumerate().skip(1) {
                let expected = if number < 20 { Status::Ok } else { Status::NotFound };
                assert_eq!(answer.status, expected, "{number}");
            }
            reactor.sleep(Duration::from_millis(50)).await;
            for key in &keys[1..20] {
                assert_eq!(peer.get(key).await.value, b"since");
            }
        }));
        rig.world.run_for(Duration::from_micros(seed * 37));
        rig.take_map(&swapped(6));
        rig.world.run_for(Duration::from_micros(seed % 7 * 3));
        rig.take_map(&first_again(7));
        rig.finish(peer);
        let dropped: u64 = rig.dropped().iter().sum();
        assert!((KEYS as u64 - 1..=KEYS as u64 + 1).contains(&dropped), "seed {seed}: {dropped}: {}", rig.log.text());
    }
}

/// What is held for a reader of parts does not outlive the slot's leaving.
#[test]
fn a_value_that_is_read_part_by_part_is_gone_with_its_slot() {
    for seed in 0..10 {
        let mut rig = Rig::with(seed, TWO, NetworkOptions::default(), &[]);
        let peer = rig.peer(script!(|reactor| {
            let mut peer = Peer::connect(&reactor, 0).await;
            let keys = lower_keys(&peer);
            let stored = peer.set(&keys[0], &vec![7; 300_000]).await;
            assert_eq!(stored.status, Status::Ok);
            let part = |offset, version| {
                let is_first = offset == 0;
                let wanted = WantedPart { offset, bytes_max: 100_000, is_all_or_none: false, is_first, version };
                Op::Read { key: &keys[0], wanted }
            };
            let first = peer.call(part(0, 0)).await;
            assert_eq!((first.status, first.value.len()), (Status::Ok, 100_000));
            // Until the map has changed twice.
            while peer.set(&keys[1], b"probe").await.slot_epoch < 7 {}
            peer.epoch = 7;
            assert_eq!(peer.call(part(100_000, first.version)).await.status, Status::NotFound);
        }));
        rig.world.run_for(Duration::from_millis(100));
        rig.take_map(&swapped(6));
        rig.world.run_for(Duration::from_micros(seed * 3));
        rig.take_map(&first_again(7));
        rig.finish(peer);
    }
}

/// Bytes of the large value that the next test writes: 192 slices.
const ON_ITS_WAY_BYTES: usize = 24 << 20;

/// Bytes that were copied for writes that were not applied, by any seed.
static COPIED_IN_VAIN: AtomicU64 = AtomicU64::new(0);

/// Large values are written slice by slice; the slot of one may leave before it is there. A value takes some 34 ms to the node, and the map
/// changes at some moment around that.
#[test]
fn a_value_on_its_way_when_its_slot_leaves_is_not_shown_when_that_comes_back() {
    for seed in 0..40 {
        let mut rig = Rig::with(seed, TWO, NetworkOptions::default(), &["--memory=256MiB"]);
        let peer = rig.peer(script!(|reactor| {
            let mut peer = Peer::connect(&reactor, 0).await;
            let keys = lower_keys(&peer);
            let status = peer.set(&keys[0], &vec![7; ON_ITS_WAY_BYTES]).await.status;
            assert!(matches!(status, Status::Ok | Status::Moved), "{status:?}");
        }));
        rig.world.run_for(Duration::from_micros(13_000 + seed * 50));
        rig.take_map(&swapped(6));
        rig.finish(peer);
        rig.take_map(&first_again(7));
        rig.run(script!(|reactor| {
            let mut peer = Peer::connect(&reactor, 0).await;
            let keys = lower_keys(&peer);
            while peer.get(&keys[0]).await.slot_epoch < 7 {}
            assert_eq!(peer.get(&keys[0]).await.status, Status::NotFound);
            reactor.sleep(Duration::from_secs(1)).await;
            let copied = peer.counted("cache_staged_bytes").await;
            let applied = peer.counted("cache_inserts").await * ON_ITS_WAY_BYTES as u64;
            COPIED_IN_VAIN.fetch_add(copied - applied, Ordering::Relaxed);
        }));
    }
    assert!(COPIED_IN_VAIN.load(Ordering::Relaxed) > 0, "no slot left while a value was on its way");
}
