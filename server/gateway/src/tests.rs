//! Routing against a naive oracle, and the messages of a compilation.

mod messages;
mod oracle;

use corelane_http::MessageLimits;
use corelane_http::h1::{
    Parsed,
    request::{Resume, parse},
};

use crate::normal::{self, RequestScheme};
use crate::source::{AnswerSource, GatewaySource, Placed, RedirectSource, RouteSource, ServiceSource, SourcePlace};
use crate::{RouteRequest, RouteTable};

pub(crate) fn placed<T>(value: T, line: usize) -> Placed<T> {
    Placed { value, place: SourcePlace::new(&format!("a.toml:{line}")) }
}

/// A route of any host, with everything else unsaid, that leads to the service `app`; `number` is its line.
pub(crate) fn route(number: usize, path: &str) -> RouteSource {
    RouteSource {
        number,
        host: None,
        path: placed(path.to_owned(), number),
        method: None,
        scheme: None,
        header: None,
        service: Some(placed("app".to_owned(), number)),
        redirect: None,
    }
}

pub(crate) fn redirect(to: &str, status: Option<u16>, line: usize) -> Option<RedirectSource> {
    Some(RedirectSource { to: placed(to.to_owned(), line), status: status.map(|status| placed(status, line)) })
}

/// The service `app` at line 1000, and these routes.
pub(crate) fn gateway(routes: Vec<RouteSource>) -> GatewaySource {
    let services = vec![ServiceSource { name: placed("app".to_owned(), 1000), answer: AnswerSource::default() }];
    GatewaySource { services, routes, kv_hosts: None }
}

/// The number of the route that a request takes, as a client sends it.
pub(crate) fn routed(table: &RouteTable, scheme: RequestScheme, head: &str) -> Option<usize> {
    with_request(scheme, head, |request| table.route(request).map(|found| found.route.number))
}

/// Has `look` look at a request, as a client sends it.
pub(crate) fn with_request<T>(scheme: RequestScheme, head: &str, look: impl FnOnce(&RouteRequest<'_>) -> T) -> T {
    let mut resume = Resume::default();
    let Ok(Parsed::Complete(head)) = parse(head.as_bytes(), &MessageLimits::default(), &mut resume) else {
        panic!("a good head: {head:?}")
    };
    let (mut host, mut path) = (Vec::new(), Vec::new());
    let host = normal::authority(head.host().unwrap_or_default(), scheme, &mut host).unwrap().host;
    let path = normal::path(head.target_text(), &mut path).unwrap();
    look(&RouteRequest { scheme, host, path, method: head.method_text(), fields: head.fields() })
}
