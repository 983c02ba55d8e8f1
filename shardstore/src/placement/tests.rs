//! Tests of placement: proposals, movement, weights, patches, epochs, and every way a file is refused.

use super::*;
use crate::key::{SLOT_COUNT, SlotId};

fn file(nodes: &[(u32, f64)]) -> String {
    use std::fmt::Write as _;
    let mut text = String::from("cluster = \"test\"\nepoch = 1\n");
    for (id, weight) in nodes {
        write!(
            text,
            "[[node]]\nid = {id}\naddress = \"10.{}.{}.{}:7401\"\nweight = {weight:?}\n",
            id >> 16 & 255,
            id >> 8 & 255,
            id & 255
        )
        .unwrap();
    }
    text
}

fn topology(nodes: &[(u32, f64)]) -> Topology {
    Topology::parse(&file(nodes)).unwrap()
}

fn equal(ids: impl Iterator<Item = u32>) -> Vec<(u32, f64)> {
    ids.map(|id| (id, 1.0)).collect()
}

fn moved(before: &Topology, after: &Topology) -> usize {
    SlotId::all().filter(|&slot| before.owner(slot).id != after.owner(slot).id).count()
}

fn slot(number: u16) -> SlotId {
    SlotId::new(number).unwrap()
}

#[test]
fn owners_are_stable() {
    // Made by another implementation, with floating-point logarithms. Owners of every 2048th slot, and slots per node. If these change, a rolling upgrade splits the cluster.
    let map = topology(&[(1, 1.0), (2, 1.0), (3, 2.0), (4, 0.5), (5, 1.0)]);
    let sample: Vec<u32> = (0..SLOT_COUNT).step_by(2048).map(|n| map.owner(slot(n)).id.0).collect();
    let counts: Vec<usize> = (1..=5).map(|id| map.owned_slots(NodeId(id))).collect();
    let digest = SlotId::all().fold(0_u64, |digest, slot| {
        (digest.rotate_left(5) ^ u64::from(map.owner(slot).id.0)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    });
    assert_eq!(sample, [5, 2, 4, 5, 3, 1, 1, 1]);
    assert_eq!(counts, [3086, 3039, 5879, 1500, 2880]);
    assert_eq!(digest, 0xf1e4_6118_89ed_9916, "{digest:#018x}");
}

#[test]
fn adding_a_node_moves_its_share_and_removing_one_moves_only_its_own() {
    for first_id in [1, 1000, 60_000] {
        for count in 2..=24_u32 {
            let before = topology(&equal(first_id..first_id + count - 1));
            let after = topology(&equal(first_id..first_id + count));
            let added = NodeId(first_id + count - 1);
            let share = 1.0 / f64::from(count) + 0.01;
            let moves = moved(&before, &after);
            assert!(moves as f64 <= share * f64::from(SLOT_COUNT), "{count} nodes from {first_id}: {moves} moved");
            for slot in SlotId::all() {
                let (old, new) = (before.owner(slot).id, after.owner(slot).id);
                assert!(new == old || new == added, "slot {slot} moved between nodes that both stayed");
            }
            assert_eq!(moves, after.owned_slots(added), "the removed node's slots, and no others, move");
        }
    }
}

#[test]
fn weights_are_respected_within_two_percent() {
    let cases: &[&[(u32, f64)]] = &[
        &[(1, 1.0), (2, 1.0), (3, 1.0), (4, 1.0), (5, 1.0)],
        &[(1, 1.0), (2, 2.0), (3, 4.0)],
        &[(7, 0.5), (9, 10.0), (11, 0.25), (13, 3.0)],
        &[(1, 1000.0), (2, 1000.0)],
    ];
    for nodes in cases {
        let map = topology(nodes);
        let total: f64 = nodes.iter().map(|(_, weight)| weight).sum();
        for (id, weight) in *nodes {
            let share = map.owned_slots(NodeId(*id)) as f64 / f64::from(SLOT_COUNT);
            assert!((share - weight / total).abs() < 0.02, "node {id} of {nodes:?} has {share}");
        }
    }
}

#[test]
fn order_address_and_zone_move_nothing() {
    let before = topology(&[(1, 1.0), (2, 2.0), (3, 1.0)]);
    let text =
        file(&[(3, 1.0), (1, 1.0), (2, 2.0)]).replace("10.0.", "10.9.").replace("weight", "zone = \"a\"\nweight");
    let after = Topology::parse(&text).unwrap();
    assert_eq!(moved(&before, &after), 0);
    assert_eq!(after.node(NodeId(2)).unwrap().zone, "a");
}

#[test]
fn assignments_override_the_proposal_only_for_their_slots() {
    let text = file(&[(1, 1.0), (2, 1.0)])
        + "[[assign]]\nslots = \"0-5460\"\nnode = 2\n[[assign]]\nslots = \"9000\"\nnode = 1\n";
    let map = Topology::parse(&text).unwrap();
    let proposal = topology(&[(1, 1.0), (2, 1.0)]);
    for slot in SlotId::all() {
        let expected = match slot.number() {
            0..=5460 => NodeId(2),
            9000 => NodeId(1),
            _ => proposal.owner(slot).id,
        };
        assert_eq!(map.owner(slot).id, expected, "slot {slot}");
    }
    let range = map.owner_range(slot(100));
    assert_eq!(range.first(), slot(0));
    assert!(range.last() >= slot(5460));
    assert!(range.slots().all(|slot| map.owner(slot).id == NodeId(2)));
}

#[test]
fn what_a_node_loses_is_what_goes_elsewhere_or_may_have() {
    let at = |epoch: u32, owner: u32| {
        let assign =
            format!("[[assign]]\nslots = \"0-9\"\nnode = {owner}\n[[assign]]\nslots = \"10-16383\"\nnode = 1\n");
        Topology::parse(&format!(
            "{}{assign}",
            file(&[(1, 1.0), (2, 1.0)]).replace("epoch = 1", &format!("epoch = {epoch}"))
        ))
        .unwrap()
    };
    let lost =
        |from: &Topology, to: &Topology, me| from.slots_lost(NodeId(me), to).map(SlotId::number).collect::<Vec<_>>();
    assert_eq!(lost(&at(5, 1), &at(6, 2), 1), (0..10).collect::<Vec<_>>());
    assert_eq!(lost(&at(5, 2), &at(6, 1), 1), [0; 0], "what comes is not lost");
    assert_eq!(lost(&at(5, 2), &at(6, 1), 2), (0..10).collect::<Vec<_>>());
    assert_eq!(lost(&at(5, 1), &at(5, 1), 1), [0; 0]);
    assert_eq!(lost(&at(5, 1), &at(7, 1), 1).len(), 16384, "epoch 6 may have given all of them away");
    assert_eq!(lost(&at(5, 2), &at(7, 2), 2).len(), 10);
}

#[test]
fn epochs_decide_what_a_node_does() {
    let map = Topology::parse(&file(&[(1, 1.0), (2, 1.0)]).replace("epoch = 1", "epoch = 5")).unwrap();
    let mine = SlotId::all().find(|&slot| map.owner(slot).id == NodeId(1)).unwrap();
    let foreign = SlotId::all().find(|&slot| map.owner(slot).id == NodeId(2)).unwrap();
    let cases = [
        (mine, 5, Verdict::Serve),
        (mine, 4, Verdict::ServeAndHint),
        (mine, 0, Verdict::ServeAndHint),
        (mine, 6, Verdict::Stale),
        (foreign, 5, Verdict::Moved),
        (foreign, 4, Verdict::Moved),
        (foreign, 6, Verdict::Stale),
    ];
    for (slot, epoch, verdict) in cases {
        assert_eq!(map.check_epoch(NodeId(1), slot, epoch), verdict, "slot {slot} epoch {epoch}");
    }
}

#[test]
fn bad_files_are_refused_with_line_key_and_remedy() {
    use TopologyFault as F;
    let good = "cluster = \"c\"\nepoch = 1\n[[node]]\nid = 1\naddress = \"10.0.0.1:1\"\n[[node]]\nid = 2\naddress = \"10.0.0.2:1\"\n";
    Topology::parse(good).unwrap();
    let with = |from: &str, to: &str| {
        assert!(good.contains(from));
        good.replacen(from, to, 1)
    };
    let assign = |text: &str| format!("{good}[[assign]]\n{text}\n");
    let cases = [
        (with("epoch = 1", "epoch ="), 2, "file", F::Syntax, "correct the syntax"),
        (with("epoch = 1", "epoch = 0"), 2, "epoch", F::BadEpoch, "raise it"),
        (with("epoch = 1", "epoch = 4294967296"), 2, "epoch", F::BadEpoch, "raise it"),
        (with("epoch = 1", "epoch = \"1\""), 2, "epoch", F::WrongType, "an integer"),
        (with("epoch = 1", "epoh = 1"), 2, "epoh", F::UnknownKey, "did you mean epoch?"),
        (with("epoch = 1", "epoch = 1\nxyzzy = 1"), 3, "xyzzy", F::UnknownKey, "remove it"),
        (with("epoch = 1", "epoch = 1\nhash_seed = -1"), 3, "hash_seed", F::BadHashSeed, "from 0"),
        (with("epoch = 1\n", ""), 1, "epoch", F::MissingKey, "add epoch"),
        (with("\"c\"", "\"a b\""), 1, "cluster", F::BadCluster, "1 to 63"),
        (with("\"c\"", "\"\""), 1, "cluster", F::BadCluster, "1 to 63"),
        (with("id = 2", "id = 1"), 7, "node.id", F::DuplicateNodeId, "line 3"),
        (with("id = 2", "id = 65536"), 7, "node.id", F::BadNodeId, "1 to 65535"),
        (with("id = 2", "id = 0"), 7, "node.id", F::BadNodeId, "from 1"),
        (with("id = 2\n", ""), 6, "node.id", F::MissingKey, "add id"),
        (with("10.0.0.2", "10.0.0.1"), 8, "node.address", F::DuplicateAddress, "line 3"),
        (with("10.0.0.2:1", "10.0.0.256:7401"), 8, "node.address", F::BadAddress, "a host's name"),
        (with("10.0.0.2:1", "0.0.0.0:1"), 8, "node.address", F::BadAddress, "connect to"),
        (with("10.0.0.2:1", "10.0.0.2:0"), 8, "node.address", F::BadAddress, "port"),
        (with("id = 2", "id = 2\nweight = -1.0"), 8, "node.weight", F::BadWeight, "0.001 to 1000"),
        (with("id = 2", "id = 2\nweight = nan"), 8, "node.weight", F::BadWeight, "0.001 to 1000"),
        (with("id = 2", "id = 2\nweight = 0"), 8, "node.weight", F::BadWeight, "remove it"),
        (with("id = 2", "id = 2\nweight = \"1\""), 8, "node.weight", F::WrongType, "a number"),
        (with("id = 2", "id = 2\nzone = \"a/b\""), 8, "node.zone", F::BadZone, "a-z"),
        (with("id = 2", "id = 2\nadress = \"x\""), 8, "node.adress", F::UnknownKey, "did you mean address?"),
        (good[..good.find("[[").unwrap()].to_owned(), 1, "node", F::NodeCount, "[[node]]"),
        (with("epoch = 1", "epoch = 1\nassign = 3"), 3, "assign", F::WrongType, "[[assign]]"),
        (assign("slots = \"5-3\"\nnode = 1"), 10, "assign.slots", F::BadSlots, "ascending"),
        (assign("slots = \"0-16384\"\nnode = 1"), 10, "assign.slots", F::BadSlots, "16383"),
        (assign("slots = \"-\"\nnode = 1"), 10, "assign.slots", F::BadSlots, "ascending"),
        (assign("slots = \"1\"\nnode = 9"), 11, "assign.node", F::UnknownNode, "add a [[node]]"),
        (
            assign("slots = \"1-5\"\nnode = 1\n[[assign]]\nslots = \"5-9\"\nnode = 2"),
            13,
            "assign.slots",
            F::OverlappingSlots,
            "line 9",
        ),
        ("#".repeat((1 << 20) + 1), 1, "file", F::FileTooLarge, "topology file"),
    ];
    for (text, line, key, fault, says) in cases {
        let error = Topology::parse(&text).expect_err(key);
        let shown = error.to_string();
        assert_eq!((error.line(), error.key(), error.fault()), (line, key, fault), "{shown}");
        assert!(shown.contains(says), "{shown:?} does not say {says:?}");
        assert!(!fault.name().is_empty());
    }
}

/// Whoever corrects a file wants to do it once; what follows from another fault is none.
#[test]
fn all_faults_of_a_file_are_told() {
    use TopologyFault as F;
    let text = "cluster = \"a b\"\nepoh = 1\n[[node]]\nid = 99999\nadress = \"10.0.0.1:1\"\nweight = 0\n\
                [[node]]\nid = 2\naddress = \"10.0.0.2:1\"\n[[node]]\nid = 2\naddress = \"10.0.0.2:1\"\n\
                [[assign]]\nslots = \"5-3\"\nnode = 9\n[[assign]]\nnode = 0\n";
    let error = Topology::parse(text).expect_err("much is wrong with it");
    let told: Vec<_> = error.all().map(|fault| (fault.line(), fault.key(), fault.fault())).collect();
    let expected = [
        (1, "cluster", F::BadCluster),
        (2, "epoh", F::UnknownKey),
        (4, "node.id", F::BadNodeId),
        (5, "node.adress", F::UnknownKey),
        (6, "node.weight", F::BadWeight),
        (11, "node.id", F::DuplicateNodeId),
        (12, "node.address", F::DuplicateAddress),
        (14, "assign.slots", F::BadSlots),
        (16, "assign.slots", F::MissingKey),
        (17, "assign.node", F::BadNodeId),
    ];
    assert_eq!(told, expected, "node 9 may be one that could not be read");
    assert_eq!(Topology::parse("a = 1\n").expect_err("keys are missing").all().count(), 4);
    let many: String = (0..100).map(|n| format!("key{n} = 1\n")).collect();
    assert_eq!(Topology::parse(&many).expect_err("they are unknown").all().count(), 20);
}

#[test]
fn the_seed_is_the_file_s_or_the_name_s() {
    let named = topology(&[(1, 1.0)]);
    let other = Topology::parse(&file(&[(1, 1.0)]).replace("\"test\"", "\"other\"")).unwrap();
    assert_ne!(named.hash_seed(), other.hash_seed());
    let given = Topology::parse(&format!("hash_seed = 0x5eed\n{}", file(&[(1, 1.0)]))).unwrap();
    assert_eq!(given.hash_seed(), 0x5eed);
    assert_eq!(given.cluster(), "test");
    assert!(given.text().starts_with("hash_seed"));
}
