//! Values by key over HTTP, and which node an answer came from.

use super::member::Member;
use super::rig::NODES;
use crate::support::answer::Answer;
use crate::support::client::Client;

/// The request for a key.
pub(crate) fn get(client: &mut Client, key: &str) -> Answer {
    client.ask(&format!("GET /v1/kv/default/{key} HTTP/1.1\r\nHost: h\r\n\r\n"))
}

/// Stores a value; `fields` are further header lines, each with its line end.
pub(crate) fn put(client: &mut Client, key: &str, value: &[u8], fields: &str) -> Answer {
    send_put(client, key, value, fields);
    client.answer().expect("a server that works answers")
}

/// Sends a PUT and leaves its answer to be read.
pub(crate) fn send_put(client: &mut Client, key: &str, value: &[u8], fields: &str) {
    let length = value.len();
    let head = format!("PUT /v1/kv/default/{key} HTTP/1.1\r\nHost: h\r\n{fields}Content-Length: {length}\r\n\r\n");
    client.send(&[head.as_bytes(), value].concat());
}

/// Where an answer says that it came from.
pub(crate) fn origin(answer: &Answer) -> &str {
    answer.field("Cache-Status").expect("answers about keys say where they come from")
}

/// The node that an answer came from.
pub(crate) fn node_of(answer: &Answer) -> usize {
    let origin = origin(answer);
    let rest = origin.strip_prefix("corelane; fwd=miss; detail=\"node ").unwrap_or_else(|| panic!("{origin}"));
    let (number, _) = rest.split_once('"').unwrap();
    number.parse().unwrap()
}

/// A key that is stored, with the node that owns it.
pub(crate) struct Owned {
    pub(crate) key: String,
    pub(crate) node: usize,
}

/// Stores so many keys through one edge, and learns from the other who owns them. A value is its key.
pub(crate) fn spread(writer: &Member, reader: &Member, count: usize) -> Vec<Owned> {
    let (mut writing, mut reading) = (writer.connect(), reader.connect());
    let keys = (0..count).map(|number| format!("key:{number}"));
    let owned: Vec<Owned> = keys
        .map(|key| {
            assert_eq!(put(&mut writing, &key, key.as_bytes(), "").status, 201, "{key}");
            let answer = get(&mut reading, &key);
            assert_eq!((answer.status, &answer.body[..]), (200, key.as_bytes()));
            Owned { node: node_of(&answer), key }
        })
        .collect();
    for node in 1..=NODES {
        assert!(owned.iter().any(|owned| owned.node == node), "node {node} owns none of {count} keys");
    }
    owned
}

/// Reads every key of `owned` once. Those of `dead` must be answered 503, the others as ever.
pub(crate) fn check_round(edge: &Member, owned: &[Owned], dead: usize) {
    let mut client = edge.connect();
    for Owned { key, node } in owned {
        let answer = get(&mut client, key);
        if *node == dead {
            assert_unavailable(&answer);
        } else {
            assert_eq!((answer.status, &answer.body[..]), (200, key.as_bytes()), "{key} of node {node}: {answer:?}");
        }
    }
}

/// Asserts that a request was refused because its node does not answer, with a hint when to try again.
pub(crate) fn assert_unavailable(answer: &Answer) {
    assert_eq!(answer.status, 503, "{answer:?}");
    let retry_after_s: u64 = answer.field("Retry-After").expect("it says when to try again").parse().unwrap();
    assert!(retry_after_s >= 1);
}
