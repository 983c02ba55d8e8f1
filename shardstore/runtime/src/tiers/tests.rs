//! Who is behind is a script here: each call takes its time and says what it was told to.

mod copies;

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

/// Offset and length of the part, length of the value, and where it came from.
fn shape(response: &StoreResponse) -> (usize, usize, usize, Source) {
    match &response.outcome {
        Outcome::Found(value) => (value.offset, value.part.len(), value.value_bytes, response.source),
        other => panic!("{other:?}"),
    }
}

const NODE: Source = Source::Node { id: 7, collapsed: false };
const FIRST: usize = FIRST_PART_BYTES;

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
