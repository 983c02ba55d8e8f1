//! Values on their way beside everything else that a core does; work is counted, never timed.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use reactor::Mailbox;
use shardstore::cache::Commit;
use shardstore::key::KeyHasher;
use shardstore::shard::Delete;
use shardstore::version::{Condition, Version};

use super::*;
use crate::edge_copy::{StagedCopy, Times};
use crate::remote::unpublished;
use crate::request::{Outcome, ReadPart, StoredValue, Write};
use crate::rig;
use crate::store::ShardPlan;

const HASHER: KeyHasher = KeyHasher::new(1);
const MIB: usize = 1 << 20;

/// Of the cache: what a slice reclaims, and the last record of that, which may be of a page or a segment.
const UNITS_PER_POLL_MAX: u64 = 128 + 130 + 1024 + 64;

fn start(reactor: &Reactor, shard_mib: u64) -> Rc<Store> {
    let plan = ShardPlan {
        limit_bytes: shard_mib << 20,
        commit: Commit::default(),
        hasher: HASHER,
        region: 0,
        published: unpublished(1),
    };
    Rc::new(Store::start(reactor, plan).unwrap())
}

/// Runs a script on one core, with a shard of so many MiB, until it is over.
fn run<F: Future<Output = ()> + 'static>(
    shard_mib: u64,
    script: impl Fn(Reactor, Rc<Store>) -> F + Clone + Send + 'static,
) {
    rig::run::<()>(1, 16, move |reactor: Reactor, _: Mailbox<()>| {
        let store = start(&reactor, shard_mib);
        let (running, script) = (reactor.clone(), script.clone());
        let task = async move {
            script(running.clone(), store).await;
            running.stop();
        };
        reactor.spawn(task).unwrap();
    });
}

fn key(name: &[u8]) -> (KeyHash, &[u8]) {
    (HASHER.hash(name), name)
}

fn far(reactor: &Reactor) -> Instant {
    reactor.now() + Duration::from_secs(5)
}

fn value(seed: usize, bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at * 31 + at / 251 + seed) as u8).collect()
}

/// Writes a value as a request does.
async fn write(store: &Store, name: &[u8], set: &NewValue<'_>, deadline: Instant) -> Result<Written, NotStaged> {
    Ok(store.stage(key(name), set, deadline, || true).await?.apply(key(name), set))
}

/// The whole value of a key, part by part.
fn read(store: &Store, name: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let part =
            ReadPart { offset: bytes.len(), bytes_max: usize::MAX, version: None, is_first: false, fresh: false };
        let Outcome::Found(found) = store.read(key(name), &part) else { return None };
        bytes.extend_from_slice(&found.part);
        if bytes.len() == found.value_bytes {
            return Some(bytes);
        }
    }
}

/// Fills the shard with small values, so that what comes next has to reclaim.
fn fill(store: &Store, count: u32) {
    for number in 0..count {
        let set = NewValue::new(&[7; 300][..]);
        let name = [&b"\0small"[..], &number.to_le_bytes()].concat();
        assert!(matches!(store.write(key(&name), &Write::Set(set)), Written::Stored(_)));
    }
}

fn filling(store: &Store) -> u64 {
    store.shard().stats().bytes_filling
}

/// The most that one poll of a future did to a shard: bytes copied, and units of reclaiming; and how many polls there were.
async fn busiest_poll<T>(store: &Store, future: impl Future<Output = T>) -> (T, [u64; 3]) {
    let mut future = pin!(future);
    let mut busiest = [0; 3];
    let output = poll_fn(|context| {
        let before = store.shard().stats();
        let polled = future.as_mut().poll(context);
        let after = store.shard().stats();
        let [bytes, units, polls] = busiest;
        let (copied, worked) = (after.staged_bytes - before.staged_bytes, after.work_units - before.work_units);
        busiest = [bytes.max(copied), units.max(worked), polls + 1];
        polled
    })
    .await;
    (output, busiest)
}

#[test]
fn others_get_their_turn_while_a_large_value_is_written() {
    run(32, |reactor, store| async move {
        // More than fits: every segment of the value has to be reclaimed.
        fill(&store, 110_000);
        let turns = Rc::new(Cell::new(0));
        let (counting, other) = (Rc::clone(&turns), reactor.clone());
        let task = async move {
            loop {
                counting.set(counting.get() + 1);
                other.yield_now().await;
            }
        };
        reactor.spawn(task).unwrap();
        let bytes = value(1, 16 * MIB);
        let set = NewValue::new(&bytes[..]);
        let (written, [copied, units, polls]) =
            busiest_poll(&store, write(&store, b"\0large", &set, far(&reactor))).await;
        assert!(matches!(written, Ok(Written::Stored(_))), "{written:?}");
        assert!(read(&store, b"\0large").is_some_and(|read| read == bytes));
        assert!(copied <= SLICE_BYTES_MAX as u64, "{copied} bytes were copied in one turn");
        assert!(units <= UNITS_PER_POLL_MAX, "{units} units were worked in one turn");
        assert!(polls >= 128, "{polls} polls");
        assert!(turns.get() >= polls / 2, "another task had {} turns of {polls}", turns.get());
        assert_eq!(filling(&store), 0);
    });
}

