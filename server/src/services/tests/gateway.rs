//! Requests that routes are for.

use super::*;

const SITE: &str = r#"
[service.app]
answer = { text = "hello" }
[service.none]
answer = { status = 204 }
[service.down]
answer = { status = 503, text = "later", retry_after = "90s" }
[[route]]
host = "shop.example"
service = "app"
[[route]]
host = ["shop.example", "*.shop.example"]
path = "/api/{id}"
method = "GET"
service = "none"
[[route]]
path = "/old/{*rest}"
redirect = { to = "/new/{rest}", status = 301 }
[[route]]
host = "plain.example"
scheme = "http"
redirect = { to = "https://{host}{path}" }
[[route]]
host = "plain.example"
scheme = "https"
service = "down"
"#;

/// Status, body or slug of the error, and where the client is sent.
async fn seen(rig: &Rig, scheme: RequestScheme, line: &str, host: &str) -> (u16, String, String) {
    let text = format!("{line} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let head = with_head(&text, |head| head.into_owned());
    let mut reply = FakeReply::default();
    match begin(&rig.services, &head.head(), || scheme, &mut reply) {
        Begun::Done => {}
        Begun::Later(plan) => {
            let mut wire = FakeWire::default();
            Box::pin(carry(&rig.services, Exchange::new(&head.head(), plan), &mut wire)).await;
            reply = wire.reply;
        }
        Begun::Lent => panic!("nothing of this is large"),
    }
    let location = reply.fields.iter().find(|(name, _)| name == b"Location").map(|(_, value)| value.clone());
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let said = reply.problem.unwrap_or_else(|| text(reply.body));
    (reply.status.unwrap().code(), said, text(location.unwrap_or_default()))
}

#[test]
fn routes_are_served_in_the_poll() {
    on_cores(Setting { config: SITE, ..ONE_CORE }, |rig| async move {
        for (line, host, status, said, location) in [
            ("GET /", "shop.example", 200, "hello", ""),
            ("HEAD /", "shop.example", 200, "", ""),
            ("GET /x?q", "SHOP.example.:80", 200, "hello", ""),
            ("GET http://shop.example", "shop.example", 200, "hello", ""),
            ("GET /api/1", "shop.example", 204, "", ""),
            ("HEAD /api/1", "shop.example", 204, "", ""),
            ("PUT /api/1", "shop.example", 200, "hello", ""),
            ("PUT /api/1", "a.shop.example", 404, "no-route", ""),
            ("GET /old/a%2fb/%2e%2e/c?q=%zz", "x.example", 301, "", "/new/c?q=%zz"),
            ("GET /old//evil.example", "", 301, "", "/new//evil.example"),
            ("GET /a/%2E%2E/old/", "x.example", 301, "", "/new/"),
            ("GET /p", "plain.example:80", 308, "", "https://plain.example/p"),
            ("GET /", "x.example", 404, "no-route", ""),
            ("GET /%zz", "shop.example", 400, "no-normal-form", ""),
            ("GET /%00", "shop.example", 400, "no-normal-form", ""),
            ("OPTIONS *", "shop.example", 204, "", ""),
            ("GET /v1/kv/default/a", "shop.example", 404, "", ""),
            ("POST /v1/kv/default/a", "shop.example", 405, "method-not-allowed", ""),
            ("GET /v1/kv/x", "shop.example", 404, "unknown-path", ""),
        ] {
            let got = seen(&rig, RequestScheme::Http, line, host).await;
            let said = if line.contains("/v1/kv/default/a") && status == 404 { got.1.clone() } else { said.to_owned() };
            assert_eq!(got, (status, said, location.to_owned()), "{line} {host}");
        }
        let (status, body, _) = seen(&rig, RequestScheme::Https, "GET /p", "plain.example:443").await;
        assert_eq!((status, body.as_str()), (503, "later"));
    });
}

#[test]
fn an_answer_says_what_its_body_is_and_when_to_come_back() {
    on_cores(Setting { config: SITE, ..ONE_CORE }, |rig| async move {
        let head = with_head("GET / HTTP/1.1\r\nHost: plain.example\r\n\r\n", |head| head.into_owned());
        let mut reply = FakeReply::default();
        assert!(matches!(begin(&rig.services, &head.head(), || RequestScheme::Https, &mut reply), Begun::Done));
        assert_eq!((reply.retry_after_s, reply.content_length), (Some(90), Some(5)));
        assert_eq!(reply.content_type.as_deref(), Some(&b"text/plain; charset=utf-8"[..]));
    });
}

#[test]
fn the_kv_api_is_where_it_is_said_to_be() {
    let narrowed = "[kv]\nhosts = [\"kv.example\"]\n[service.app]\nanswer = { text = \"site\" }\n\
                    [[route]]\nhost = \"shop.example\"\nservice = \"app\"\n";
    on_cores(Setting { config: narrowed, ..ONE_CORE }, |rig| async move {
        for (line, host, status, said) in [
            ("GET /v1/kv/default/a", "KV.example:80", 404, "not-found"),
            ("DELETE /v1/kv/default/a", "kv.example", 404, "not-found"),
            ("GET /v1/kv/default/a", "shop.example", 200, "site"),
            ("PUT /v1/kv/default/a", "shop.example", 200, "site"),
            ("POST /v1/kv/default/a?q", "shop.example", 200, "site"),
            ("GET /v1/kv/default/a", "x.example", 404, "no-route"),
            ("GET /v1/kv/default/a", "kv.example.evil", 404, "no-route"),
            ("GET /", "kv.example", 404, "no-route"),
            ("OPTIONS *", "x.example", 204, ""),
        ] {
            let (got, text, _) = seen(&rig, RequestScheme::Http, line, host).await;
            let text = if said == "not-found" { said.to_owned() } else { text };
            assert_eq!((got, text.as_str()), (status, said), "{line} {host}");
        }
    });
    let without_routes = "[kv]\nhosts = [\"kv.example\"]\n";
    on_cores(Setting { config: without_routes, ..ONE_CORE }, |rig| async move {
        for (line, host, status, said) in [
            ("GET /v1/kv/default/a", "x.example", 404, "unknown-path"),
            ("PUT /v1/kv/default/a", "x.example", 404, "unknown-path"),
            ("GET /x", "x.example", 404, "unknown-path"),
        ] {
            let (got, text, _) = seen(&rig, RequestScheme::Http, line, host).await;
            assert_eq!((got, text.as_str()), (status, said), "{line} {host}");
        }
    });
}
