//! Written through one edge, read through the other.

use std::time::Duration;

use super::keys::{get, node_of, origin, put, spread};
use super::member::{now, until};
use super::rig::{NODES, Rig};

/// Longer than a test takes: an edge copy does not go by itself.
const NEAR_LONG: Duration = Duration::from_secs(600);

/// Longest value of which an edge keeps a copy.
const COPY_BYTES_MAX: usize = 1 << 20;

/// Time to live of the values that have one.
const MAX_AGE_S: u64 = 1000;

/// The product counts in whole milliseconds, read once per pass of its event loop.
const CLOCK_STEP: Duration = Duration::from_millis(5);

#[test]
fn what_one_edge_writes_the_other_reads() {
    const SIZES: [usize; 7] = [0, 1, 128, 4096, 40_000, 300_000, 3 << 20];
    const TYPES: [&str; 3] = ["text/plain", "application/json; charset=utf-8", "image/png"];
    let rig = Rig::start(NEAR_LONG);
    let (mut first, mut second) = (rig.edges[0].connect(), rig.edges[1].connect());
    for number in 0..100 {
        let (key, kind) = (format!("folder/{number}"), TYPES[number % TYPES.len()]);
        let value: Vec<u8> = (0..SIZES[number % SIZES.len()]).map(|at| (at * 31 + at / 251 + number) as u8).collect();
        let lives = number % 2 == 0;
        let lifetime = if lives { format!("Cache-Control: max-age={MAX_AGE_S}\r\n") } else { String::new() };
        let stored = put(&mut first, &key, &value, &format!("Content-Type: {kind}\r\n{lifetime}"));
        assert_eq!(stored.status, 201, "{key}: {stored:?}");
        let tag = stored.field("ETag").expect("a PUT tells the version it made").to_owned();

        let read = get(&mut second, &key);
        assert!(read.status == 200 && read.body == value, "{key}: {} with {} bytes", read.status, read.body.len());
        assert!((1..=NODES).contains(&node_of(&read)), "{key}: {}", origin(&read));
        let again = get(&mut second, &key);
        assert!(again.status == 200 && again.body == value, "{key}: {} with {} bytes", again.status, again.body.len());
        // A longer value is read part by part, and of it no copy is kept.
        let is_kept = value.len() <= COPY_BYTES_MAX;
        assert_eq!(origin(&again).starts_with("corelane; hit"), is_kept, "{key}: {}", origin(&again));
        let own = get(&mut first, &key);
        assert!(own.status == 200 && own.body == value, "{key}: {} with {} bytes", own.status, own.body.len());

        for answer in [&read, &again, &own] {
            assert_eq!(answer.field("ETag"), Some(&*tag), "{key}");
            assert_eq!(answer.field("Content-Type"), Some(kind), "{key}");
            let left_s = answer.field("Cache-Control").map(|text| text.strip_prefix("max-age=").unwrap());
            let left_s = left_s.map(|text| text.parse::<u64>().unwrap());
            assert_eq!(left_s.is_some(), lives, "{key}: {left_s:?}");
            assert!(left_s.is_none_or(|left_s| left_s <= MAX_AGE_S && left_s > MAX_AGE_S / 2), "{key}: {left_s:?}");
        }
    }
}

/// What a client says of its value is given back by the node, by copies, and through the other edge.
#[test]
fn what_is_said_of_a_value_goes_with_it_everywhere() {
    let rig = Rig::start(NEAR_LONG);
    let (mut first, mut second) = (rig.edges[0].connect(), rig.edges[1].connect());
    let said =
        "Content-Type: text/css\r\nContent-Encoding: gzip\r\nContent-Language: de\r\nCache-Control: immutable\r\n";
    for bytes in [10, COPY_BYTES_MAX + 1] {
        let key = format!("said/{bytes}");
        assert_eq!(put(&mut first, &key, &vec![7; bytes], said).status, 201);
        for answer in [get(&mut first, &key), get(&mut second, &key), get(&mut second, &key)] {
            for (name, value) in [
                ("Content-Type", "text/css"),
                ("Content-Encoding", "gzip"),
                ("Content-Language", "de"),
                ("Cache-Control", "immutable"),
            ] {
                assert_eq!(answer.field(name), Some(value), "{key}, {}", origin(&answer));
            }
        }
    }
}