#[test]
fn others_get_their_turn_while_a_large_copy_is_kept() {
    run(32, |reactor, store| async move {
        fill(&store, 110_000);
        let bytes = value(1, MIB);
        let copy = |version: u64| StoredValue {
            version: Version::from_bits(version),
            expire_ms: 0,
            metadata: Arc::default(),
            value_bytes: bytes.len(),
            value_crc32c: shardstore::wire::checksum(&bytes),
            offset: 0,
            part: Arc::new(bytes.clone()),
        };
        let times = Times { now_ms: reactor.steady_ms(), serve_until_ms: reactor.steady_ms() + 1000 };
        let (name, second) = (b"\0copy", copy(2));
        let staging = StagedCopy::stage(&store, key(name), &second, times, || true);
        let (staged, [copied, units, polls]) = busiest_poll(&store, staging).await;
        assert!(copied <= SLICE_BYTES_MAX as u64 && units <= UNITS_PER_POLL_MAX, "{copied} bytes, {units} units");
        assert!(polls >= 8, "{polls} polls");
        assert_eq!(read(&store, name), None, "nobody sees it yet");
        staged.expect("there is room").keep(key(name), &second, times);
        assert!(read(&store, name).is_some_and(|read| read == bytes));
        let first = copy(1);
        assert!(StagedCopy::stage(&store, key(name), &first, times, || true).await.is_none(), "a newer one is there");
        let third = copy(3);
        assert!(StagedCopy::stage(&store, key(name), &third, times, || false).await.is_none());
        // One that turns out to be older, and one that is not shown after all.
        let first_and_third = [(b"\0other", &first), (b"\0other", &third)];
        let mut staged = Vec::new();
        for (name, value) in first_and_third {
            staged.push(StagedCopy::stage(&store, key(name), value, times, || true).await.expect("there is room"));
        }
        staged.pop().expect("two were staged").keep(key(b"\0other"), &third, times);
        staged.pop().expect("two were staged").keep(key(b"\0other"), &first, times);
        drop(StagedCopy::stage(&store, key(name), &third, times, || true).await.expect("there is room"));
        assert_eq!(filling(&store), 0);
    });
}

#[test]
fn few_are_on_their_way_at_once_and_all_arrive() {
    run(64, |reactor, store| async move {
        let (under_way, most, left) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)), Rc::new(Cell::new(16)));
        for number in 0..16_usize {
            let (reactor, store) = (reactor.clone(), Rc::clone(&store));
            let (under_way, most, left) = (Rc::clone(&under_way), Rc::clone(&most), Rc::clone(&left));
            let spawning = reactor.clone();
            let task = async move {
                let (name, bytes) = ([0, number as u8], value(number, 300_000 + number * 50_000));
                let set = NewValue::new(&bytes[..]);
                let begun = Cell::new(false);
                let is_wanted = || {
                    if !begun.replace(true) {
                        under_way.set(under_way.get() + 1);
                        most.set(most.get().max(under_way.get()));
                    }
                    true
                };
                let staged = store.stage(key(&name), &set, far(&reactor), is_wanted).await;
                let Ok(staged) = staged else { panic!("{number} is not staged") };
                under_way.set(under_way.get() - 1);
                assert!(matches!(staged.apply(key(&name), &set), Written::Stored(_)));
                assert!(read(&store, &name).is_some_and(|read| read == bytes));
                left.set(left.get() - 1);
            };
            spawning.spawn(task).unwrap();
        }
        while left.get() > 0 {
            reactor.sleep(Duration::from_millis(1)).await;
        }
        assert!((2..=STAGED_MAX).contains(&most.get()), "{} at once", most.get());
        assert_eq!(filling(&store), 0);
    });
}

/// What the largest one takes goes to no other; who waits longer than its deadline is refused.
#[test]
fn the_largest_goes_alone_and_nobody_waits_for_ever() {
    run(16, |reactor, store| async move {
        let (large, small) = (value(1, 4 * MIB), value(2, MIB));
        let (large, small) = (NewValue::new(&large[..]), NewValue::new(&small[..]));
        let Ok(staged) = store.stage(key(b"\0l"), &large, far(&reactor), || true).await else { panic!("not staged") };
        let deadline = reactor.now() + Duration::from_millis(20);
        assert_eq!(write(&store, b"\0s", &small, deadline).await, Err(NotStaged::Refused(Written::NoRoom)));
        assert!(reactor.now() >= deadline);
        assert!(matches!(staged.apply(key(b"\0l"), &large), Written::Stored(_)));
        assert!(matches!(write(&store, b"\0s", &small, far(&reactor)).await, Ok(Written::Stored(_))));
    });
}

