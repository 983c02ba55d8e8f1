//! Requests for keys of another core.

use super::*;

const OTHER: Option<CacheStatus> = Some(CacheStatus::Hit(HitSource::Core));
const TWO_CORES: Setting = Setting { cores: 2, ..ONE_CORE };

#[test]
fn another_cores_values_are_read_in_place_unless_they_are_large() {
    on_cores(TWO_CORES, |rig| async move {
        let (small, large, absent) = (path_on(1, 2, 0), path_on(1, 2, 1), path_on(1, 2, 2));
        let (value, part) = (vec![b'l'; LARGE], 100..100 + 20 * 1024);
        let small_tag = rig.put(&small, "Content-Type: text/x\r\nCache-Control: max-age=9\r\n", b"small").await;
        let tag = rig.put(&large, "Content-Type: text/y\r\n", &value).await;
        let (way, reply) = rig.ask(&format!("GET /v1/kv/{small}\r\n"), &[]).await;
        assert_eq!((way, reply.status, &reply.body[..]), (Way::Poll, Some(Status::Ok), &b"small"[..]));
        assert_eq!((reply.cache_status, reply.content_type.as_deref()), (OTHER, Some(&b"text/x"[..])));
        assert_eq!(reply.etag.as_deref(), Some(small_tag.as_bytes()));
        assert!(reply.max_age_s >= Some(8) && reply.content_length == Some(5));
        let (way, reply) = rig.ask(&format!("GET /v1/kv/{small}\r\nRange: bytes=2-3\r\n"), &[]).await;
        assert_eq!((way, reply.status, &reply.body[..]), (Way::Poll, Some(Status::PartialContent), &b"al"[..]));
        let (way, reply) = rig.ask(&format!("HEAD /v1/kv/{small}\r\n"), &[]).await;
        assert_eq!((way, reply.content_length, reply.body.len()), (Way::Poll, Some(5), 0));
        assert_eq!(rig.reads(), [0, 3, 0, 0]);

        let read = Way::Later(RouteKind::Read);
        let (way, reply) = rig.ask(&format!("GET /v1/kv/{large}\r\n"), &[]).await;
        assert!((way, reply.cache_status) == (read, OTHER) && reply.body == value);
        assert_eq!(
            (reply.etag.as_deref(), reply.content_type.as_deref()),
            (Some(tag.as_bytes()), Some(&b"text/y"[..]))
        );
        let text = format!("GET /v1/kv/{large}\r\nRange: bytes={}-{}\r\n", part.start, part.end - 1);
        let (way, reply) = rig.ask(&text, &[]).await;
        assert!((way, reply.status) == (read, Some(Status::PartialContent)) && reply.body == value[part]);
        let (way, reply) = rig.ask(&format!("GET /v1/kv/{large}\r\nIf-None-Match: \"{tag}\"\r\n"), &[]).await;
        assert_eq!((way, reply.status, reply.body.len()), (Way::Poll, Some(Status::NotModified), 0));
        assert_eq!(rig.reads(), [0, 6, 0, 0]);
        let (way, reply) = rig.ask(&format!("GET /v1/kv/{absent}\r\n"), &[]).await;
        assert_eq!((way, reply.cache_status), (Way::Poll, Some(CacheStatus::Miss)));
        assert_eq!((reply.problem.as_deref(), rig.reads()), (Some("not-found"), [0, 6, 0, 1]));
        assert_eq!(rig.memory.body_bytes(), 0);
    });
}

/// A value that comes by message is held until the client has taken it, within the core's memory for that.
#[test]
fn a_value_that_finds_no_memory_is_refused_whole() {
    on_cores(Setting { body_bytes: LARGE, ..TWO_CORES }, |rig| async move {
        let path = path_on(1, 2, 0);
        rig.put(&path, "", &vec![b'l'; LARGE]).await;
        let others = rig.memory.outbound.lease(LARGE);
        let (_, reply) = rig.ask(&format!("GET /v1/kv/{path}\r\n"), &[]).await;
        assert_eq!((reply.status, reply.problem.as_deref()), (Some(Status::ServiceUnavailable), Some("busy")));
        assert_eq!((reply.cache_status, rig.metrics.bodies_shed.value()), (None, 1));
        let (way, reply) = rig.ask(&format!("HEAD /v1/kv/{path}\r\n"), &[]).await;
        assert_eq!((way, reply.status), (Way::Poll, Some(Status::Ok)), "what is known of it needs none");
        drop(others);
        let (_, reply) = rig.ask(&format!("GET /v1/kv/{path}\r\n"), &[]).await;
        assert_eq!((reply.status, reply.body.len()), (Some(Status::Ok), LARGE));
    });
}

#[test]
fn another_cores_values_are_deleted_by_their_owner() {
    on_cores(TWO_CORES, |rig| async move {
        let path = path_on(1, 2, 0);
        rig.put(&path, "", b"v").await;
        let (way, reply) = rig.ask(&format!("DELETE /v1/kv/{path}\r\n"), &[]).await;
        assert_eq!((way, reply.status), (Way::Later(RouteKind::Write), Some(Status::NoContent)));
        assert_eq!((reply.cache_status, rig.status(&format!("GET /v1/kv/{path}\r\n"), &[]).await.0), (None, 404));
    });
}

/// What is refused before anybody was asked was neither found nor forwarded.
#[test]
fn a_read_that_finds_no_room_to_wait_is_refused() {
    on_cores(Setting { hops_max: 1, ..TWO_CORES }, |rig| async move {
        let path = path_on(1, 2, 0);
        rig.put(&path, "", &vec![b'l'; LARGE]).await;
        let (first, second) = (format!("GET /v1/kv/{path}\r\n"), format!("GET /v1/kv/{path}\r\n"));
        let mut waiting = std::pin::pin!(rig.ask(&first, &[]));
        let poll = |context: &mut std::task::Context<'_>| std::task::Poll::Ready(waiting.as_mut().poll(context));
        assert!(std::future::poll_fn(poll).await.is_pending());
        let (way, reply) = rig.ask(&second, &[]).await;
        assert_eq!((way, reply.status), (Way::Later(RouteKind::Read), Some(Status::ServiceUnavailable)));
        assert_eq!((reply.problem.as_deref(), reply.cache_status), (Some("busy"), None));
        let (_, reply) = waiting.await;
        assert_eq!((reply.status, rig.reads()), (Some(Status::Ok), [0, 1, 0, 0]));
    });
}
