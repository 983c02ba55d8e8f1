//! HELLO: round trip, every field out of range, and the table of what two sides agree on.

use shardstore::wire::frame::{self, Decoded};
use std::sync::Arc;

use shardstore::wire::hello::{Hello, HelloExtension, HelloFormatError, Role};
use shardstore::wire::map_digest::{BlockOwners, MapDigest};
use shardstore::wire::terms::{HelloError, negotiate};
use shardstore::wire::{Frame, checksum, cluster_tag};

use crate::corpus::{CLUSTER, extension, hello};

fn decode(bytes: &[u8]) -> Frame<'_> {
    match frame::decode(bytes, &Hello::limits(cluster_tag(CLUSTER))) {
        Ok(Decoded::Frame(frame)) => frame,
        other => panic!("not a frame: {other:?}"),
    }
}

#[test]
fn it_round_trips_and_tolerates_what_a_later_release_adds() {
    for role in [Role::Edge, Role::Node, Role::Tool] {
        let mut bytes = Vec::new();
        hello(role).encode(&mut bytes);
        let frame = decode(&bytes);
        assert_eq!(Hello::parse(&frame), Ok(hello(role)));
        let longer = [frame.value, b"later"].concat();
        let mut header = frame.header;
        header.value_crc32c = checksum(&longer);
        assert_eq!(Hello::parse(&Frame { header, value: &longer, ..frame }), Ok(hello(role)));
        for cut in 0..frame.value.len() {
            let value = &frame.value[..cut];
            header.value_crc32c = checksum(value);
            assert!(Hello::parse(&Frame { header, value, ..frame }).is_err(), "cut at {cut}");
        }
        let damaged = Frame { value: &longer, ..frame };
        assert_eq!(Hello::parse(&damaged), Err(HelloFormatError::Corrupt));
    }
}

#[test]
fn the_extension_is_read_where_it_is_whole() {
    let whole = Hello { extension: Some(extension()), ..hello(Role::Node) };
    let mut bytes = Vec::new();
    whole.encode(&mut bytes);
    let frame = decode(&bytes);
    assert_eq!(Hello::parse(&frame), Ok(whole.clone()));
    let mut header = frame.header;
    let without = frame.value.len() - 520;
    for cut in [without, without + 1, frame.value.len() - 1] {
        let value = &frame.value[..cut];
        header.value_crc32c = checksum(value);
        assert_eq!(Hello::parse(&Frame { header, value, ..frame }), Ok(hello(Role::Node)), "cut at {cut}");
    }
    let owners = || Some(Box::new(BlockOwners::of(256, |slot| slot as u32)));
    for (owners, wanted_node, length_bytes) in
        [(None, 3, 520 + 4), (owners(), 0, 520 + 258), (owners(), 0x0102_0304, 520 + 258 + 4)]
    {
        let hello = Hello { extension: Some(HelloExtension { owners, wanted_node, ..extension() }), ..whole.clone() };
        bytes.clear();
        hello.encode(&mut bytes);
        let frame = decode(&bytes);
        assert_eq!((frame.value.len(), Hello::parse(&frame).as_ref()), (64 + 6 + length_bytes, Ok(&hello)));
        // What a later release adds is skipped, and what is not whole counts for nothing.
        let (longer, shorter) = ([frame.value, &[0; 4], b"later"].concat(), &frame.value[..frame.value.len() - 1]);
        for (value, is_whole) in [(&longer[..], true), (shorter, false)] {
            header.value_crc32c = checksum(value);
            let parsed = Hello::parse(&Frame { header, value, ..frame });
            assert_eq!(parsed.as_ref() == Ok(&hello), is_whole, "{parsed:?}");
        }
    }
}

/// The extension of a peer that takes the other one for this node.
fn wanting(wanted_node: u32) -> Option<HelloExtension> {
    Some(HelloExtension { wanted_node, ..extension() })
}

/// The extension of a peer with another map.
fn of_another_map() -> HelloExtension {
    HelloExtension { map: Arc::new(MapDigest::of(|_| 2)), ..extension() }
}

#[test]
fn maps_of_one_epoch_must_be_the_same_and_clocks_count_where_both_tell_them() {
    let ours = Hello { extension: Some(extension()), ..hello(Role::Edge) };
    let map = Arc::new(MapDigest::of(|slot| if slot == 300 { 2 } else { 1 }));
    let other = Hello {
        extension: Some(HelloExtension { clock_us: 5, map, owners: None, wanted_node: 0 }),
        ..hello(Role::Node)
    };
    let expected = HelloError::Map { epoch: 7, first: 256, last: 383 };
    assert_eq!(negotiate(&ours, &other), Err(expected.clone()));
    assert_eq!(negotiate(&other, &ours), Err(expected));
    let showing = |hello: &Hello, owner: &dyn Fn(usize) -> u32| {
        let owners = Some(Box::new(BlockOwners::of(256, owner)));
        Hello { extension: hello.extension.clone().map(|shown| HelloExtension { owners, ..shown }), ..hello.clone() }
    };
    let (our, their) = (showing(&ours, &|_| 1), showing(&other, &|slot| if slot == 300 { 2 } else { 1 }));
    let exact = HelloError::Map { epoch: 7, first: 300, last: 300 };
    assert_eq!((negotiate(&our, &their).err(), negotiate(&their, &our).err()), (Some(exact.clone()), Some(exact)));
    let later = Hello { topology_epoch: 8, ..other };
    let terms = negotiate(&ours, &later).unwrap();
    assert_eq!((terms.peer_clock_us, terms.peer_epoch), (Some(5), 8));
    assert_eq!(terms.peer_map, Some(later.extension.as_ref().unwrap().map.sum()));
    // With a peer of a release before it, deadlines are budgets.
    assert_eq!(negotiate(&ours, &hello(Role::Node)).unwrap().peer_clock_us, None);
    assert_eq!(negotiate(&hello(Role::Node), &ours).unwrap().peer_clock_us, None);
}

