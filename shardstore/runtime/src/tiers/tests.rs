//! Who is behind is a script here: each call takes its time and says what it was told to.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use reactor::{Instant, Mailbox};
use shardstore::cache::Commit;
use shardstore::key::KeyHasher;
use shardstore::version::{Condition, Version};

use super::*;
use crate::remote::{Published, unpublished};
use crate::request::SetValue;
use crate::rig;
use crate::store::ShardPlan;

struct Script {
    reactor: Reactor,
    /// Milliseconds that a call takes, and what it comes to.
    calls: RefCell<VecDeque<(u64, Outcome)>>,
}

impl Behind for Script {
    async fn call(self: &Rc<Self>, _: &StoreRequest) -> StoreResponse {
        let call = self.calls.borrow_mut().pop_front();
        let (ms, outcome) = call.expect("asked no more often than the test says");
        self.reactor.sleep(Duration::from_millis(ms)).await;
        StoreResponse { outcome, source: Source::Node { id: 7, collapsed: false } }
    }
}

type Edge = Tiers<Script, StoreMessage>;

const HASHER: KeyHasher = KeyHasher::new(1);
const EDGE_TTL: Duration = Duration::from_secs(1);

fn found(version: u64) -> Outcome {
    Outcome::Found(StoredValue {
        version: Version::from_bits(version),
        expire_ms: 0,
        metadata: b"text/plain"[..].into(),
        value_bytes: version.to_string().len(),
        value_crc32c: shardstore::wire::checksum(version.to_string().as_bytes()),
        offset: 0,
        part: Arc::new(version.to_string().into_bytes()),
    })
}

const fn read(fresh: bool) -> StoreOp {
    StoreOp::Read(ReadPart::beginning(fresh))
}

fn stored(version: u64) -> Outcome {
    Outcome::Stored { version: Version::from_bits(version), replaced: true }
}

/// One core's tiers; `calls` is what its node will say, `None` that there is none.
fn tiers(
    reactor: &Reactor,
    mailbox: Mailbox<StoreMessage>,
    published: &Published,
    calls: Option<Vec<(u64, Outcome)>>,
) -> Rc<Edge> {
    let shard = ShardPlan {
        limit_bytes: 4 << 20,
        commit: Commit::default(),
        hasher: HASHER,
        region: 0,
        published: Published::clone(published),
    };
    let behind = calls.map(|calls| Rc::new(Script { reactor: reactor.clone(), calls: RefCell::new(calls.into()) }));
    let plan = TierPlan {
        store: Rc::new(Store::start(reactor, shard).unwrap()),
        mail: CoreMail::start(reactor, mailbox).unwrap(),
        behind,
        bounds: TierBounds {
            fills: FillBounds { fills_max: 8, waiters_max: 8, edge_ttl: EDGE_TTL },
            retry_time: Duration::from_millis(500),
            fetch_bytes_max: 4 << 20,
        },
        hops_max: 8,
        note: Box::new(|_| {}),
    };
    let tiers = Tiers::new(reactor, plan);
    let receiving = Rc::clone(&tiers);
    let receive = async move {
        let take = |from, message| {
            receiving.take(from, message);
            ControlFlow::Continue(())
        };
        receiving.mail.receive(take).await;
    };
    reactor.spawn(receive).unwrap();
    tiers
}

/// Runs a test on one core with a node behind it.
fn with_node<F: Future<Output = ()> + 'static>(
    calls: fn() -> Vec<(u64, Outcome)>,
    test: impl Fn(Rc<Edge>) -> F + Clone + Send + 'static,
) {
    rig::run(1, 8, move |reactor: Reactor, mailbox| {
        let edge = tiers(&reactor, mailbox, &unpublished(1), Some(calls()));
        let test = test.clone();
        let task = async move {
            test(Rc::clone(&edge)).await;
            let behind = edge.behind.as_ref().unwrap();
            assert!(behind.calls.borrow().is_empty(), "the node was asked as often as the test says");
            assert!(edge.writes.borrow().is_empty() && edge.fills() == 0 && edge.hops.waiting() == 0);
            edge.reactor.stop();
        };
        reactor.spawn(task).unwrap();
    });
}

