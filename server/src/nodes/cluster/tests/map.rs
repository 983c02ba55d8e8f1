//! The map: what nodes say about it, and what becomes of those that leave it.

use shardstore::key::SlotId;
use shardstore::wire::Response;
use shardstore::wire::code::Opcode;
use shardstore::wire::ext::Moved;
use shardstore::wire::hello::HelloExtension;

use super::*;

const FIRST_SLOT: SlotId = SlotId::ZERO;

/// All slots belong to the second node, as of an epoch.
fn moved(response: Response<'static>, epoch: u32) -> Response<'static> {
    let last = SlotId::new(shardstore::key::SLOT_COUNT - 1).unwrap();
    let moved = Moved { first: FIRST_SLOT, last, epoch, node: 2, address: ([10, 0, 0, 2], 7401).into() };
    Response { status: Status::Moved, moved: Some(moved), ..response }
}

pub(super) fn version(response: Response<'static>, version: u64) -> Response<'static> {
    Response { version, ..response.with_payload(b"value") }
}

#[test]
fn a_moved_key_is_asked_of_the_node_that_is_named_and_the_map_stays() {
    let first =
        || vec![Says::Answer(5, |response| moved(response, 6)), Says::Answer(5, |response| moved(response, u32::MAX))];
    let second =
        || vec![Says::Answer(5, |response| version(response, 2)), Says::Answer(5, |response| version(response, 3))];
    with_nodes(first, second, |rig| async move {
        let before = rig.cluster.topology();
        let read = rig.get().await;
        assert_eq!((found_version(&read), read.source), (2, Source::Node { id: 2, collapsed: false }));
        assert_eq!(rig.hint(), Some((1, 6)), "the file is to be read again");
        assert_eq!(rig.hint(), None);
        assert_eq!(found_version(&rig.get().await), 3);
        assert_eq!(rig.hint(), Some((1, u32::MAX)), "whatever it claims");
        assert!(rig.second.asked.borrow().iter().all(|asked| asked.epoch == 5), "our epoch is that of our file");
        assert!(Arc::ptr_eq(&before, &rig.cluster.topology()));
        assert_eq!(rig.cluster.shared.metrics.moved.value(), 2);
    });
}

/// Nodes that do not agree must not keep a call for ever, and one that lies sends nobody anywhere.
#[test]
fn a_call_goes_to_nodes_of_the_map_only_and_three_times_at_most() {
    fn elsewhere(response: Response<'static>) -> Response<'static> {
        let response = moved(response, 9);
        let to = response.moved.map(|moved| Moved { node: 7, address: ([10, 0, 0, 7], 7401).into(), ..moved });
        Response { moved: to, ..response }
    }
    let first = || (0..3).map(|_| Says::Answer(5, elsewhere)).collect();
    with_nodes(first, Vec::new, |rig| async move {
        let before = rig.cluster.topology();
        assert_eq!(refused(&rig.get().await), Some(Refusal::Unavailable));
        assert!(Arc::ptr_eq(&before, &rig.cluster.topology()));
        assert_eq!((rig.cluster.shared.metrics.moved.value(), rig.state(7)), (3, None));
        assert_eq!(rig.hint(), Some((1, 9)));
    });
}

/// A node that has not heard of the newest topology yet soon will have.
#[test]
fn a_node_behind_our_map_is_asked_again_after_a_pause() {
    let first = || {
        vec![
            Says::Answer(0, |response| Response { status: Status::Stale, ..response }),
            Says::Answer(0, |response| version(response, 2)),
        ]
    };
    with_nodes(first, Vec::new, |rig| async move {
        rig.sleep(100).await;
        let (read, ms) = rig.time(rig.get()).await;
        assert!(found_version(&read) == 2 && (30..50).contains(&ms), "after {ms} ms");
        assert_eq!((rig.cluster.shared.metrics.stale.value(), rig.hint()), (1, None));
    });
}

/// While nodes have an older map than ours no request can be served: that is known before one comes, and its end too.
#[test]
fn nodes_behind_our_map_are_known_without_a_request() {
    with_nodes(Vec::new, Vec::new, |rig| async move {
        let behind = || -> Vec<(usize, bool)> {
            rig.cluster.node_states().iter().map(|state| (state.connections, state.is_behind)).collect()
        };
        rig.sleep(100).await;
        assert_eq!(behind(), [(1, false), (1, false)]);
        rig.cluster.install(&topology(6, "10.0.0.2"));
        rig.sleep(1_500).await;
        assert_eq!(behind(), [(1, true), (1, true)]);
        rig.first.introduce(|hello| hello.topology_epoch = 6);
        rig.sleep(1_500).await;
        assert_eq!(behind(), [(1, false), (1, true)]);
        let accepted = rig.first.accepted.get();
        rig.sleep(10_000).await;
        assert_eq!(rig.first.accepted.get(), accepted, "a node that has told is left alone");
    });
}

#[test]
fn an_answer_from_a_node_with_a_newer_map_is_a_hint() {
    let first = || {
        let hint = |response| Response { flags: Flags::MAP_HINT, slot_epoch: 6, ..version(response, 2) };
        vec![Says::Answer(0, hint), Says::Answer(0, hint)]
    };
    with_nodes(first, Vec::new, |rig| async move {
        assert_eq!(found_version(&rig.get().await), 2);
        assert_eq!(rig.hint(), Some((1, 6)));
        rig.cluster.install(&topology(6, "10.0.0.2"));
        assert_eq!(found_version(&rig.get().await), 2);
        assert_eq!(rig.hint(), None, "we know by now");
    });
}

fn topology(epoch: u32, second: &str) -> Arc<Topology> {
    let text = FIRST_OWNS_ALL.replace("epoch = 5", &format!("epoch = {epoch}"));
    Arc::new(Topology::parse(&text.replace("10.0.0.2", second)).unwrap())
}

#[test]
fn what_leaves_the_map_is_left_and_an_older_map_changes_nothing() {
    let first = || vec![Says::Answer(2_000, |response| version(response, 2))];
    with_nodes(first, Vec::new, |rig| async move {
        rig.cluster.shared.options.set(ClusterOptions { request_timeout: Duration::from_secs(3), ..OPTIONS });
        rig.sleep(100).await;
        assert_eq!((rig.state(1), rig.state(2)), (Some((true, 1)), Some((true, 1))));
        let old = Rc::clone(&rig.cluster.nodes.borrow()[&NodeId(2)]);

        rig.cluster.install(&topology(4, "10.0.0.9"));
        assert_eq!(rig.cluster.topology().epoch(), 5);
        rig.cluster.install(&topology(5, "10.0.0.2"));
        assert!(Rc::ptr_eq(&old, &rig.cluster.nodes.borrow()[&NodeId(2)]), "the same node is kept");
        rig.cluster.install(&topology(6, "10.0.0.9"));
        let new = Rc::clone(&rig.cluster.nodes.borrow()[&NodeId(2)]);
        assert!(
            old.health.retired.get() && !new.health.retired.get() && new.health.address.to_string() == "10.0.0.9:7401"
        );
        rig.sleep(50).await;
        assert_eq!(old.connected(), 0, "nothing was owed on its connection");

        let owed = rig.start_get();
        rig.sleep(10).await;
        let alone = "cluster = \"test\"\nepoch = 7\n[[node]]\nid = 3\naddress = \"10.0.0.3:7401\"\n";
        let leaving = Rc::clone(&rig.cluster.nodes.borrow()[&NodeId(1)]);
        rig.cluster.install(&Arc::new(Topology::parse(alone).unwrap()));
        assert_eq!((rig.state(1), rig.state(2)), (None, None));
        rig.sleep(1_000).await;
        assert_eq!(leaving.connected(), 1, "an answer is owed on it");
        rig.sleep(1_100).await;
        assert_eq!(found_version(&owed.take().unwrap()), 2);
        assert_eq!(leaving.connected(), 0);
        assert_eq!((rig.first.accepted.get(), rig.second.accepted.get()), (1, 1), "nobody connects to them again");
    });
}

/// Who waits for a connection to a node that leaves the map asks its slot's new owner.
#[test]
fn a_call_that_waits_for_a_node_that_leaves_goes_to_the_next_owner() {
    with_nodes(
        Vec::new,
        || vec![Says::Answer(5, |response| version(response, 9))],
        |rig| async move {
            rig.first.is_deaf.set(true);
            let waiting = rig.start_get();
            rig.sleep(20).await;
            let text = FIRST_OWNS_ALL.replace("epoch = 5", "epoch = 6").replace("\nnode = 1", "\nnode = 2");
            let text = text.replace("[[node]]\nid = 1\naddress = \"10.0.0.1:7401\"\n", "");
            rig.cluster.install(&Arc::new(Topology::parse(&text).unwrap()));
            rig.sleep(50).await;
            assert_eq!(found_version(&waiting.take().unwrap()), 9);
            assert_eq!(rig.second.ops(), [Opcode::Get]);
        },
    );
}

/// Introduces a node as one with this map of our epoch.
fn has_map(node: &Node, topology: &Topology) {
    let (map, owners) = (Arc::clone(topology.digest()), Some(Box::new(topology.block_owners(0))));
    node.introduce(|hello| hello.extension = Some(HelloExtension { clock_us: 1, map, owners, wanted_node: 0 }));
}

fn elsewhere() -> Topology {
    Topology::parse(&FIRST_OWNS_ALL.replace("node = 1\n", "node = 2\n")).unwrap()
}

#[test]
fn a_slot_of_which_most_nodes_have_another_owner_is_refused() {
    let second = || vec![Says::Answer(5, |response| Response { slot_epoch: 6, ..version(response, 2) })];
    with_nodes(Vec::new, second, |rig| async move {
        has_map(&rig.first, &elsewhere());
        has_map(&rig.second, &rig.cluster.topology());
        rig.sleep(50).await;
        // They are as many; the lower id decides.
        let (refusal, ms) = rig.time(rig.set()).await;
        assert_eq!((refused(&refusal), ms), (Some(Refusal::Unavailable), 0));
        assert_eq!(rig.cluster.shared.metrics.disputed.value(), 1);
        let states = rig.cluster.node_states();
        let error = states[0].error.as_deref().unwrap_or_default();
        assert!(error.contains("another map of epoch 5") && error.contains("first at slot 0;"), "{error}");
        // The right file has the next epoch.
        let next = FIRST_OWNS_ALL.replace("epoch = 5", "epoch = 6").replace("node = 1\n", "node = 2\n");
        rig.cluster.install(&Arc::new(Topology::parse(&next).unwrap()));
        assert_eq!(found_version(&rig.get().await), 2);
    });
}

#[test]
fn a_node_that_alone_has_another_map_takes_no_slot_from_others() {
    let first = || vec![Says::Answer(5, |response| version(response, 2))];
    with_nodes(first, Vec::new, |rig| async move {
        has_map(&rig.first, &rig.cluster.topology());
        has_map(&rig.second, &elsewhere());
        rig.sleep(50).await;
        assert_eq!(found_version(&rig.get().await), 2);
        assert_eq!((rig.cluster.shared.metrics.disputed.value(), rig.state(2)), (0, Some((true, 0))));
    });
}

/// An edge that is outvoted asks nobody, and still learns that there is a newer map; one that cannot reach who outvoted it goes on.
#[test]
fn what_a_node_told_counts_until_it_has_another_epoch_or_is_gone() {
    let first = || vec![Says::Answer(5, |response| version(response, 2))];
    with_nodes(first, Vec::new, |rig| async move {
        has_map(&rig.first, &elsewhere());
        rig.sleep(500).await;
        assert_eq!(refused(&rig.set().await), Some(Refusal::Unavailable));
        assert_eq!((rig.cluster.shared.metrics.disputed.value(), rig.hint()), (1, None));
        rig.first.introduce(|hello| hello.topology_epoch = 6);
        rig.sleep(500).await;
        assert_eq!(rig.hint(), Some((1, 6)));
        assert_eq!(found_version(&rig.get().await), 2);
    });
    with_nodes(Vec::new, Vec::new, |rig| async move {
        has_map(&rig.first, &elsewhere());
        rig.sleep(500).await;
        assert_eq!(refused(&rig.set().await), Some(Refusal::Unavailable));
        rig.first.is_deaf.set(true);
        rig.sleep(2_000).await;
        assert_eq!(refused(&rig.set().await), Some(Refusal::Unavailable), "its own slots, for it is not there");
        let metrics = &rig.cluster.shared.metrics;
        assert_eq!((metrics.disputed.value(), metrics.breaker_refused.value()), (1, 1));
    });
}