/// `no-store` of a request, be it a read or a write, leaves no copy at an edge.
#[test]
fn what_must_not_be_stored_leaves_no_copy() {
    let rig = Rig::start(NEAR_LONG);
    let (mut first, mut second) = (rig.edges[0].connect(), rig.edges[1].connect());
    assert_eq!(put(&mut first, "secret", b"value", "Cache-Control: no-store\r\n").status, 201);
    let asks = "GET /v1/kv/default/secret HTTP/1.1\r\nHost: h\r\nCache-Control: no-store\r\n\r\n";
    for _ in 0..3 {
        for edge in [&mut first, &mut second] {
            let answer = edge.ask(asks);
            assert!(answer.status == 200 && origin(&answer).contains("fwd=request"), "{}", origin(&answer));
        }
    }
    assert!(origin(&get(&mut first, "secret")).contains("fwd=miss"), "the write has left no copy");
    assert!(origin(&get(&mut second, "secret")).contains("fwd=miss"), "the reads have left none");
    assert!(origin(&get(&mut second, "secret")).contains("hit"), "another read leaves one");
}

#[test]
fn every_read_is_counted_by_where_it_was_answered() {
    const SOURCES: [&str; 4] = ["own_core", "other_core", "node", "absent"];
    let rig = Rig::start(NEAR_LONG);
    let edge = &rig.edges[1];
    let (mut writer, mut reader) = (rig.edges[0].connect(), edge.connect());
    assert_eq!(put(&mut writer, "counted", b"value", "").status, 201);
    let counts =
        || SOURCES.map(|source| edge.metric(&format!("corelane_kv_reads_total{{core=\"0\",source=\"{source}\"}}")));
    let mut expected = [0; SOURCES.len()];
    let mut read = |key: &str, status: u16, source: usize| {
        assert_eq!(get(&mut reader, key).status, status, "{key}");
        expected[source] += 1;
        assert_eq!(counts(), expected, "{key}: {}", SOURCES[source]);
    };
    read("counted", 200, 2);
    read("counted", 200, 0);
    read("counted", 200, 0);
    read("nowhere", 404, 3);
    read("nowhere", 404, 3);
}

#[test]
fn the_access_log_says_who_answered() {
    let rig = Rig::start(NEAR_LONG);
    let (mut writer, mut reader) = (rig.edges[0].connect(), rig.edges[1].connect());
    assert_eq!(put(&mut writer, "logged", b"value", "").status, 201);
    assert_eq!(get(&mut reader, "logged").status, 200);
    assert_eq!(get(&mut reader, "logged").status, 200);
    reader.ask("GET /v1/kv/default/logged HTTP/1.1\r\nHost: h\r\nCache-Control: no-cache\r\n\r\n");
    assert_eq!(get(&mut reader, "nowhere").status, 404);
    let said = |edge: usize, count: usize| -> Vec<(u64, String, bool, Option<String>)> {
        let text = until("lines of an access log", || {
            Some(rig.access_log(edge)).filter(|text| text.lines().count() == count && text.ends_with('\n'))
        });
        let told = |line: &str| {
            let record: serde_json::Value = serde_json::from_str(line).unwrap();
            let word = |name: &str| record.get(name).map(|word| word.as_str().unwrap().to_owned());
            let names_node = record.get("node").is_some_and(|node| (1..=3).contains(&node.as_u64().unwrap()));
            (record["status"].as_u64().unwrap(), word("source").unwrap(), names_node, word("cache"))
        };
        text.lines().map(told).collect()
    };
    let told =
        |status, source: &str, names_node, cache: &str| (status, source.to_owned(), names_node, Some(cache.to_owned()));
    assert_eq!(said(0, 1), [(201, "node".to_owned(), true, None)]);
    let expected = [
        told(200, "node", true, "miss"),
        told(200, "edge_copy", false, "hit"),
        told(200, "node", true, "bypass"),
        told(404, "node", true, "miss"),
    ];
    assert_eq!(said(1, 4), expected);
}