fn request(edge: &Edge, op: StoreOp) -> StoreRequest {
    request_of(edge, b"\0key", op)
}

fn request_of(edge: &Edge, key: &[u8], op: StoreOp) -> StoreRequest {
    StoreRequest { key: key.into(), hash: HASHER.hash(key), op, deadline: edge.reactor.now() + Duration::from_secs(2) }
}

async fn get(edge: &Rc<Edge>, fresh: bool) -> StoreResponse {
    edge.serve(request(edge, read(fresh))).await
}

async fn set(edge: &Rc<Edge>) -> StoreResponse {
    edge.serve(request(edge, set_op())).await
}

fn set_op() -> StoreOp {
    written(0)
}

fn written(ttl_ms: u64) -> StoreOp {
    StoreOp::Set(SetValue {
        no_store: false,
        value: Arc::new(b"written".to_vec()),
        value_crc32c: shardstore::wire::checksum(b"written"),
        metadata: b"text/plain"[..].into(),
        condition: Condition::Any,
        ttl_ms,
    })
}

fn version(response: &StoreResponse) -> u64 {
    match &response.outcome {
        Outcome::Found(value) => value.version.bits(),
        other => panic!("{other:?}"),
    }
}

/// Starts a request as a task and hands its response to `then`.
fn start(edge: &Rc<Edge>, op: StoreOp, then: impl FnOnce(StoreResponse) + 'static) {
    let (serving, request) = (Rc::clone(edge), request(edge, op));
    edge.reactor.spawn(async move { then(serving.serve(request).await) }).unwrap();
}

async fn sleep(edge: &Edge, ms: u64) {
    edge.reactor.sleep(Duration::from_millis(ms)).await;
}

#[test]
fn a_read_is_kept_for_the_edge_time_to_live() {
    let calls = || vec![(5, found(1)), (5, found(2)), (5, Outcome::Absent), (5, Outcome::Absent)];
    with_node(calls, |edge| async move {
        let first = get(&edge, false).await;
        assert_eq!((version(&first), first.source), (1, Source::Node { id: 7, collapsed: false }));
        let copy = get(&edge, false).await;
        assert_eq!((version(&copy), copy.source), (1, Source::Shard));
        // The time to live counts from before the node was asked.
        sleep(&edge, 996).await;
        assert_eq!(version(&get(&edge, false).await), 2);
        sleep(&edge, 1000).await;
        for _ in 0..2 {
            assert!(matches!(get(&edge, false).await.outcome, Outcome::Absent), "that there is nothing is not kept");
        }
    });
}

/// What a client that asks for a fresh answer has seen, no client after it may see an older state of.
#[test]
fn an_older_copy_is_not_kept_after_a_fresh_read() {
    let calls = || vec![(5, found(1)), (5, found(2)), (5, found(2)), (5, Outcome::Absent), (5, Outcome::Absent)];
    with_node(calls, |edge| async move {
        assert_eq!(version(&get(&edge, false).await), 1);
        assert_eq!(version(&get(&edge, true).await), 2);
        assert_eq!(version(&get(&edge, false).await), 2, "the copy of version 1 is gone");
        assert!(matches!(get(&edge, true).await.outcome, Outcome::Absent));
        assert!(matches!(get(&edge, false).await.outcome, Outcome::Absent), "the copy of version 2 is gone");
    });
}

