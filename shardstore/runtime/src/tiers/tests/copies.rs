//! Copies of what a node holds: which are kept, for how long, and what ends them.

use super::*;

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

fn read_on(offset: usize, version: u64) -> StoreOp {
    let version = Some(Version::from_bits(version));
    StoreOp::Read(ReadPart { offset, bytes_max: usize::MAX, version, is_first: false, fresh: false })
}

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