#[test]
fn a_condition_is_judged_when_the_value_is_applied() {
    run(32, |reactor, store| async move {
        let (name, bytes) = (&b"\0k"[..], value(1, MIB));
        let once = NewValue { condition: Condition::Absent, ..NewValue::new(&bytes[..]) };
        let Ok(staged) = store.stage(key(name), &once, far(&reactor), || true).await else { panic!("not staged") };
        assert_eq!(read(&store, name), None, "nothing is shown before");
        let Written::Stored(other) = store.write(key(name), &Write::Set(NewValue::new(b"other"))) else { panic!() };
        assert_eq!(staged.apply(key(name), &once), Written::NotApplied { current: Some(other.version) });
        assert_eq!((read(&store, name), filling(&store)), (Some(b"other".to_vec()), 0));

        let replace = NewValue { condition: Condition::VersionEquals(other.version), ..NewValue::new(&bytes[..]) };
        let Ok(staged) = store.stage(key(name), &replace, far(&reactor), || true).await else { panic!("not staged") };
        store.write(key(name), &Write::Delete(Delete::default()));
        assert_eq!(staged.apply(key(name), &replace), Written::NotApplied { current: None });
        // One that fails already is not copied.
        let before = store.shard().stats().staged_bytes;
        let failed = write(&store, name, &replace, far(&reactor)).await;
        assert_eq!(failed, Err(NotStaged::Refused(Written::NotApplied { current: None })));
        let after = store.shard().stats().staged_bytes;
        assert_eq!((after, filling(&store)), (before, 0));
        // The other way round: what did not hold at first is not asked again.
        assert!(matches!(write(&store, name, &once, far(&reactor)).await, Ok(Written::Stored(_))));
    });
}

#[test]
fn a_value_that_is_not_wanted_any_more_gives_its_memory_back() {
    run(32, |reactor, store| async move {
        let bytes = value(1, 2 * MIB);
        let set = NewValue::new(&bytes[..]);
        let free = store.shard().stats().bytes_free;
        // The writer is gone after three slices.
        let asked = Cell::new(0);
        let is_wanted = || {
            asked.set(asked.get() + 1);
            asked.get() <= 3
        };
        let given_up = store.stage(key(b"\0k"), &set, far(&reactor), is_wanted).await;
        assert!(matches!(given_up, Err(NotStaged::GivenUp)) && asked.get() == 4);
        // Its time is over.
        let late = store.stage(key(b"\0k"), &set, reactor.now() - Duration::from_millis(1), || true).await;
        assert!(matches!(late, Err(NotStaged::GivenUp)));
        // Its task ends in the middle.
        {
            let mut staging = pin!(store.stage(key(b"\0k"), &set, far(&reactor), || true));
            poll_fn(|context| {
                assert!(staging.as_mut().poll(context).is_pending());
                Poll::Ready(())
            })
            .await;
            assert!(filling(&store) > 0);
        }
        // It is whole, and is not applied.
        drop(store.stage(key(b"\0k"), &set, far(&reactor), || true).await);
        assert_eq!((filling(&store), read(&store, b"\0k")), (0, None));
        let stats = store.shard().stats();
        assert_eq!((stats.bytes_live, stats.items), (0, 0));
        // At most the segment that the stream had open.
        assert!(stats.bytes_free + (64 << 10) >= free, "{stats:?}");
        assert!(matches!(write(&store, b"\0k", &set, far(&reactor)).await, Ok(Written::Stored(_))));
    });
}

#[test]
fn a_value_that_does_not_match_its_checksum_is_not_applied() {
    run(32, |reactor, store| async move {
        let bytes = value(1, MIB);
        let crc = shardstore::wire::checksum(&bytes);
        for (given, is_checked, expected) in [(crc, false, true), (crc ^ 1, false, false), (crc ^ 1, true, true)] {
            let set = NewValue { value_crc32c: Some(given), is_checked, ..NewValue::new(&bytes[..]) };
            let written = write(&store, b"\0k", &set, far(&reactor)).await.unwrap();
            assert_eq!(matches!(written, Written::Stored(_)), expected, "{written:?}");
            assert!(expected || written == Written::Corrupt);
            assert_eq!(filling(&store), 0);
        }
    });
}

/// With everything pinned there is no room, and what was taken is given back.
#[test]
fn a_shard_without_room_refuses_and_keeps_nothing() {
    run(8, |reactor, store| async move {
        let (first, second) = (value(1, 4 * MIB), value(2, 4 * MIB));
        let set = NewValue::new(&first[..]);
        let begin = |name: &'static [u8], set: NewValue<'_>| {
            store.shard().stage(HASHER.hash(name), name, &set, readings(&reactor)).unwrap()
        };
        let held = RefCell::new(Some(begin(b"\0a", set)));
        while !store.shard().stage_slice(held.borrow_mut().as_mut().unwrap(), &set, reactor.steady_ms()).unwrap() {}
        let live = store.shard().stats().bytes_live;
        let refused = write(&store, b"\0b", &NewValue::new(&second[..]), far(&reactor)).await;
        assert_eq!(refused, Err(NotStaged::Refused(Written::NoRoom)));
        assert_eq!(store.shard().stats().bytes_live, live);
        store.shard().abandon_staged(held.take().unwrap());
        assert_eq!(filling(&store), 0);
    });
}
