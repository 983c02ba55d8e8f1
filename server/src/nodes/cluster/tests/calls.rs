//! One call: what it says, how long it waits, and what its end means.

use shardstore::wire::code::Opcode;
use shardstore::wire::{Response, checksum};

use super::script::{Asked, PARTED};
use super::*;

/// A write that was sent may have been applied: it must not be called failed. A read can be asked again.
#[test]
fn a_write_without_an_answer_is_unknown() {
    let cases = [
        (CallError::NotSent, Refusal::Unavailable, Refusal::Unavailable),
        (CallError::Replaced, Refusal::Unavailable, Refusal::Unavailable),
        (CallError::Full, Refusal::Busy, Refusal::Busy),
        (CallError::Lost, Refusal::Unavailable, Refusal::Unknown),
        (CallError::TimedOut, Refusal::Unavailable, Refusal::Unknown),
    ];
    for (error, read, write) in cases {
        assert_eq!(refusal(error, true), read, "{error:?}");
        assert_eq!(refusal(error, false), write, "{error:?}");
    }
}

fn value(response: Response<'static>) -> Response<'static> {
    Response { version: 42, ttl_ms: 5_000, metadata: b"text/plain", ..response.with_payload(b"value") }
}

fn corrupt(response: Response<'static>) -> Response<'static> {
    Response { value_crc32c: Some(checksum(b"other")), ..value(response) }
}

const fn status(response: Response<'static>, status: Status) -> Response<'static> {
    Response { status, ..response }
}

#[test]
fn answers_mean_what_the_protocol_says() {
    let first = || {
        vec![
            Says::Answer(5, value),
            Says::Answer(5, |response| Response { ttl_ms: 0, ..value(response) }),
            Says::Answer(5, corrupt),
            Says::Answer(5, |response| status(response, Status::NotFound)),
            Says::Answer(5, |response| status(response, Status::Busy)),
            Says::Answer(5, |response| Response { version: 43, previous_version: Some(42), ..response }),
            Says::Answer(5, |response| Response { version: 44, ..response }),
            Says::Answer(5, |response| status(response, Status::NotApplied)),
            Says::Answer(5, |response| status(response, Status::TooLarge)),
            Says::Answer(5, |response| status(response, Status::Unknown)),
            Says::Answer(5, |response| response),
            Says::Answer(5, |response| status(response, Status::NotFound)),
            Says::Answer(5, |response| status(response, Status::NotApplied)),
            Says::Answer(5, |response| status(response, Status::Corrupt)),
        ]
    };
    with_nodes(first, Vec::new, |rig| async move {
        let asked_ms = rig.cluster.shared.reactor.steady_ms();
        let read = rig.get().await;
        assert_eq!(read.source, Source::Node { id: 1, collapsed: false });
        let Outcome::Found(value) = read.outcome else { panic!("{:?}", read.outcome) };
        assert_eq!(
            (value.version.bits(), &value.part[..], &value.metadata[..]),
            (42, &b"value"[..], &b"text/plain"[..])
        );
        // The first call waits for the connection; its time to live counts from when it was asked.
        assert_eq!(value.expire_ms, asked_ms + 5_000);
        let Outcome::Found(value) = rig.get().await.outcome else { panic!() };
        assert_eq!(value.expire_ms, 0);
        assert_eq!(refused(&rig.get().await), Some(Refusal::Corrupt));
        assert!(matches!(rig.get().await.outcome, Outcome::Absent));
        assert_eq!(refused(&rig.get().await), Some(Refusal::Busy));

        let stored = |outcome| match outcome {
            Outcome::Stored { version, replaced } => (version.bits(), replaced),
            other => panic!("{other:?}"),
        };
        assert_eq!(stored(rig.set().await.outcome), (43, true));
        assert_eq!(stored(rig.set().await.outcome), (44, false));
        assert!(matches!(rig.set().await.outcome, Outcome::NotApplied));
        assert_eq!(refused(&rig.set().await), Some(Refusal::TooLarge));
        assert_eq!(refused(&rig.set().await), Some(Refusal::Unknown));

        let delete = || rig.ask(StoreOp::Delete { condition: Condition::Any });
        assert!(matches!(delete().await.outcome, Outcome::Deleted));
        assert!(matches!(delete().await.outcome, Outcome::Absent));
        assert!(matches!(delete().await.outcome, Outcome::NotApplied));
        assert_eq!(refused(&delete().await), Some(Refusal::Corrupt));

        let calls = rig.first.asked.borrow();
        let Asked { op, epoch, core, is_idempotent, deadline_us } = calls[1];
        assert_eq!((op, epoch, core, is_idempotent), (Opcode::Get, 5, 0, true));
        assert_eq!(deadline_us, 1_000_000, "what is left of the time for a sign of life");
        assert!(calls[5..].iter().all(|call| !call.is_idempotent), "only reads are");
        assert_eq!((calls[5].op, calls[10].op), (Opcode::Set, Opcode::Delete));
        assert_eq!(rig.cluster.shared.metrics.upstream_calls.value(), 14);
        assert_eq!(rig.cluster.shared.metrics.upstream_call_errors.value(), 0, "an answer is no error");
    });
}

/// A connection that ends takes its answers with it: a read is asked once more, a write must not be.
#[test]
fn what_a_connection_has_lost_is_read_again_but_never_written_again() {
    let first = || vec![Says::End, Says::Answer(5, value), Says::End, Says::End, Says::End];
    with_nodes(first, Vec::new, |rig| async move {
        rig.cluster.shared.options.set(ClusterOptions { breaker_failures: 100, ..OPTIONS });
        assert_eq!(found_version(&rig.get().await), 42);
        assert_eq!(rig.cluster.shared.metrics.upstream_call_errors.value(), 0, "it was answered in the end");
        assert_eq!(refused(&rig.set().await), Some(Refusal::Unknown));
        assert_eq!(refused(&rig.get().await), Some(Refusal::Unavailable), "lost twice");
        assert_eq!(rig.first.ops(), [Opcode::Get, Opcode::Get, Opcode::Set, Opcode::Get, Opcode::Get]);
        assert_eq!(rig.cluster.shared.metrics.upstream_call_errors.value(), 2);
        rig.sleep(5).await;
        assert_eq!(rig.cluster.shared.metrics.upstream_connections_ended.value(), 4);
        assert_eq!(rig.state(1), Some((true, 0)), "it connects again after a pause");
        rig.sleep(200).await;
        assert_eq!((rig.state(1), rig.first.accepted.get()), (Some((true, 1)), 5));
    });
}

/// Without any sign of life, not even an answer to a PING, for as long as a connection takes to be made, it is given up.
#[test]
fn a_silent_connection_is_given_up_and_a_slow_answer_is_not() {
    let first =
        || vec![Says::Answer(5, value), Says::Nothing, Says::Answer(900, value), Says::Nothing, Says::Answer(5, value)];
    with_nodes(first, Vec::new, |rig| async move {
        rig.get().await;
        let lost = rig.start_get();
        rig.sleep(10).await;
        assert_eq!(found_version(&rig.get().await), 42, "its link lives: PINGs are answered");
        rig.sleep(200).await;
        assert_eq!(refused(&lost.take().unwrap()), Some(Refusal::Unavailable), "one slow answer among others");
        assert_eq!((rig.state(1), rig.first.accepted.get()), (Some((true, 1)), 1), "is no fault of the connection");
        assert_eq!(rig.cluster.shared.metrics.upstream_call_errors.value(), 1);
        assert!(rig.first.pings.get() > 0);

        rig.first.is_mute.set(true);
        let (written, ms) = rig.time(rig.set()).await;
        assert!(refused(&written) == Some(Refusal::Unknown) && (100..345).contains(&ms), "after {ms} ms");
        rig.sleep(1).await;
        assert_eq!(
            rig.state(1),
            Some((false, 0)),
            "a node that is silent is not asked again before it answers a HELLO"
        );
        assert_eq!(refused(&rig.get().await), Some(Refusal::Unavailable));
        rig.first.is_mute.set(false);
        rig.sleep(400).await;
        assert_eq!(found_version(&rig.get().await), 42);
        assert_eq!(rig.first.accepted.get(), 2);
    });
}

/// As long as parts of a value keep coming, its answer may take until the request's own deadline.
#[test]
fn a_large_answer_may_take_longer_than_its_first_sign() {
    let first = || vec![Says::Parts(800, 3), Says::Parts(800, 1), Says::Parts(900, 3)];
    with_nodes(first, Vec::new, |rig| async move {
        let (read, ms) = rig.time(rig.get()).await;
        let Outcome::Found(value) = read.outcome else { panic!("{:?}", read.outcome) };
        assert!(&value.part[..] == PARTED && (2_400..2_500).contains(&ms), "after {ms} ms");
        let (cut, ms) = rig.time(rig.get()).await;
        assert!(refused(&cut) == Some(Refusal::Unavailable) && (1_800..1_820).contains(&ms), "after {ms} ms");
        rig.sleep(5).await;
        rig.cluster.shared.options.set(ClusterOptions { request_timeout: Duration::from_secs(4), ..OPTIONS });
        let hash = KeyHasher::new(rig.cluster.topology().hash_seed()).hash(KEY);
        let deadline = rig.cluster.shared.reactor.now() + Duration::from_secs(2);
        let request = StoreRequest { key: KEY.into(), hash, op: StoreOp::Read(ReadPart::beginning(true)), deadline };
        let (late, ms) = rig.time(Cluster::call(&rig.cluster, &request)).await;
        assert!(refused(&late) == Some(Refusal::Unavailable) && (2_000..2_001).contains(&ms), "after {ms} ms");
        let over = Cluster::call(&rig.cluster, &request).await;
        assert_eq!(refused(&over), Some(Refusal::Unavailable), "its time is over: it is not sent");
        assert_eq!(rig.first.asked.borrow().len(), 3);
    });
}

#[test]
fn calls_wait_for_credit_and_only_so_many() {
    let first = || (0..3).map(|_| Says::Answer(100, value)).chain([Says::Answer(5, value), Says::Nothing]).collect();
    with_nodes(first, Vec::new, |rig| async move {
        rig.first.introduce(|hello| hello.credit_requests = 1);
        rig.sleep(50).await;
        let answers: Vec<_> = (0..3).map(|_| rig.start_get()).collect();
        rig.sleep(10).await;
        assert_eq!(rig.first.asked.borrow().len(), 1, "as many as there is credit for");
        let (full, ms) = rig.time(rig.get()).await;
        assert_eq!((refused(&full), ms), (Some(Refusal::Busy), 0), "two wait already");
        rig.sleep(400).await;
        assert!(answers.iter().all(|answer| found_version(&answer.take().unwrap()) == 42));
        assert_eq!(found_version(&rig.get().await), 42, "who has waited waits no longer");

        let hangs = rig.start_get();
        rig.sleep(10).await;
        let (full, ms) = rig.time(rig.get()).await;
        assert!(refused(&full) == Some(Refusal::Unavailable) && (430..500).contains(&ms), "given up after {ms} ms");
        rig.sleep(1).await;
        assert_eq!(refused(&hangs.take().unwrap()), Some(Refusal::Unavailable));
    });
}

/// Silence opens the breaker; a handshake closes it.
#[test]
fn a_node_that_fails_again_and_again_is_not_asked_until_it_shakes_hands() {
    let first = || vec![Says::Nothing, Says::Nothing, Says::Answer(5, value)];
    with_nodes(first, Vec::new, |rig| async move {
        rig.sleep(50).await;
        let (one, other) = (rig.start_get(), rig.start_get());
        rig.sleep(10).await;
        rig.first.is_deaf.set(true);
        rig.first.is_mute.set(true);
        rig.sleep(1_000).await;
        let ends = [one, other].map(|answer| refused(&answer.take().unwrap()));
        assert_eq!(ends, [Some(Refusal::Unavailable); 2]);
        assert_eq!((rig.state(1), rig.cluster.shared.metrics.breaker_opened.value()), (Some((false, 0)), 1));
        let (refusal, ms) = rig.time(rig.set()).await;
        assert_eq!((refused(&refusal), ms), (Some(Refusal::Unavailable), 0), "nothing is sent");
        assert_eq!(
            rig.cluster.shared.metrics.breaker_refused.value(),
            3,
            "and the two reads, when they were to be asked again"
        );
        rig.sleep(2_000).await;
        assert_eq!(rig.state(1), Some((false, 0)), "it does not answer the probes");
        assert_eq!(rig.cluster.shared.metrics.breaker_opened.value(), 1);
        rig.first.is_deaf.set(false);
        rig.sleep(600).await;
        assert_eq!(rig.state(1), Some((true, 1)));
        assert_eq!(found_version(&rig.get().await), 42);
    });
}

#[test]
fn a_connection_that_has_lived_for_long_enough_has_a_successor_and_no_call_fails() {
    const ROUNDS: usize = 40;
    with_nodes(
        || (0..3 * ROUNDS).map(|_| Says::Answer(15, value)).collect(),
        Vec::new,
        |rig| async move {
            rig.cluster.shared.links.use_for(Duration::from_millis(200));
            // One is on its way, two wait for its credit.
            rig.first.introduce(|hello| hello.credit_requests = 1);
            rig.sleep(50).await;
            for round in 0..ROUNDS {
                let answers = [rig.start_get(), rig.start_get(), rig.start_get()];
                rig.sleep(100).await;
                for answer in answers {
                    let answer = answer.borrow_mut().take().expect("it is answered in time");
                    assert_eq!(found_version(&answer), 42, "round {round}: {answer:?}");
                }
            }
            let metrics = &rig.cluster.shared.metrics;
            let renewed = metrics.upstream_connections_renewed.value();
            // Two nodes, 4 s, one in 0.1 to 0.2 s.
            assert!((30..=90).contains(&renewed), "{renewed} in all");
            assert_eq!(metrics.upstream_connections_ended.value(), 0, "none has failed");
            assert_eq!((rig.state(1), rig.state(2)), (Some((true, 1)), Some((true, 1))));
            assert!(rig.first.accepted.get() >= 15);
        },
    );
}

/// While a connection and its successor end and come up in whatever order, one of them has the place in the end.
#[test]
fn a_node_whose_connections_end_at_any_moment_of_a_renewal_is_connected_once_they_last() {
    with_nodes(Vec::new, Vec::new, |rig| async move {
        for _ in 0..40 {
            rig.cluster.shared.links.use_for(Duration::from_millis(200));
            rig.first.is_frail.set(Some((80, 300)));
            rig.sleep(1000).await;
            rig.first.is_frail.set(None);
            rig.cluster.shared.links.use_for(Duration::from_secs(3600));
            rig.sleep(800).await;
            assert_eq!(rig.state(1), Some((true, 1)));
        }
    });
}

/// Whom a node does not let in again has to leave, too: what it had is not kept for want of something new.
#[test]
fn a_connection_without_a_successor_in_time_ends() {
    with_nodes(Vec::new, Vec::new, |rig| async move {
        rig.cluster.shared.links.use_for(Duration::from_millis(1000));
        rig.sleep(300).await;
        assert_eq!(rig.state(1), Some((true, 1)));
        rig.first.is_deaf.set(true);
        rig.sleep(3000).await;
        assert_eq!(rig.state(1).map(|(_, connections)| connections), Some(0));
        assert_eq!(rig.state(2), Some((true, 1)), "the other goes on");
    });
}

#[test]
fn a_core_of_a_node_has_a_connection_and_only_so_many_are_made() {
    with_nodes(
        || vec![Says::Answer(5, value)],
        Vec::new,
        |rig| async move {
            rig.first.introduce(|hello| hello.cores = 3);
            rig.second.introduce(|hello| hello.cores = 9);
            rig.sleep(500).await;
            assert_eq!((rig.state(1), rig.state(2)), (Some((true, 3)), Some((true, 4))));
            let mut wanted = rig.first.wanted.borrow().clone();
            wanted.sort_unstable();
            assert_eq!(wanted, [Some(0), Some(1), Some(2)]);
            rig.get().await;
            let hash = KeyHasher::new(rig.cluster.topology().hash_seed()).hash(KEY);
            let owner = owner_core(hash, 3).0;
            assert_ne!(owner, 0, "else this shows nothing");
            assert_eq!(u16::from(rig.first.asked.borrow()[0].core), owner);
        },
    );
}

#[test]
fn a_stranger_in_a_nodes_place_is_not_asked() {
    with_nodes(Vec::new, Vec::new, |rig| async move {
        rig.first.introduce(|hello| hello.node_id = 7);
        rig.second.introduce(|hello| hello.hash_seed += 1);
        let (refusal, ms) = rig.time(rig.set()).await;
        assert_eq!(refused(&refusal), Some(Refusal::Unavailable), "nothing was sent");
        assert!(ms < 1_000, "who waits is sent away when the breaker opens, not when the time is over: {ms} ms");
        rig.sleep(500).await;
        assert!(
            rig.cluster.shared.metrics.upstream_hellos_refused.value() >= 4
                && rig.cluster.shared.metrics.upstream_connections_ended.value() == 0
        );
        let errors: Vec<_> = rig.cluster.node_states().into_iter().filter_map(|state| state.error).collect();
        assert!(errors.len() == 2 && errors[0].contains('7'), "{errors:?}");
        rig.first.introduce(|hello| hello.node_id = 1);
        rig.sleep(300).await;
        assert_eq!(rig.state(1), Some((true, 1)));
        assert_eq!(rig.cluster.node_states()[0].error, None);
    });
}

/// What a value costs to send is not held against the node.
#[test]
fn a_large_write_has_more_time_for_its_first_sign() {
    with_nodes(
        || vec![Says::Nothing],
        Vec::new,
        |rig| async move {
            rig.first.introduce(|hello| (hello.frame_value_bytes_max, hello.credit_bytes) = (1 << 20, 4 << 20));
            rig.sleep(50).await;
            let large = large_set_op(1 << 20);
            assert_eq!((sent_bytes(&large), sent_bytes(&StoreOp::Inspect { fresh: true })), (1 << 20, 0));
            let (written, ms) = rig.time(rig.ask(large)).await;
            assert_eq!((refused(&written), ms), (Some(Refusal::Unknown), 1_125));
        },
    );
}

/// Calls that were sent are timed; one that was not sent is an error all the same.
#[test]
fn calls_are_timed_if_they_were_sent() {
    with_nodes(
        || vec![Says::Answer(5, value), Says::Nothing],
        Vec::new,
        |rig| async move {
            let calls = || rig.cluster.node_states()[0].calls.0.count();
            rig.get().await;
            assert_eq!((calls(), rig.cluster.shared.metrics.upstream_call_errors.value()), (1, 0));
            assert_eq!(refused(&rig.get().await), Some(Refusal::Unavailable));
            assert_eq!((calls(), rig.cluster.shared.metrics.upstream_call_errors.value()), (2, 1));
            rig.cluster.shared.options.set(ClusterOptions { breaker_failures: 100, ..OPTIONS });
            rig.first.is_deaf.set(true);
            rig.cluster.nodes.borrow()[&NodeId(1)].connections.borrow()[0].close(rig.cluster.shared.reactor.now());
            rig.sleep(10).await;
            assert_eq!(refused(&rig.get().await), Some(Refusal::Unavailable));
            assert_eq!(
                (calls(), rig.cluster.shared.metrics.upstream_call_errors.value()),
                (2, 2),
                "no connection in time"
            );
        },
    );
}

#[test]
fn bytes_in_flight_are_held_to_what_the_node_granted() {
    let first = || (0..2).map(|_| Says::Answer(100, |response| Response { version: 43, ..response })).collect();
    with_nodes(first, Vec::new, |rig| async move {
        rig.first.introduce(|hello| (hello.frame_value_bytes_max, hello.credit_bytes) = (1 << 20, 1 << 20));
        rig.sleep(50).await;
        let answers = [rig.start(large_set_op(600 << 10)), rig.start(large_set_op(600 << 10))];
        rig.sleep(90).await;
        assert_eq!(rig.first.asked.borrow().len(), 1);
        rig.sleep(400).await;
        for answer in answers {
            let outcome = answer.take().unwrap().outcome;
            assert!(matches!(outcome, Outcome::Stored { .. }), "{outcome:?}");
        }
    });
}

/// One connection probes for all, however many cores the node has.
#[test]
fn a_node_that_is_down_is_probed_by_one_connection() {
    with_nodes(
        || vec![Says::Nothing, Says::Nothing],
        Vec::new,
        |rig| async move {
            rig.first.introduce(|hello| hello.cores = 4);
            rig.sleep(500).await;
            assert_eq!(rig.state(1), Some((true, 4)));
            rig.first.is_deaf.set(true);
            rig.first.is_mute.set(true);
            let both = [rig.start_get(), rig.start_get()];
            rig.sleep(2_000).await;
            assert!(both.iter().all(|answer| answer.borrow().is_some()) && rig.state(1) == Some((false, 0)));
            let before = rig.first.accepted.get();
            rig.sleep(2_000).await;
            let probes = rig.first.accepted.get() - before;
            assert!((5..=11).contains(&probes), "{probes} probes, of 200 to 300 ms each");
        },
    );
}
