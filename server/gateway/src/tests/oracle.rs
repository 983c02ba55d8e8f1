//! All routes are tried, and those that match are ranked.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::{gateway, placed, route, with_request};
use crate::normal::RequestScheme;
use crate::source::RouteSource;
use crate::{FaultReason, RouteRequest, RouteTable, compile};

const HOSTS: &[&str] = &["x", "a.x", "b.a.x", "*.x", "*.a.x", "*.b.a.x", "*"];
const PATHS: &[&str] = &[
    "/",
    "/a",
    "/a/",
    "/a/b",
    "/{p}",
    "/{q}/",
    "/a/{p}",
    "/{p}/b",
    "/{p}/{q}",
    "/{*r}",
    "/a/{*r}",
    "/{p}/{*r}",
    "/a/b/{*r}",
    "/%61/b",
];
const METHODS: &[&str] = &["GET", "HEAD", "PUT"];
const VALUES: &[&str] = &["a", "ab", "a*", "b*", "*"];

fn routes() -> impl Strategy<Value = Vec<RouteSource>> {
    let hosts = prop::option::of(vec(select(HOSTS), 1..3));
    let methods = prop::option::of(vec(select(METHODS), 1..3));
    let scheme = prop::option::weighted(0.2, select(&["http", "https"][..]));
    let header = prop::option::weighted(0.3, vec((select(&["X", "Y"][..]), select(VALUES)), 1..3));
    let parts = (hosts, select(PATHS), methods, scheme, header);
    vec(parts, 1..12).prop_map(|parts| {
        let owned = |texts: Vec<&str>| texts.into_iter().map(str::to_owned).collect::<Vec<_>>();
        let made = parts.into_iter().enumerate().map(|(index, (hosts, path, methods, scheme, header))| {
            let line = index + 1;
            let header = header.map(|fields| {
                fields.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect::<Vec<_>>()
            });
            RouteSource {
                host: hosts.map(|hosts| placed(owned(hosts), line)),
                method: methods.map(|methods| placed(owned(methods), line)),
                scheme: scheme.map(|scheme| placed(scheme.to_owned(), line)),
                header: header.map(|header| placed(header, line)),
                ..route(line, path)
            }
        });
        made.collect()
    })
}

fn heads() -> impl Strategy<Value = String> {
    let host = select(&["x", "X", "a.x", "b.a.x", "c.b.a.x", "y", ".x"][..]);
    let segment = select(&["a", "b", "c", "", "%61"][..]);
    let method = select(&["GET", "HEAD", "PUT", "POST"][..]);
    let field = (select(&["X", "x", "Y"][..]), select(&["a", "ab", "abc", "b", ""][..]));
    (method, host, vec(segment, 0..4), vec(field, 0..3)).prop_map(|(method, host, segments, fields)| {
        let fields: String = fields.into_iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        format!("{method} /{} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n", segments.join("/"))
    })
}

/// How specific a route is: its host, its path segment by segment, its conditions.
type Rank = (usize, Vec<u8>, usize);

fn naive(routes: &[RouteSource], request: &RouteRequest<'_>) -> Vec<(Rank, usize)> {
    let mut found: Vec<(Rank, usize)> =
        routes.iter().filter_map(|route| Some((rank(route, request)?, route.number))).collect();
    found.sort();
    found.reverse();
    found
}

fn rank(route: &RouteSource, request: &RouteRequest<'_>) -> Option<Rank> {
    let host = std::str::from_utf8(request.host).unwrap();
    let every = vec!["*".to_owned()];
    let patterns = route.host.as_ref().map_or(&every, |hosts| &hosts.value);
    let of_host = |pattern: &String| match pattern.strip_prefix('*') {
        Some("") => Some(0),
        Some(suffix) => (host.len() > suffix.len() && host.ends_with(suffix)).then_some(suffix.len()),
        None => (pattern == host).then_some(1000),
    };
    let host_rank = patterns.iter().filter_map(of_host).max()?;
    let path = std::str::from_utf8(&request.path[1..]).unwrap();
    let pattern = route.path.value[1..].replace("%61", "a");
    let path_rank = path_rank(&pattern.split('/').collect::<Vec<_>>(), &path.split('/').collect::<Vec<_>>())?;
    let mut count = 0;
    if let Some(methods) = &route.method {
        let method = std::str::from_utf8(request.method).unwrap();
        let serves = |listed: &String| listed == method || (listed == "GET" && method == "HEAD");
        methods.value.iter().any(serves).then_some(())?;
        count += 1;
    }
    if let Some(scheme) = &route.scheme {
        (scheme.value == request.scheme.name()).then_some(())?;
        count += 1;
    }
    for (name, pattern) in route.header.iter().flat_map(|fields| &fields.value) {
        let lines: Vec<&[u8]> = request
            .fields
            .clone()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value)
            .collect();
        let matches = |value: &&[u8]| match pattern.strip_suffix('*') {
            Some(prefix) => value.starts_with(prefix.as_bytes()),
            None => *value == pattern.as_bytes(),
        };
        (!lines.is_empty() && lines.iter().all(matches)).then_some(())?;
        count += 1;
    }
    Some((host_rank, path_rank, count))
}

fn path_rank(pattern: &[&str], path: &[&str]) -> Option<Vec<u8>> {
    match (pattern, path) {
        ([], []) => Some(Vec::new()),
        ([rest], [_, ..]) if rest.starts_with("{*") => Some(vec![0]),
        ([first, pattern @ ..], [segment, path @ ..]) => {
            let kind = match first.starts_with('{') {
                true if segment.is_empty() => return None,
                true => 1,
                false if first == segment => 2,
                false => return None,
            };
            let mut rank = path_rank(pattern, path)?;
            rank.insert(0, kind);
            Some(rank)
        }
        _ => None,
    }
}

/// Compiles what can be compiled: routes that tie are taken out, one after the other.
fn without_ties(mut routes: Vec<RouteSource>) -> (Vec<RouteSource>, RouteTable) {
    loop {
        match compile(&gateway(routes.clone())) {
            Ok(table) => return (routes, table),
            Err(faults) => {
                let is_tie = faults.iter().all(|fault| matches!(fault.reason, FaultReason::Tie { .. }));
                assert!(is_tie, "{faults:?}");
                let line = faults[0].place.clone();
                routes.retain(|route| route.path.place != line);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn the_most_specific_route_wins(routes in routes(), heads in vec(heads(), 16)) {
        let (routes, table) = without_ties(routes);
        let (mut backwards, _) = (routes.clone(), ());
        backwards.reverse();
        let backwards = compile(&gateway(backwards)).expect("order does not matter");
        for head in &heads {
            for scheme in [RequestScheme::Http, RequestScheme::Https] {
                with_request(scheme, head, |request| {
                    let ranked = naive(&routes, request);
                    let number = |table: &RouteTable| table.route(request).map(|found| found.route.number);
                    let expected = ranked.first().map(|(_, number)| *number);
                    assert_eq!((number(&table), number(&backwards)), (expected, expected), "{head}");
                    assert!(ranked.len() < 2 || ranked[0].0 > ranked[1].0, "a tie was let through: {head} {ranked:?}");
                });
            }
        }
    }
}
