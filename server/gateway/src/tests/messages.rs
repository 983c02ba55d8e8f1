//! What an operator reads.

use super::{gateway, placed, redirect, route, routed};
use crate::normal::RequestScheme;
use crate::source::{AnswerSource, RouteSource, ServiceSource};
use crate::{ROUTES_MAX, ROUTES_OF_PATH_MAX, SERVICES_MAX, compile};

fn faults(routes: Vec<RouteSource>) -> Vec<String> {
    compile(&gateway(routes)).err().into_iter().flatten().map(|fault| fault.to_string()).collect()
}

fn hosts(texts: &[&str], line: usize) -> Option<crate::source::Placed<Vec<String>>> {
    Some(placed(texts.iter().map(|text| (*text).to_owned()).collect(), line))
}

#[test]
fn every_fault_is_told_of_at_once() {
    let none = |number, path| RouteSource { service: None, ..route(number, path) };
    let got = faults(vec![
        RouteSource { service: Some(placed("ap".to_owned(), 5)), ..route(1, "/a") },
        RouteSource { service: Some(placed("elsewhere".to_owned(), 6)), ..route(2, "/b") },
        none(3, "/c"),
        RouteSource { redirect: redirect("/x", None, 7), ..route(4, "/d") },
        RouteSource { host: hosts(&["shop.example:80", "ok.example"], 8), ..route(5, "/e") },
        RouteSource { method: hosts(&["get"], 9), ..route(6, "/f") },
        RouteSource { scheme: Some(placed("ftp".to_owned(), 10)), ..route(7, "/g") },
        RouteSource { header: Some(placed(vec![("A B".to_owned(), "x".to_owned())], 11)), ..route(8, "/h") },
        RouteSource { redirect: redirect("new", Some(200), 12), ..none(9, "/i") },
        route(10, "/a"),
        route(11, "/*"),
        RouteSource { host: hosts(&[], 13), ..route(12, "/j") },
        RouteSource { method: hosts(&[], 14), ..route(13, "/k") },
    ]);
    assert_eq!(
        got,
        [
            "a.toml:5: route[1].service: found \"ap\", allowed: a [service.NAME]; did you mean \"app\" (a.toml:1000)?",
            "a.toml:6: route[2].service: found \"elsewhere\", allowed: a [service.NAME]",
            "a.toml:3: route[3]: leads nowhere; give it service = \"NAME\" or redirect = { to = \"…\" }",
            "a.toml:7: route[4].redirect: stands beside service; a route has one of them",
            "a.toml:8: route[5].host: found \"shop.example:80\", allowed: a host without a port, such as \
             \"shop.example.com\", \"*.example.com\" or \"*\"",
            "a.toml:9: route[6].method: found \"get\", allowed: methods in capitals",
            "a.toml:10: route[7].scheme: found \"ftp\", allowed: \"http\" or \"https\"",
            "a.toml:11: route[8].header: found \"A B: x\", allowed: a field's name, and a value that may end in one \
             \"*\" for anything",
            "a.toml:12: route[9].redirect.status: found \"200\", allowed: 301, 302, 303, 307 or 308",
            "a.toml:12: route[9].redirect.to: found \"new\", allowed: a target that begins with \"/\", \"https://\" \
             or \"http://\"",
            "a.toml:10: route[10]: answers the same requests as a.toml:1 (every host, /a); add a method or header to \
             one of them",
            "a.toml:11: route[11].path: found \"/*\", allowed: for all that follows write \"{*rest}\", for one \
             segment \"{name}\"",
            "a.toml:13: route[12].host: found \"0 hosts\", allowed: 1 to 256 hosts; without the key every host",
            "a.toml:14: route[13].method: lists no method; without the key: every method",
        ]
    );
}

#[test]
fn names_of_parameters_make_no_difference_between_paths() {
    let tie = faults(vec![
        RouteSource { host: hosts(&["b.example", "a.example"], 1), ..route(1, "/{x}/") },
        RouteSource { host: hosts(&["A.example", "c.example"], 2), ..route(2, "/{y}/") },
    ]);
    let message = "a.toml:2: route[2]: answers the same requests as a.toml:1 (a.example, /{y}/); add a method or \
                   header to one of them";
    assert_eq!(tie, [message]);
}

#[test]
fn numbers_have_bounds() {
    let methods = (0..=ROUTES_OF_PATH_MAX)
        .map(|number| RouteSource { method: hosts(&[&format!("M{number}")], number + 1), ..route(number + 1, "/a") });
    let got = faults(methods.collect());
    assert_eq!(got, ["a.toml:65: route[65].path: found \"one more\", allowed: at most 64 routes of one host and path"]);
    let many = |count: usize| (1..=count).map(|number| route(number, &format!("/a/{number}"))).collect::<Vec<_>>();
    assert!(compile(&gateway(many(ROUTES_MAX))).is_ok());
    assert_eq!(
        faults(many(ROUTES_MAX + 1)),
        ["a.toml:16385: route: found \"one more\", allowed: at most 16384 routes"]
    );
    let service =
        |number: usize| ServiceSource { name: placed(format!("s{number}"), 1), answer: AnswerSource::default() };
    let mut source = gateway(Vec::new());
    source.services = (0..=SERVICES_MAX).map(service).collect();
    assert_eq!(compile(&source).err().map(|faults| faults.len()), Some(1));
    source.services.pop();
    assert!(compile(&source).is_ok());
}

#[test]
fn whatever_a_client_writes_finds_the_route_of_its_normal_form() {
    let table = compile(&gateway(vec![
        RouteSource { host: hosts(&["shop.example"], 1), ..route(1, "/admin/{*rest}") },
        RouteSource { host: hosts(&["*.shop.example"], 2), ..route(2, "/{*rest}") },
        route(3, "/{*rest}"),
    ]))
    .unwrap();
    for (target, host, number) in [
        ("/admin/x", "SHOP.example.:80", 1),
        ("/x/../%61dmin/x", "shop.example", 1),
        ("/admin%2Fx", "shop.example", 3),
        ("/admin", "shop.example", 3),
        ("/admin/", "shop.example", 1),
        ("/", "a.b.shop.example", 2),
        ("/", ".shop.example", 3),
        ("/", "xshop.example", 3),
    ] {
        let head = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(routed(&table, RequestScheme::Http, &head), Some(number), "{target} {host}");
    }
    let long = format!("GET / HTTP/1.1\r\nHost: {}shop.example\r\n\r\n", "a.".repeat(200));
    assert_eq!(routed(&table, RequestScheme::Http, &long), Some(3));
}

#[test]
fn the_kv_api_is_on_every_host_or_on_those_that_are_named() {
    let mut source = gateway(Vec::new());
    let every = compile(&source).unwrap();
    assert!(!every.narrows_kv() && every.has_kv_on(b"") && every.has_kv_on(b"a.example"));
    source.kv_hosts = hosts(&["KV.example.", "*.kv.example"], 3);
    let table = compile(&source).unwrap();
    for (host, is_on) in
        [("kv.example", true), ("a.kv.example", true), ("xkv.example", false), (".kv.example", false), ("", false)]
    {
        assert_eq!(table.has_kv_on(host.as_bytes()), is_on, "{host}");
    }
    source.kv_hosts = hosts(&["kv:80"], 3);
    let faults = compile(&source).err().unwrap();
    assert!(faults[0].to_string().starts_with("a.toml:3: kv.hosts: found \"kv:80\""), "{}", faults[0]);
}
