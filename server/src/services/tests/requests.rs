//! Requests to one core that owns every key.

use super::*;

const OWN: Option<CacheStatus> = Some(CacheStatus::Hit(HitSource::Own));

#[test]
fn what_is_put_is_got_until_it_is_deleted() {
    on_cores(ONE_CORE, |rig| async move {
        let (way, reply) = rig.ask(&put_head("default/a", "Content-Type: text/x\r\n", b"one"), &[b"o", b"ne"]).await;
        assert_eq!((way, reply.status), (Way::Later(RouteKind::Write), Some(Status::Created)));
        assert_eq!((reply.content_length, reply.cache_status), (Some(0), None));
        let first = reply.etag.unwrap();
        let (_, reply) = rig.ask(&put_head("default/a", "Content-Type: text/x\r\n", b"two2"), &[b"two2"]).await;
        assert_eq!((reply.status, reply.content_length), (Some(Status::NoContent), None));
        let second = reply.etag;
        assert!(second.is_some() && second != Some(first));

        let read = FakeReply {
            status: Some(Status::Ok),
            content_length: Some(4),
            content_type: Some(b"text/x".to_vec()),
            etag: second,
            cache_status: OWN,
            body: b"two2".to_vec(),
            ..FakeReply::default()
        };
        assert_eq!(rig.ask("GET /v1/kv/default/a\r\n", &[]).await, (Way::Poll, read));
        let (way, reply) = rig.ask("HEAD /v1/kv/default/a\r\n", &[]).await;
        assert_eq!((way, reply.content_length, reply.body.len()), (Way::Poll, Some(4), 0));
        let (_, reply) = rig.ask("GET /v1/kv/default/a\r\nRange: bytes=1-2\r\n", &[]).await;
        let range = ContentRange::Part { part: 1..3, value_bytes: 4 };
        assert_eq!((reply.status, reply.content_range), (Some(Status::PartialContent), Some(range)));
        assert_eq!((reply.cache_status, &reply.body[..]), (OWN, &b"wo"[..]));
        assert_eq!(rig.reads(), [3, 0, 0, 0]);

        let (way, reply) = rig.ask("DELETE /v1/kv/default/a\r\n", &[]).await;
        assert_eq!((way, reply.status), (Way::Later(RouteKind::Write), Some(Status::NoContent)));
        assert_eq!(rig.status("DELETE /v1/kv/default/a\r\n", &[]).await.0, 404);
        let (way, reply) = rig.ask("GET /v1/kv/default/a\r\n", &[]).await;
        assert_eq!((way, reply.status), (Way::Poll, Some(Status::NotFound)));
        assert_eq!((reply.cache_status, reply.problem.as_deref()), (Some(CacheStatus::Miss), Some("not-found")));
        assert_eq!(rig.reads(), [3, 0, 0, 1]);
    });
}

#[test]
fn a_value_lives_as_long_as_its_head_or_its_keyspace_says() {
    let config = "cache_status = false\n[keyspace.short]\nttl = \"20s\"\n";
    on_cores(Setting { config, ..ONE_CORE }, |rig| async move {
        let cases = [
            ("default/a", "", None),
            ("default/a", "Cache-Control: max-age=7\r\n", Some(7)),
            ("short/a", "", Some(20)),
            ("short/a", "Cache-Control: max-age=70\r\n", Some(70)),
        ];
        for (path, fields, max_age_s) in cases {
            rig.put(path, fields, b"v").await;
            let (_, reply) = rig.ask(&format!("GET /v1/kv/{path}\r\n"), &[]).await;
            assert_eq!((reply.max_age_s, reply.cache_status), (max_age_s, None), "{path}, {fields:?}");
            assert_eq!(reply.content_type.as_deref(), Some(&b"application/octet-stream"[..]));
        }
        let (_, reply) = rig.ask("GET /v1/kv/default/other\r\n", &[]).await;
        assert_eq!((reply.status, reply.cache_status), (Some(Status::NotFound), None));
    });
}