#[test]
fn reads_of_a_key_share_a_question() {
    with_node(
        || vec![(20, found(1))],
        |edge| async move {
            let answers = Rc::new(RefCell::new(Vec::new()));
            for _ in 0..5 {
                let answers = Rc::clone(&answers);
                start(&edge, read(false), move |response| answers.borrow_mut().push(response));
            }
            sleep(&edge, 30).await;
            let answers = answers.borrow();
            assert_eq!(answers.iter().map(version).collect::<Vec<_>>(), [1; 5]);
            assert!(answers.iter().all(|answer| answer.source == Source::Node { id: 7, collapsed: true }));
        },
    );
}

/// What a fill has seen may be older than a write that began after it: its waiters get it, nobody else does.
#[test]
fn a_write_invalidates_the_fill_under_way() {
    let calls = || vec![(50, found(1)), (5, stored(2)), (5, found(2))];
    with_node(calls, |edge| async move {
        let waited = Rc::new(Cell::new(0));
        let count = Rc::clone(&waited);
        start(&edge, read(false), move |response| count.set(version(&response)));
        sleep(&edge, 10).await;
        start(&edge, StoreOp::Delete { condition: Condition::Any }, |_| {});
        sleep(&edge, 10).await;
        assert_eq!(version(&get(&edge, false).await), 2, "not coalesced with the older question");
        sleep(&edge, 60).await;
        assert_eq!(waited.get(), 1, "who waited for it gets it");
        assert_eq!(version(&get(&edge, false).await), 2, "and it has not replaced the newer one");
    });
}

/// The same where the fill's answer comes before the next read: it must not be what that read finds.
#[test]
fn an_invalidated_fill_leaves_no_copy() {
    let calls = || vec![(30, found(1)), (5, Outcome::Refused(Refusal::Unknown)), (5, found(2))];
    with_node(calls, |edge| async move {
        start(&edge, read(false), |response| assert_eq!(version(&response), 1));
        sleep(&edge, 10).await;
        let written = set(&edge).await;
        assert!(matches!(written.outcome, Outcome::Refused(Refusal::Unknown)));
        sleep(&edge, 60).await;
        assert_eq!(version(&get(&edge, false).await), 2);
    });
}

#[test]
fn a_fill_that_begins_during_a_write_leaves_no_copy() {
    let calls = || vec![(50, Outcome::Refused(Refusal::Unknown)), (5, found(1)), (5, found(2))];
    with_node(calls, |edge| async move {
        start(&edge, set_op(), |_| {});
        sleep(&edge, 10).await;
        assert_eq!(version(&get(&edge, false).await), 1, "the write is still under way");
        assert_eq!(version(&get(&edge, false).await), 2, "so that this read asks, too");
        sleep(&edge, 60).await;
    });
}

#[test]
fn a_write_that_was_alone_is_kept_and_others_are_not() {
    let calls = || vec![(5, stored(3)), (20, stored(4)), (20, stored(5)), (5, found(5))];
    with_node(calls, |edge| async move {
        assert!(matches!(set(&edge).await.outcome, Outcome::Stored { .. }));
        let kept = get(&edge, false).await;
        assert_eq!((version(&kept), kept.source), (3, Source::Shard));
        start(&edge, set_op(), |_| {});
        start(&edge, set_op(), |_| {});
        sleep(&edge, 50).await;
        let asked = get(&edge, false).await;
        assert_eq!((version(&asked), asked.source), (5, Source::Node { id: 7, collapsed: false }));
    });
}

/// What an edge has written itself may have been overwritten through another edge: it is served no longer than what was read.
#[test]
fn a_written_copy_lasts_as_long_as_one_that_was_read_and_tells_its_own_end() {
    let calls = || vec![(5, stored(3)), (5, found(4)), (5, stored(5)), (5, stored(6))];
    with_node(calls, |edge| async move {
        set(&edge).await;
        sleep(&edge, 990).await;
        assert_eq!(version(&get(&edge, false).await), 3);
        sleep(&edge, 5).await;
        assert_eq!(version(&get(&edge, false).await), 4, "the time to live counts from before the node was asked");

        for (ttl_ms, ends_after_ms) in [(5_000, 5_000), (u64::MAX, TTL_MS_MAX)] {
            let op = written(ttl_ms);
            let asked_ms = edge.reactor.steady_ms();
            edge.serve(request(&edge, op)).await;
            let kept = get(&edge, false).await;
            let Outcome::Found(value) = &kept.outcome else { panic!("{:?}", kept.outcome) };
            assert_eq!((value.expire_ms, kept.source), (asked_ms + ends_after_ms, Source::Shard));
            assert_eq!((&value.part[..], &value.metadata[..]), (&b"written"[..], &b"text/plain"[..]));
        }
    });
}