#[test]
fn fields_out_of_range_are_refused_by_name() {
    let cases: &[(usize, &[u8], &str)] = &[
        (0, &[0, 1], "version range"),
        (0, &[3, 2], "version range"),
        (2, &[9], "role"),
        (4, &[0, 0], "cores"),
        (24, &[0, 0, 0, 0], "node_id"),
        (40, &[255, 15, 0, 0], "frame_value_bytes_max"),
        (44, &[1, 0, 0, 4], "value_bytes_max"),
        (48, &[0, 0, 0, 0], "credit_requests"),
        (52, &[0, 16, 0, 0], "credit_bytes"),
        (56, &[0, 0], "batch_entries_max"),
        (58, &[0, 0], "key_bytes_max"),
        (60, &[0], "cluster"),
        (61, &[1], "reserved bytes"),
        (64, &[0xff], "cluster"),
    ];
    let mut bytes = Vec::new();
    hello(Role::Node).encode(&mut bytes);
    let frame = decode(&bytes);
    for (at, with, field) in cases {
        let mut value = frame.value.to_vec();
        value[*at..at + with.len()].copy_from_slice(with);
        let mut header = frame.header;
        header.value_crc32c = checksum(&value);
        let error = Hello::parse(&Frame { header, value: &value, ..frame });
        assert_eq!(error, Err(HelloFormatError::Field(field)), "byte {at}");
    }
}

#[test]
fn both_sides_come_to_the_same_verdict() {
    type Change = fn(&mut Hello);
    let cases: &[(Change, Change, Option<&str>)] = &[
        (|_| (), |_| (), None),
        (|_| (), |b| (b.version_min, b.version_max) = (1, 2), None),
        (|_| (), |b| (b.version_min, b.version_max) = (2, 3), Some("hello_version")),
        (|a| (a.version_min, a.version_max) = (4, 5), |b| b.version_max = 3, Some("hello_version")),
        (|_| (), |b| b.cluster.push('x'), Some("hello_cluster")),
        (|_| (), |b| b.hash_id = 2, Some("hello_hash_function")),
        (|_| (), |b| b.hash_seed += 1, Some("hello_hash_seed")),
        (|_| (), |b| (b.role, b.node_id) = (Role::Edge, 0), Some("hello_roles")),
        (|a| a.role = Role::Tool, |b| (b.role, b.node_id) = (Role::Edge, 0), Some("hello_roles")),
        (|a| (a.role, a.node_id) = (Role::Node, 2), |_| (), Some("hello_same_node")),
        (|a| (a.role, a.node_id) = (Role::Node, 3), |_| (), None),
        (|a| a.role = Role::Tool, |_| (), None),
        (|a| a.extension = wanting(2), |_| (), None),
        (|a| a.extension = wanting(3), |_| (), Some("hello_other_node")),
        // Of two nodes, of another epoch, and with the map of one another.
        (
            |a| (a.role, a.node_id, a.topology_epoch, a.extension) = (Role::Node, 3, 9, wanting(4)),
            |_| (),
            Some("hello_other_node"),
        ),
        (|a| a.extension = wanting(3), |b| b.extension = Some(of_another_map()), Some("hello_other_node")),
    ];
    for (index, (change_a, change_b, expected)) in cases.iter().enumerate() {
        let (mut a, mut b) = (hello(Role::Edge), hello(Role::Node));
        change_a(&mut a);
        change_b(&mut b);
        let verdicts = [negotiate(&a, &b), negotiate(&b, &a)].map(|r| r.err().map(|error| HelloError::name(&error)));
        assert_eq!(verdicts, [*expected; 2], "case {index}");
    }
}

#[test]
fn limits_are_the_smaller_and_credits_the_peer_s() {
    let (mut a, mut b) = (hello(Role::Edge), hello(Role::Node));
    (a.frame_value_bytes_max, b.frame_value_bytes_max) = (8192, 1 << 20);
    (a.value_bytes_max, b.value_bytes_max) = (64 << 20, 1 << 20);
    (a.key_bytes_max, b.batch_entries_max) = (100, 7);
    (a.features, b.features) = (0b110, 0b011);
    (a.version_max, b.version_max) = (2, 3);
    (b.credit_requests, b.credit_bytes) = (12, 1 << 21);
    (a.wanted_core, b.cores) = (5, 6);
    let edge = negotiate(&a, &b).unwrap();
    let node = negotiate(&b, &a).unwrap();
    for session in [&edge, &node] {
        assert_eq!((session.limits.frame_value_bytes_max, session.value_bytes_max), (8192, 1 << 20));
        assert_eq!((session.key_bytes_max, session.batch_entries_max), (100, 7));
        assert_eq!((session.features, session.version), (0b010, 2));
        assert_eq!(session.dialect().cluster_tag, cluster_tag(CLUSTER));
    }
    assert_eq!((edge.send_requests, edge.send_bytes), (12, 1 << 21));
    assert_eq!((node.send_requests, node.send_bytes), (256, 4 << 20));
    assert_eq!((node.core, edge.core), (Some(5), None));
    assert_eq!((edge.peer_node_id, edge.peer_role, edge.peer_cores), (2, Role::Node, 6));
    a.wanted_core = 6;
    assert_eq!(negotiate(&b, &a).unwrap().core, None, "a core that does not exist is no wish");
}