/// What a head alone shows to be wrong is refused before the body is asked for.
#[test]
fn writes_are_refused_for_what_is_wrong_with_them() {
    let config = "[keyspace.small]\nvalue_bytes_max = \"5B\"\n";
    on_cores(Setting { config, ..ONE_CORE }, |rig| async move {
        let (long, longest) = ("k".repeat(4097), format!("{}{}", "%6b".repeat(1000), "k".repeat(3096)));
        let metadata = |bytes: usize| format!("Content-Type: {}\r\n", "t".repeat(bytes));
        let cases = [
            (put_head("small/a", "", b"12345"), 201, None),
            (put_head("small/a", "", b"123456"), 413, Some("value-too-large")),
            (put_head("default/a", "Content-Range: bytes 0-1/5\r\n", b"1"), 400, Some("bad-request")),
            (put_head("default/a", "Cache-Control: max-age=0\r\n", b"1"), 400, Some("bad-request")),
            (put_head("default/a", "Cache-Control: max-age=x\r\n", b"1"), 400, Some("bad-request")),
            (put_head("default/a", &metadata(247), b"1"), 201, None),
            (put_head("default/a", &metadata(248), b"1"), 400, Some("not-kept")),
            (put_head("default/a", "If-Match: 7\r\n", b"1"), 400, Some("bad-entity-tags")),
            ("DELETE /v1/kv/default/a\r\nIf-Match: 7\r\n".to_owned(), 400, Some("bad-entity-tags")),
            (put_head("no/a", "", b"1"), 404, Some("unknown-keyspace")),
            ("GET /v1/kv/no/a\r\n".to_owned(), 404, Some("unknown-keyspace")),
            ("GET /v1/kv/default/%zz\r\n".to_owned(), 400, Some("bad-key")),
            ("GET /v1/kv/default/\r\n".to_owned(), 400, Some("bad-key")),
            (format!("GET /v1/kv/default/{}\r\n", &long[1..]), 404, Some("not-found")),
            (format!("GET /v1/kv/default/{long}\r\n"), 414, Some("key-too-long")),
            (format!("DELETE /v1/kv/default/{long}\r\n"), 414, Some("key-too-long")),
            (format!("GET /v1/kv/default/{longest}\r\n"), 404, Some("not-found")),
            (format!("GET /v1/kv/default/{longest}a\r\n"), 414, Some("key-too-long")),
        ];
        for (text, status, problem) in cases {
            let waits = text.starts_with("PUT");
            let expect = if waits { "Expect: 100-continue\r\n" } else { "" };
            let body: &[&[u8]] = if text.contains("Length: 5") { &[b"12345"] } else { &[b"1"] };
            let (_, wire) = rig.ask_wire(&format!("{text}{expect}"), if waits { body } else { &[] }).await;
            let reply = &wire.reply;
            assert_eq!((reply.status.unwrap().code(), reply.problem.as_deref()), (status, problem), "{text}");
            assert_eq!(wire.invited, status == 201, "{text}");
        }
        let chunked = "PUT /v1/kv/small/a\r\nTransfer-Encoding: chunked\r\n";
        assert_eq!(rig.status(chunked, &[b"123", b"45"]).await.0, 204);
        assert_eq!(rig.status(chunked, &[b"123", b"456"]).await, (413, Some("value-too-large".to_owned())));
        let (_, wire) = rig.ask_wire(&put_head("small/a", "", b"1"), &[b"1"]).await;
        assert!(!wire.invited, "nobody waits to be asked");
        assert_eq!(rig.memory.body_bytes(), 0);
    });
}

#[test]
fn a_write_is_applied_if_its_condition_holds() {
    on_cores(ONE_CORE, |rig| async move {
        // The condition, whether there is a value, and the status of a PUT and of a DELETE.
        let cases = [
            ("If-Match: *", true, 204, 204),
            ("If-Match: *", false, 412, 412),
            ("If-None-Match: *", true, 412, 412),
            ("If-None-Match: *", false, 201, 404),
            ("If-Match: \"TAG\"", true, 204, 204),
            ("If-Match: \"TAG\"", false, 412, 412),
            ("If-Match: \"1\"", true, 412, 412),
            ("If-Match: \"x\"", true, 412, 412),
            ("If-Match: \"x\", \"TAG\"", true, 204, 204),
            ("If-Match: \"x\", \"1\"", true, 412, 412),
            ("If-Match: \"x\", \"TAG\"", false, 412, 412),
            ("If-None-Match: \"x\"", true, 204, 204),
            ("If-None-Match: \"x\", \"TAG\"", true, 412, 412),
            ("If-None-Match: \"x\"", false, 201, 404),
        ];
        for (condition, exists, put, delete) in cases {
            for (is_put, expected) in [(true, put), (false, delete)] {
                let tag = rig.put("default/a", "", b"old").await;
                if !exists {
                    assert_eq!(rig.status("DELETE /v1/kv/default/a\r\n", &[]).await.0, 204);
                }
                let fields = format!("{}\r\n", condition.replace("TAG", &tag));
                let (status, problem) = if is_put {
                    rig.status(&put_head("default/a", &fields, b"new"), &[b"new"]).await
                } else {
                    rig.status(&format!("DELETE /v1/kv/default/a\r\n{fields}"), &[]).await
                };
                assert_eq!(status, expected, "put {is_put}, {condition}, exists {exists}");
                assert_eq!(problem.as_deref() == Some("precondition-failed"), status == 412);
                let (_, read) = rig.ask("GET /v1/kv/default/a\r\n", &[]).await;
                let left: &[u8] = if status == 412 && exists { b"old" } else { b"new" };
                let is_there = if status == 412 { exists } else { is_put };
                assert_eq!(read.status == Some(Status::Ok), is_there, "put {is_put}, {condition}, exists {exists}");
                assert!(!is_there || read.body == left, "put {is_put}, {condition}");
            }
        }
    });
}