#[test]
fn other_bounds_hold_from_now_on() {
    let calls = || vec![(20, found(1)), (5, found(2)), (5, found(3))];
    with_node(calls, |edge| async move {
        start(&edge, read(false), |response| assert_eq!(version(&response), 1));
        sleep(&edge, 5).await;
        assert_eq!(edge.fills(), 1);
        let fills = FillBounds { fills_max: 8, waiters_max: 1, edge_ttl: Duration::ZERO };
        edge.set_bounds(TierBounds { fills, ..edge.bounds.get() });
        let refused = get(&edge, false).await;
        assert!(matches!(refused.outcome, Outcome::Refused(Refusal::Busy)), "one waits already: {:?}", refused.outcome);
        sleep(&edge, 1_100).await;
        assert_eq!(version(&get(&edge, false).await), 2);
        assert_eq!(version(&get(&edge, false).await), 3, "copies are not kept any more");
    });
}

/// What must not be stored is written by its owner, and by nobody else.
#[test]
fn a_value_of_which_no_copy_may_be_kept_leaves_none() {
    let calls = || vec![(5, stored(2)), (5, found(2)), (5, stored(3))];
    with_node(calls, |edge| async move {
        let StoreOp::Set(value) = set_op() else { unreachable!("it is a SET") };
        let no_store = StoreOp::Set(SetValue { no_store: true, ..value });
        assert!(matches!(edge.serve(request(&edge, no_store)).await.outcome, Outcome::Stored { .. }));
        assert!(matches!(get(&edge, false).await.source, Source::Node { .. }), "no copy was left");
        set(&edge).await;
        assert_eq!(get(&edge, false).await.source, Source::Shard, "of other writes a copy is left");
    });
}

/// A client that leaves takes neither the answer of the others with it, nor does it leave its write open.
#[test]
fn clients_may_leave() {
    let calls = || vec![(20, found(1)), (50, stored(2)), (5, found(2))];
    with_node(calls, |edge| async move {
        let gone = edge.reactor.now() + Duration::from_millis(5);
        assert!(edge.reactor.until(gone, get(&edge, false)).await.is_none());
        assert_eq!(version(&get(&edge, false).await), 1, "of the same question");
        let gone = edge.reactor.now() + Duration::from_millis(5);
        assert!(edge.reactor.until(gone, set(&edge)).await.is_none());
        assert_eq!(version(&get(&edge, false).await), 2, "the copy went with the write's beginning");
        assert_eq!(get(&edge, false).await.source, Source::Shard, "nothing of the write is left that forbids a copy");
    });
}

#[test]
fn who_waited_for_a_failed_fill_asks_once_more() {
    let calls = || vec![(20, Outcome::Refused(Refusal::Unavailable)), (5, found(1))];
    with_node(calls, |edge| async move {
        let started = Rc::new(Cell::new(false));
        let flag = Rc::clone(&started);
        start(&edge, read(false), move |response| flag.set(response.is_unavailable()));
        sleep(&edge, 10).await;
        assert_eq!(version(&get(&edge, false).await), 1);
        assert!(started.get(), "whose question it was does not ask again");
    });
}

