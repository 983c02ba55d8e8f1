//! Writes with conditions, from both edges at once.

use std::time::Duration;

use super::keys::{get, put, send_put};
use super::rig::Rig;

#[test]
fn of_two_edges_that_create_a_key_one_does() {
    let rig = Rig::start(Duration::ZERO);
    let (mut first, mut second) = (rig.edges[0].connect(), rig.edges[1].connect());
    for number in 0..100 {
        let key = format!("race:{number}");
        send_put(&mut first, &key, b"first", "If-None-Match: *\r\n");
        send_put(&mut second, &key, b"second", "If-None-Match: *\r\n");
        let statuses = [first.answer().unwrap().status, second.answer().unwrap().status];
        let winner: &[u8] = match statuses {
            [201, 412] => b"first",
            [412, 201] => b"second",
            other => panic!("{key}: {other:?}"),
        };
        assert_eq!(get(&mut first, &key).body, winner, "{key}");
        assert_eq!(get(&mut second, &key).body, winner, "{key}");
    }
}

#[test]
fn a_version_that_another_edge_has_replaced_does_not_match() {
    let rig = Rig::start(Duration::ZERO);
    let (mut first, mut second) = (rig.edges[0].connect(), rig.edges[1].connect());
    for number in 0..20 {
        let key = format!("match:{number}");
        let old = put(&mut first, &key, b"1", "").field("ETag").unwrap().to_owned();
        let replaced = put(&mut second, &key, b"2", &format!("If-Match: {old}\r\n"));
        assert_eq!(replaced.status, 204, "{key}");
        let new = replaced.field("ETag").unwrap().to_owned();
        assert_ne!(old, new, "{key}");
        assert_eq!(put(&mut first, &key, b"3", &format!("If-Match: {old}\r\n")).status, 412, "{key}");
        let mut delete = |tag: &str| {
            let request = format!("DELETE /v1/kv/default/{key} HTTP/1.1\r\nHost: h\r\nIf-Match: {tag}\r\n\r\n");
            first.ask(&request).status
        };
        assert_eq!(delete(&old), 412, "{key}");
        assert_eq!(get(&mut second, &key).body, b"2", "{key}: nothing was changed");
        assert_eq!(delete(&new), 204, "{key}");
        assert_eq!(get(&mut second, &key).status, 404, "{key}");
    }
}