/// The value's bytes are all different from their neighbours', so that a part from elsewhere shows.
fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at % 251) as u8).collect()
}

#[test]
fn large_values_are_lent_and_parts_of_them_are_exact() {
    on_cores(Setting { body_bytes: 600 * 1024, ..ONE_CORE }, |rig| async move {
        // The last one lies in several pieces of the shard.
        for bytes in [16 * 1024, 16 * 1024 + 1, 500_000] {
            let value = pattern(bytes);
            rig.put("default/a", "", &value).await;
            let (way, reply) = rig.ask("GET /v1/kv/default/a\r\n", &[]).await;
            let expected = if bytes > 16 * 1024 { Way::Lent } else { Way::Poll };
            assert!((way, reply.content_length) == (expected, Some(bytes as u64)) && reply.body == value, "{bytes}");
            for (from, to) in [(0, 9), (1, 16 * 1024 - 1), (3, 16 * 1024 + 3), (7, 16 * 1024 + 8), (100, bytes)] {
                let (from, to) = (from.min(bytes - 1), to.min(bytes));
                let text = format!("GET /v1/kv/default/a\r\nRange: bytes={from}-{}\r\n", to - 1);
                let (way, reply) = rig.ask(&text, &[]).await;
                let expected = if to - from > 16 * 1024 { Way::Lent } else { Way::Poll };
                assert_eq!((way, reply.status), (expected, Some(Status::PartialContent)), "{from}..{to} of {bytes}");
                assert!(reply.body == value[from..to], "{from}..{to} of {bytes}");
            }
            let (way, reply) = rig.ask("HEAD /v1/kv/default/a\r\n", &[]).await;
            assert_eq!((way, reply.content_length, reply.body.len()), (Way::Poll, Some(bytes as u64), 0));
        }
        assert_eq!(rig.memory.body_bytes(), 0);
    });
}

/// Without nodes there is nobody else to ask; with nodes, a client may ask for the owner's answer.
#[test]
fn only_what_an_authority_holds_is_the_truth() {
    for is_authority in [true, false] {
        on_cores(Setting { is_authority, ..ONE_CORE }, move |rig| async move {
            rig.put("default/a", "", b"v").await;
            let later = if is_authority { Way::Poll } else { Way::Later(RouteKind::Read) };
            let cases = [
                ("GET /v1/kv/default/a\r\n", Way::Poll),
                ("GET /v1/kv/default/a\r\nCache-Control: no-cache\r\n", later),
                ("GET /v1/kv/default/a\r\nCache-Control: no-store\r\n", later),
                ("GET /v1/kv/default/absent\r\n", later),
            ];
            for (text, expected) in cases {
                let (way, reply) = rig.ask(text, &[]).await;
                let found = if text.contains("absent") { Some(CacheStatus::Miss) } else { OWN };
                assert_eq!((way, reply.cache_status), (expected, found), "{text}, {is_authority}");
            }
            assert_eq!(rig.reads(), [3, 0, 0, 1]);
        });
    }
}

#[test]
fn pages_follow_from_the_head_alone() {
    on_cores(ONE_CORE, |rig| async move {
        let (key, root) = ("GET, HEAD, PUT, DELETE, OPTIONS", "GET, HEAD, OPTIONS");
        let cases = [
            ("GET /\r\n", 200, None, None),
            ("HEAD /\r\n", 200, None, None),
            ("OPTIONS /\r\n", 204, None, Some(root)),
            ("DELETE /\r\n", 405, Some("method-not-allowed"), Some(root)),
            ("OPTIONS /v1/kv/default/a\r\n", 204, None, Some(key)),
            ("POST /v1/kv/default/a\r\n", 405, Some("method-not-allowed"), Some(key)),
            ("OPTIONS *\r\n", 204, None, Some(key)),
            ("GET /v1/kv/default/a?b\r\n", 400, Some("query-on-key"), None),
            ("GET /v2\r\n", 404, Some("unknown-path"), None),
            ("GET /\r\nContent-Length: 1\r\n", 400, Some("unexpected-body"), None),
        ];
        for (text, status, problem, allow) in cases {
            let (way, reply) = rig.ask(text, &[]).await;
            assert_eq!((way, reply.status.unwrap().code()), (Way::Poll, status), "{text}");
            assert_eq!(
                (reply.problem.as_deref(), reply.allow.as_deref()),
                (problem, allow.map(str::as_bytes)),
                "{text}"
            );
            if status == 200 {
                let sends_body = text.starts_with("GET");
                assert_eq!(reply.body.len() as u64, if sends_body { reply.content_length.unwrap() } else { 0 });
                assert!(reply.content_length > Some(0) && reply.content_type.is_some());
            }
        }
    });
}