/// Nor does one that has waited so long that the time of its own client is nearly over.
#[test]
fn who_waited_long_for_a_failed_fill_does_not_ask_again() {
    let calls = || vec![(501, Outcome::Refused(Refusal::Unavailable))];
    with_node(calls, |edge| async move {
        start(&edge, read(false), |response| assert!(response.is_unavailable()));
        // Some microseconds after the fill's beginning.
        edge.reactor.yield_now().await;
        assert!(get(&edge, false).await.is_unavailable());
    });
}

/// A key that core 1 of two owns.
fn key_of_core_1() -> Vec<u8> {
    let keys = (0..u8::MAX).map(|number| vec![0, number]);
    let mut owned = keys.filter(|key| crate::cores::owner_core(HASHER.hash(key), 2) == CoreId(1));
    owned.next().expect("half of the keys are")
}

/// Runs a test on core 0 of two; core 1 owns the key.
fn on_two_cores<F: Future<Output = ()> + 'static>(
    calls: fn() -> Option<Vec<(u64, Outcome)>>,
    test: impl Fn(Rc<Edge>, Vec<u8>) -> F + Clone + Send + 'static,
) {
    rig::run_sharing(
        2,
        8,
        || unpublished(2),
        move |reactor: Reactor, mailbox, published| {
            let edge = tiers(&reactor, mailbox, &published, calls());
            let test = test.clone();
            let task = async move {
                if edge.reactor.core() == CoreId(0) {
                    test(Rc::clone(&edge), key_of_core_1()).await;
                    assert_eq!(edge.hops.waiting(), 0);
                } else {
                    sleep(&edge, 20_000).await;
                }
                edge.reactor.stop();
            };
            reactor.spawn(task).unwrap();
        },
    );
}

#[test]
fn the_owner_serves_what_another_core_takes() {
    on_two_cores(
        || None,
        |edge, key| async move {
            let ask = |op| edge.serve(request_of(&edge, &key, op));
            let written = ask(set_op()).await;
            assert!(matches!(written.outcome, Outcome::Stored { replaced: false, .. }));
            let found = ask(read(false)).await;
            let Outcome::Found(value) = found.outcome else { panic!("{:?}", found.outcome) };
            assert_eq!((&value.part[..], found.source), (&b"written"[..], Source::Shard));
            assert!(matches!(ask(StoreOp::Delete { condition: Condition::Any }).await.outcome, Outcome::Deleted));
        },
    );
}

/// A write that was sent on may have been applied: it must not be called failed. A read can be asked again.
#[test]
fn a_forwarded_write_without_an_answer_in_time_is_unknown() {
    on_two_cores(
        || Some(vec![(10_000, stored(1)), (10_000, found(1))]),
        |edge, key| async move {
            let written = edge.serve(request_of(&edge, &key, set_op())).await;
            assert!(matches!(written.outcome, Outcome::Refused(Refusal::Unknown)), "{:?}", written.outcome);
            assert_eq!(edge.hops.waiting(), 0, "who has given up holds no slot");
            let answer = edge.serve(request_of(&edge, &key, read(false))).await;
            assert!(matches!(answer.outcome, Outcome::Refused(Refusal::Unavailable)), "{:?}", answer.outcome);
            // Their answers come when nobody waits for them, and reach nobody.
            sleep(&edge, 12_000).await;
        },
    );
}

/// Nobody waits for what is late, and so it is not done.
#[test]
fn a_request_that_is_late_is_not_served() {
    on_two_cores(
        || None,
        |edge, key| async move {
            sleep(&edge, 10).await;
            let late = StoreRequest { deadline: Instant::from_nanos(0), ..request_of(&edge, &key, set_op()) };
            let written = edge.serve(late).await;
            assert!(matches!(written.outcome, Outcome::Refused(Refusal::Unknown)), "the asker cannot know");
            sleep(&edge, 10).await;
            let answer = edge.serve(request_of(&edge, &key, read(false))).await;
            assert!(matches!(answer.outcome, Outcome::Absent));
        },
    );
}

