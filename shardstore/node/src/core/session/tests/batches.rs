//! Batches beside everything else that a core does; work is counted, never timed.

use std::pin::pin;

use shardstore::cache::SLICE_BYTES_MAX;
use shardstore::version::Condition;
use shardstore::wire::batch::{MgetKeys, MsetItem, MsetItems};
use shardstore::wire::{Status, checksum};

use super::*;
use crate::core::answer::OwnedResponse;
use crate::core::batch_part::{BatchPart, SLICE_ENTRIES, is_sliced};

/// The most that one poll of a future did to the shard: look-ups and writes, and bytes of large values; and how many polls there were.
async fn busiest_poll<T>(core: &NodeCore, future: impl Future<Output = T>) -> (T, [u64; 3]) {
    let mut future = pin!(future);
    let mut busiest = [0; 3];
    let output = poll_fn(|context| {
        let before = core.store.shard().stats();
        let polled = future.as_mut().poll(context);
        let after = core.store.shard().stats();
        let [operations, bytes, polls] = busiest;
        let operations_of = |stats: &shardstore::cache::CacheStats| stats.hits + stats.misses + stats.inserts;
        let done = operations_of(&after) - operations_of(&before);
        busiest = [operations.max(done), bytes.max(after.staged_bytes - before.staged_bytes), polls + 1];
        polled
    })
    .await;
    (output, busiest)
}

fn names(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|number| format!("\0key{number}").into_bytes()).collect()
}

/// All entries of a batch, for one core.
fn part(core: &NodeCore, names: &[Vec<u8>]) -> BatchPart {
    let hashes = names.iter().map(|name| core.hasher.hash(name)).collect();
    BatchPart { indices: (0..names.len() as u16).collect(), hashes }
}

fn mset<'a>(names: &'a [Vec<u8>], value: &'a [u8], payload: &'a mut Vec<u8>) -> Op<'a> {
    let value_crc32c = checksum(value);
    let item =
        |key| MsetItem { key, metadata: b"", value, value_crc32c, ttl_ms: 0, version: 0, condition: Condition::Any };
    let items: Vec<MsetItem<'_>> = names.iter().map(|name| item(name.as_slice())).collect();
    Op::Mset(MsetItems::write(payload, &items).unwrap())
}

fn all_ok(answers: &[OwnedResponse], count: usize) -> bool {
    answers.len() == count && answers.iter().all(|answer| answer.status == Status::Ok)
}

/// Runs a script on a core of its own.
fn run<F: Future<Output = ()> + 'static>(script: impl FnOnce(Rc<NodeCore>) -> F + Send + 'static) {
    on_a_core(|core| {
        let (running, reactor) = (core.reactor.clone(), core.reactor.clone());
        let script = script(core);
        let task = async move {
            script.await;
            running.stop();
        };
        reactor.spawn(task).unwrap();
    });
}

#[test]
fn others_get_their_turn_while_a_batch_is_done() {
    run(|core| async move {
        let turns = Rc::new(Cell::new(0));
        let (counting, other) = (Rc::clone(&turns), core.reactor.clone());
        let task = async move {
            loop {
                counting.set(counting.get() + 1);
                other.yield_now().await;
            }
        };
        core.reactor.spawn(task).unwrap();
        let (names, mut payload) = (names(1024), Vec::new());
        let part = part(&core, &names);
        let op = mset(&names, &[7; 100], &mut payload);
        let ((answers, _), [operations, _, polls]) =
            busiest_poll(&core, core.perform_sliced(&op, &part, Instant::NEVER, || true)).await;
        assert!(all_ok(&answers, 1024));
        assert_eq!((operations, polls), (SLICE_ENTRIES as u64, 8));
        assert!(turns.get() >= 7, "another task had {} turns", turns.get());

        let listed: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
        let op = Op::Mget(MgetKeys::write(&mut payload, &listed).unwrap());
        let ((answers, _), [operations, _, polls]) =
            busiest_poll(&core, core.perform_sliced(&op, &part, Instant::NEVER, || true)).await;
        assert!(all_ok(&answers, 1024) && answers.iter().all(|answer| answer.value == [7; 100]));
        assert_eq!((operations, polls), (SLICE_ENTRIES as u64, 8));
        assert!(turns.get() >= 14, "another task had {} turns", turns.get());
    });
}

#[test]
fn a_slice_is_bounded_by_bytes_as_well() {
    run(|core| async move {
        let (names, mut payload) = (names(16), Vec::new());
        let part = part(&core, &names);
        // Three of them are a slice, and a fourth is more.
        let value = vec![7; 40_000];
        let op = mset(&names, &value, &mut payload);
        let ((answers, _), [operations, _, polls]) =
            busiest_poll(&core, core.perform_sliced(&op, &part, Instant::NEVER, || true)).await;
        assert!(all_ok(&answers, 16));
        assert_eq!((operations, polls), (3, 6));
        // One of them is more than a slice.
        let value = vec![7; SLICE_BYTES_MAX + 1];
        let op = mset(&names[..2], &value, &mut payload);
        let part = BatchPart { indices: vec![0, 1], hashes: part.hashes[..2].to_vec() };
        let ((answers, _), [operations, bytes, polls]) =
            busiest_poll(&core, core.perform_sliced(&op, &part, Instant::NEVER, || true)).await;
        assert!(all_ok(&answers, 2));
        assert!(operations <= 2 && bytes == SLICE_BYTES_MAX as u64 && polls >= 3, "{operations} {bytes} {polls}");
        let shard = core.store.shard().stats();
        assert_eq!((shard.items, shard.bytes_filling), (16, 0));
    });
}

/// What nobody waits for any more is not begun.
#[test]
fn the_rest_of_a_batch_that_is_late_is_not_done() {
    run(|core| async move {
        let (names, mut payload) = (names(1024), Vec::new());
        let part = part(&core, &names);
        let op = mset(&names, b"value", &mut payload);
        let asked = Cell::new(0);
        let is_wanted = || {
            asked.set(asked.get() + 1);
            asked.get() <= 3
        };
        let (answers, _) = core.perform_sliced(&op, &part, Instant::NEVER, is_wanted).await;
        let done = 3 * SLICE_ENTRIES;
        assert!(all_ok(&answers[..done], done) && answers.len() == 1024);
        assert!(answers[done..].iter().all(|answer| answer.status == Status::Unavailable));
        assert_eq!(core.store.shard().stats().items, done as u64);

        let late = core.reactor.now() - Duration::from_millis(1);
        let (answers, _) = core.perform_sliced(&op, &part, late, || true).await;
        assert!(answers.iter().all(|answer| answer.status == Status::Unavailable) && answers.len() == 1024);
        assert_eq!(core.store.shard().stats().replaced, 0);
    });
}

#[test]
fn what_is_one_turns_work_needs_no_task() {
    let mut payload = Vec::new();
    for (entries, value_bytes, expected) in
        [(SLICE_ENTRIES, 100, false), (SLICE_ENTRIES + 1, 100, true), (4, 32_000, false), (4, 33_000, true)]
    {
        let (names, value) = (names(entries), vec![7; value_bytes]);
        assert_eq!(is_sliced(&mset(&names, &value, &mut payload)), expected, "{entries} {value_bytes}");
    }
}
