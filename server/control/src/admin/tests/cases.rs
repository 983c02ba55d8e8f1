//! What is answered to what, as data.

use std::rc::Rc;

use corelane_http::Method;
use reactor::sim::NetworkOptions;

use super::{Fake, script, simulate, simulate_with};
use crate::admin::serve_commands;
use crate::metrics::exposition;

const G: Method = Method::Get;
const H: Method = Method::Head;

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq)]
enum After {
    Open,
    Closed,
}
use After::{Closed, Open};

/// Bytes sent, the answers expected with the methods they answer, and what becomes of the connection.
type Case = (&'static str, &'static [(Method, u16)], After);

const CASES: &[Case] = &[
    ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", &[(G, 200)], Open),
    ("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", &[(G, 200)], Open),
    ("HEAD /healthz HTTP/1.1\r\nHost: a\r\n\r\n", &[(H, 200)], Open),
    ("GET /healthz?x=1 HTTP/1.1\r\nHost: a\r\n\r\n", &[(G, 200)], Open),
    ("GET http://a/healthz HTTP/1.1\r\nHost: a\r\n\r\n", &[(G, 200)], Open),
    ("GET http://a HTTP/1.1\r\nHost: a\r\n\r\n", &[(G, 200)], Open),
    ("GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n", &[(G, 503)], Open),
    ("HEAD /readyz HTTP/1.1\r\nHost: a\r\n\r\n", &[(H, 503)], Open),
    ("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", &[(G, 200)], Open),
    ("GET /v1/status HTTP/1.1\r\nHost: a\r\n\r\n", &[(G, 200)], Open),
    ("GET /v1/config HTTP/1.1\r\nHost: a\r\n\r\n", &[(G, 200)], Open),
    ("GET /big HTTP/1.1\r\nHost: a\r\n\r\n", &[(G, 200)], Open),
    ("GET /v1/config HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", &[(G, 200)], Open),
    ("\r\n\r\nGET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", &[(G, 200)], Open),
    // Names that are not the listener's.
    ("GET /v1/status HTTP/1.1\r\nHost: evil.example\r\n\r\n", &[(G, 403)], Open),
    ("GET http://evil.example/metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n", &[(G, 403)], Open),
    ("GET /v1/config HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://evil.example\r\n\r\n", &[(G, 403)], Open),
    ("GET /v1/config HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://localhost:9180\r\n\r\n", &[(G, 200)], Open),
    ("GET /healthz HTTP/1.1\r\nHost: cache.example.com\r\n\r\n", &[(G, 200)], Open),
    // Versions and the future of the connection.
    ("GET /healthz HTTP/1.0\r\n\r\n", &[(G, 200)], Closed),
    ("GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", &[(G, 200)], Open),
    ("GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", &[(G, 200)], Closed),
    ("GET /healthz HTTP/2.0\r\nHost: a\r\n\r\n", &[(G, 505)], Closed),
    ("\x16\x03\x01\x02\x00", &[(G, 400)], Closed),
    // What is not there, and what is not allowed.
    ("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n", &[(G, 404)], Open),
    ("POST /nothing HTTP/1.1\r\nHost: a\r\n\r\n", &[(G, 404)], Open),
    ("GET /healthz/ HTTP/1.1\r\nHost: a\r\n\r\n", &[(G, 404)], Open),
    ("GET /%68ealthz HTTP/1.1\r\nHost: a\r\n\r\n", &[(G, 404)], Open),
    ("GET //healthz HTTP/1.1\r\nHost: a\r\n\r\n", &[(G, 404)], Open),
    ("POST /healthz HTTP/1.1\r\nHost: a\r\n\r\n", &[(G, 405)], Open),
    ("BREW /metrics HTTP/1.1\r\nHost: a\r\n\r\n", &[(G, 405)], Open),
    ("OPTIONS /metrics HTTP/1.1\r\nHost: a\r\n\r\n", &[(G, 405)], Open),
    ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", &[(G, 204)], Open),
    ("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\nGET / HTTP/1.1\r\n", &[(G, 405)], Closed),
    // Commands are for another listener.
    ("POST /v1/drain HTTP/1.1\r\nHost: a\r\n\r\n", &[(G, 403)], Open),
    ("POST /v1/undrain HTTP/1.1\r\nHost: a\r\n\r\n", &[(G, 403)], Open),
    ("GET /v1/drain HTTP/1.1\r\nHost: a\r\n\r\n", &[(G, 403)], Open),
    // Bodies.
    ("POST /ready HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", &[(G, 413)], Closed),
    ("HEAD / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &[(H, 413)], Closed),
    ("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &[(G, 413)], Closed),
    ("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n", &[(G, 413)], Closed),
    // What two parsers could read in two ways.
    ("GET / HTTP/1.1\r\n\r\n", &[(G, 400)], Closed),
    ("GET / HTTP/1.1\nHost: a\n\n", &[(G, 400)], Closed),
    ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", &[(G, 400)], Closed),
    ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", &[(G, 400)], Closed),
    ("GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", &[(G, 400)], Closed),
    ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n", &[(G, 400)], Closed),
    ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", &[(G, 501)], Closed),
    ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", &[(G, 400)], Closed),
    ("GET / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n", &[(G, 417)], Closed),
    ("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", &[(G, 400)], Closed),
    // Pipelining: in order, up to the one that ends it.
    (
        "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nHEAD /readyz HTTP/1.1\r\nHost: a\r\n\r\nPOST / HTTP/1.1\r\nHost: a\r\n\r\n\
         GET /big HTTP/1.1\r\nHost: a\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n",
        &[(G, 200), (H, 503), (G, 405), (G, 200), (G, 404)],
        Open,
    ),
    (
        "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n\
         GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
        &[(G, 200), (G, 200)],
        Closed,
    ),
    ("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nnonsense\r\n\r\n", &[(G, 200), (G, 400)], Closed),
];

#[test]
fn requests_are_answered_however_they_arrive() {
    for seed in 0..60 {
        simulate(
            seed,
            NetworkOptions::default(),
            script!(|client| for (bytes, expected, after) in CASES {
                let connection = client.connect().await;
                client.send_in_pieces(&connection, bytes.as_bytes()).await;
                let methods: Vec<Method> = expected.iter().map(|(method, _)| *method).collect();
                let count = (*after == Open).then_some(expected.len());
                let (answers, ended) = client.read(&connection, &methods, count).await;
                let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
                let wanted: Vec<u16> = expected.iter().map(|(_, status)| *status).collect();
                assert_eq!(statuses, wanted, "{bytes:?}");
                assert_eq!(ended, *after == Closed, "{bytes:?}");
                assert_eq!(answers.last().map(|answer| answer.keeps_open), Some(*after == Open), "{bytes:?}");
                let is_error = |status: u16| status >= 400 && status != 503;
                for answer in answers.iter().filter(|answer| is_error(answer.status)) {
                    assert_eq!(answer.field("content-type"), Some("application/problem+json"), "{bytes:?}");
                }
            }),
        );
    }
}

#[test]
fn pages_say_what_they_are_for() {
    for seed in 0..10 {
        simulate(
            seed,
            NetworkOptions::default(),
            script!(|client| {
                let connection = client.connect().await;
                let mut pages = Vec::new();
                let targets = "/ /healthz /readyz /metrics /v1/status /v1/config /query?a=%20&b /query /x";
                for target in targets.split(' ') {
                    let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
                    client.send_in_pieces(&connection, request.as_bytes()).await;
                    pages.extend(client.read(&connection, &[], Some(1)).await.0);
                }
                let types: Vec<&str> = pages.iter().map(|page| page.field("content-type").unwrap()).collect();
                let text = "text/plain; charset=utf-8";
                let json = "application/json";
                let exposition = "text/plain; version=0.0.4; charset=utf-8";
                let problem = "application/problem+json";
                let html = "text/html; charset=utf-8";
                assert_eq!(types, [html, text, json, exposition, json, json, text, text, problem]);
                for path in ["/healthz", "/readyz", "/metrics", "/v1/status", "/v1/config"] {
                    assert!(pages[0].body.contains(&format!("<a href=\"{path}\">")), "{path}");
                }
                assert_eq!(pages[1].body, "ok\n");
                let read = |page: usize| serde_json::from_str::<serde_json::Value>(&pages[page].body).unwrap();
                assert_eq!(read(2)["reasons"][1], "a \"reason\"");
                assert_eq!(pages[2].field("retry-after"), Some("1"));
                assert_eq!(read(4)["cores"][1], 1);
                assert_eq!(read(5)["memory"]["from"], "flag --memory");
                assert_eq!((pages[6].body.as_str(), pages[7].body.as_str()), ("a=%20&b", "none"));
                assert_eq!(read(8)["status"], 404);
                let samples = exposition::check(&pages[3].body);
                let value = |name: &str| samples.iter().find(|sample| sample.name == name).map(|sample| sample.value);
                assert_eq!(value("corelane_hits_total"), Some(7.0));
                assert_eq!(value("corelane_admin_connections"), Some(1.0));
                assert_eq!(value("corelane_admin_requests_total"), Some(4.0));
                assert_eq!(value("corelane_admin_requests_refused_total"), Some(0.0));
            }),
        );
    }
}

#[test]
fn readiness_follows_the_binary() {
    simulate(
        1,
        NetworkOptions::default(),
        script!(|client| {
            let connection = client.connect().await;
            let line = |line: &str| format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n");
            let requests = ["GET /readyz", "POST /ready", "GET /readyz", "POST /ready?no", "GET /readyz"].map(line);
            client.send_in_pieces(&connection, requests.concat().as_bytes()).await;
            let (answers, _) = client.read(&connection, &[], Some(5)).await;
            assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [503, 200, 200, 200, 503]);
            assert_eq!(answers[2].body, "{\n  \"ready\": true\n}\n");
            assert_eq!(answers[2].field("retry-after"), None);
        }),
    );
}

#[test]
fn commands_are_taken_where_they_are_meant_to_come() {
    simulate_with(
        1,
        NetworkOptions::default(),
        script!(|client| {
            let connection = client.connect().await;
            let lines = [
                "POST /v1/drain",
                "POST /v1/undrain",
                "GET /v1/drain",
                "POST /v1/drain/",
                "GET /healthz",
                "DELETE /v1/undrain",
            ];
            let line = |line: &str| format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n");
            let foreign = "POST /v1/drain HTTP/1.1\r\nHost: a\r\nOrigin: http://evil.example\r\n\r\n".to_owned();
            let requests = lines.map(line).concat() + &foreign;
            client.send_in_pieces(&connection, requests.as_bytes()).await;
            let (answers, _) = client.read(&connection, &[], Some(7)).await;
            let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
            assert_eq!(statuses, [200, 200, 405, 404, 200, 405, 403]);
            let drain =
                |at: usize| serde_json::from_str::<serde_json::Value>(&answers[at].body).unwrap()["drain"].clone();
            assert_eq!((drain(0), drain(1)), (true.into(), false.into()));
            assert_eq!([2, 5].map(|at| answers[at].field("allow")), [Some("POST"); 2]);
        }),
        |reactor, address| {
            let mode = "0600".parse().unwrap();
            serve_commands(reactor, address, mode, Rc::new(Fake::default())).unwrap()
        },
    );
    simulate(
        1,
        NetworkOptions::default(),
        script!(|client| {
            let connection = client.connect().await;
            client.send_in_pieces(&connection, b"POST /v1/drain HTTP/1.1\r\nHost: a\r\n\r\n").await;
            let (answers, _) = client.read(&connection, &[], Some(1)).await;
            assert!(answers[0].body.contains("command_listen"), "{}", answers[0].body);
        }),
    );
}

#[test]
fn methods_that_are_not_allowed_learn_which_are() {
    simulate(
        2,
        NetworkOptions::default(),
        script!(|client| for line in ["DELETE /metrics", "CONNECT a:1", "OPTIONS *"] {
            let connection = client.connect().await;
            let host = line.split(' ').nth(1).filter(|target| target.contains(':')).unwrap_or("a");
            let request = format!("{line} HTTP/1.1\r\nHost: {host}\r\n\r\n");
            client.send_in_pieces(&connection, request.as_bytes()).await;
            let (answers, _) = client.read(&connection, &[], Some(1)).await;
            assert_eq!(answers[0].field("allow"), Some("GET, HEAD"), "{line}");
        }),
    );
}