/// A part of a value of `total` bytes.
fn part_of(version: u64, total: usize, offset: usize, bytes: usize) -> Outcome {
    let Outcome::Found(whole) = found(version) else { unreachable!("it is a value") };
    Outcome::Found(StoredValue {
        value_bytes: total,
        value_crc32c: shardstore::wire::checksum(&vec![b'v'; total]),
        offset,
        part: Arc::new(vec![b'v'; bytes]),
        ..whole
    })
}

fn read_on(offset: usize, version: u64) -> StoreOp {
    let version = Some(Version::from_bits(version));
    StoreOp::Read(ReadPart { offset, bytes_max: usize::MAX, version, is_first: false, fresh: false })
}

/// Offset and length of the part, length of the value, and where it came from.
fn shape(response: &StoreResponse) -> (usize, usize, usize, Source) {
    match &response.outcome {
        Outcome::Found(value) => (value.offset, value.part.len(), value.value_bytes, response.source),
        other => panic!("{other:?}"),
    }
}

const NODE: Source = Source::Node { id: 7, collapsed: false };
const FIRST: usize = FIRST_PART_BYTES;

fn fetch_and_keep<const LENGTH: usize>() {
    let calls = || vec![(5, part_of(1, LENGTH, 0, FIRST)), (5, part_of(1, LENGTH, FIRST, LENGTH - FIRST))];
    with_node(calls, |edge| async move {
        assert_eq!(shape(&get(&edge, false).await), (0, FIRST, LENGTH, NODE), "as much as was asked for");
        assert_eq!(edge.fetched_bytes(), 0, "nothing is held once it is handed out");
        assert_eq!(shape(&get(&edge, false).await), (0, FIRST, LENGTH, Source::Shard));
        let rest = edge.serve(request(&edge, read_on(90_000, 1))).await;
        assert_eq!(shape(&rest), (90_000, LENGTH - 90_000, LENGTH, Source::Shard));
        let stats = edge.store.shard().stats();
        let staged = if LENGTH > STAGED_BYTES_MIN { LENGTH as u64 } else { 0 };
        assert_eq!((stats.staged_bytes, stats.bytes_filling), (staged, 0), "what is long comes in slice by slice");
    });
}

#[test]
fn a_value_of_some_length_is_fetched_whole_and_kept() {
    fetch_and_keep::<100_000>();
    fetch_and_keep::<200_000>();
}

/// A write that begins while the copy of what was there before comes in.
#[test]
fn a_large_copy_is_given_up_when_its_key_is_written() {
    const LENGTH: usize = 400_000;
    let calls = || {
        let rest = part_of(1, LENGTH, FIRST, LENGTH - FIRST);
        vec![(5, part_of(1, LENGTH, 0, FIRST)), (5, rest), (5, stored(2)), (5, found(2))]
    };
    with_node(calls, |edge| async move {
        let writing = Rc::clone(&edge);
        let write = async move {
            while writing.store.shard().stats().staged_bytes == 0 {
                writing.reactor.yield_now().await;
            }
            let op = StoreOp::Set(SetValue {
                no_store: true,
                ..match set_op() {
                    StoreOp::Set(set) => set,
                    _ => unreachable!("it is a write"),
                }
            });
            assert!(matches!(writing.serve(request(&writing, op)).await.outcome, Outcome::Stored { .. }));
        };
        edge.reactor.spawn(write).unwrap();
        assert_eq!(shape(&get(&edge, false).await), (0, FIRST, LENGTH, NODE));
        sleep(&edge, 20).await;
        let stats = edge.store.shard().stats();
        assert!(stats.staged_bytes > 0 && (stats.items, stats.bytes_filling) == (0, 0), "{stats:?}");
        assert_eq!(version(&get(&edge, false).await), 2);
    });
}