#[test]
fn a_value_ends_everywhere_with_its_time() {
    const LIFE: Duration = Duration::from_secs(1);
    let rig = Rig::start(NEAR_LONG);
    let (mut first, mut second) = (rig.edges[0].connect(), rig.edges[1].connect());
    let mut number = 0;
    // On a busy host a second may be over before anybody has read the value: then with another one.
    let (key, stored) = until("a value that is read before its time is over", || {
        number += 1;
        let key = format!("brief:{number}");
        assert_eq!(put(&mut first, &key, b"value", "Cache-Control: max-age=1\r\n").status, 201);
        let stored = now();
        (get(&mut second, &key).status == 200).then_some((key, stored))
    });
    until("the end of a value that lives a second", || {
        let asked = now();
        let statuses = [get(&mut first, &key).status, get(&mut second, &key).status];
        assert!(asked < stored + LIFE + CLOCK_STEP || statuses == [404, 404], "{statuses:?} after its time");
        (statuses == [404, 404]).then_some(())
    });
}

#[test]
fn an_edge_copy_is_older_than_the_truth_by_edge_ttl_at_most() {
    const NEAR: Duration = Duration::from_millis(400);
    const KEYS_MIN: usize = 5;
    let rig = Rig::start(NEAR);
    let (mut first, mut second) = (rig.edges[0].connect(), rig.edges[1].connect());
    let (mut keys, mut was_stale) = (0, 0);
    // Until a copy was served at all, which a busy host may be too slow for.
    until("a copy that was served", || {
        keys += 1;
        let key = format!("near:{keys}");
        assert_eq!(put(&mut first, &key, b"old", "").status, 201);
        assert_eq!(put(&mut second, &key, b"new", "").status, 204);
        let written = now();
        assert_eq!(get(&mut second, &key).body, b"new", "an edge reads what it has written");
        until("the new value at the other edge", || {
            let asked = now();
            let body = get(&mut first, &key).body;
            let is_bound_over = asked >= written + NEAR + CLOCK_STEP;
            assert!(body == b"new" || (body == b"old" && !is_bound_over), "{key}: {}", body.escape_ascii());
            was_stale += usize::from(body == b"old");
            (body == b"new").then_some(())
        });
        assert_eq!(get(&mut first, &key).body, b"new", "{key}: never old again");
        (keys >= KEYS_MIN && was_stale > 0).then_some(())
    });
}

#[test]
fn every_node_owns_a_fair_part_and_serves_it() {
    const KEYS: usize = 300;
    let rig = Rig::start(Duration::ZERO);
    let owned = spread(&rig.edges[0], &rig.edges[1], KEYS);
    for node in 1..=NODES {
        let count = owned.iter().filter(|owned| owned.node == node).count();
        // A third each; half of that is more than seven standard deviations away.
        assert!(count >= KEYS / NODES / 2, "node {node} owns {count} of {KEYS} keys");
        let requests = rig.nodes[node - 1].metric("corelane_node_requests_total{core=\"0\",operation=\"set\"}");
        assert_eq!(requests, count as u64, "node {node} was sent what it owns and nothing else");
        let measured =
            rig.edges[0].metric(&format!("corelane_upstream_call_duration_seconds_count{{node=\"{node}\"}}"));
        assert!(measured >= count as u64, "{measured} calls to node {node} were measured");
    }
}