#[test]
fn a_long_value_is_read_part_by_part_and_not_kept() {
    const LONG: usize = COPY_BYTES_MAX + 1;
    let calls = || {
        let first = || (5, part_of(1, LONG, 0, FIRST));
        vec![first(), (5, part_of(1, LONG, FIRST, 1 << 20)), (5, Outcome::NotApplied), first()]
    };
    with_node(calls, |edge| async move {
        assert_eq!(shape(&get(&edge, false).await), (0, FIRST, LONG, NODE));
        let next = edge.serve(request(&edge, read_on(FIRST, 1))).await;
        assert_eq!(shape(&next), (FIRST, crate::request::PART_BYTES_MAX, LONG, NODE), "a part is bounded");
        let replaced = edge.serve(request(&edge, read_on(FIRST, 1))).await;
        assert!(matches!(replaced.outcome, Outcome::NotApplied), "{:?}", replaced.outcome);
        assert_eq!(shape(&get(&edge, false).await), (0, FIRST, LONG, NODE));
    });
}

/// What cannot be fetched to its end is what has come, and no copy.
#[test]
fn a_value_that_changes_while_it_is_fetched_is_not_kept() {
    let calls = || vec![(5, part_of(1, 100_000, 0, FIRST)), (5, Outcome::NotApplied), (5, found(2)), (5, found(2))];
    with_node(calls, |edge| async move {
        assert_eq!(shape(&get(&edge, false).await), (0, FIRST, 100_000, NODE));
        assert_eq!(version(&get(&edge, false).await), 2);
        assert_eq!(version(&get(&edge, true).await), 2);
    });
}

#[test]
fn who_wants_to_know_and_who_wants_bytes_share_a_question() {
    let calls = || vec![(20, found(1)), (5, part_of(2, 9, 0, 0))];
    with_node(calls, |edge| async move {
        let known = Rc::new(RefCell::new(None));
        let slot = Rc::clone(&known);
        start(&edge, StoreOp::Inspect { fresh: false }, move |response| *slot.borrow_mut() = Some(response));
        sleep(&edge, 10).await;
        assert_eq!(shape(&get(&edge, false).await).1, 1);
        sleep(&edge, 1).await;
        let known = known.borrow_mut().take();
        assert_eq!(shape(known.as_ref().unwrap()).1, 0, "no bytes for who did not ask for any");
        let copy = edge.serve(request(&edge, StoreOp::Inspect { fresh: false })).await;
        assert_eq!(shape(&copy), (0, 0, 1, Source::Shard));
        let fresh = edge.serve(request(&edge, StoreOp::Inspect { fresh: true })).await;
        assert_eq!(shape(&fresh), (0, 0, 9, NODE));
    });
}

/// Without memory for what a question may bring it is not asked, and refused when its time is over.
#[test]
fn a_question_waits_for_memory() {
    let calls = || vec![(5, found(1))];
    with_node(calls, |edge| async move {
        edge.set_bounds(TierBounds { fetch_bytes_max: FIRST, ..edge.bounds.get() });
        let held = edge.fetched.lease(1);
        let refused = get(&edge, false).await;
        assert!(refused.is_unavailable() || matches!(refused.outcome, Outcome::Refused(Refusal::Busy)));
        sleep(&edge, 1).await;
        drop(held);
        assert_eq!(version(&get(&edge, false).await), 1);
    });
}

#[test]
fn what_is_known_on_another_core_needs_no_message() {
    on_two_cores(
        || None,
        |edge, key| async move {
            let ask = |op| edge.serve(request_of(&edge, &key, op));
            assert!(matches!(ask(StoreOp::Inspect { fresh: true }).await.outcome, Outcome::Absent), "it is the truth");
            assert!(matches!(ask(set_op()).await.outcome, Outcome::Stored { .. }));
            let before = edge.reactor.now();
            let known = ask(StoreOp::Inspect { fresh: true }).await;
            assert_eq!((shape(&known), edge.reactor.now()), ((0, 0, 7, Source::Shard), before));
        },
    );
}
