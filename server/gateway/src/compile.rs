//! From what an operator wrote to a [`RouteTable`], or to all that is wrong with it.
//!
//! **Not**: stopping at the first fault.
//!
//! **Invariants**: a table has at most [`ROUTES_MAX`] routes and [`SERVICES_MAX`] services; two routes that may both hold
//! for a request differ in how specific they are.
//!
//! **Source**: docs/proxy.md.

use corelane_http::field::FieldLine;

use crate::answer::compile_answer;
use crate::condition::{Conditions, FieldCondition};
use crate::fault::{FaultReason, SourceFault, quoted};
use crate::normal::RequestScheme;
use crate::pattern::{HostPattern, HostSet, PathPattern};
use crate::redirect::RedirectTemplate;
use crate::source::{GatewaySource, Placed, RouteSource, ServiceSource, SourcePlace};
use crate::table::{CompiledRoute, Destination, RouteTable, Service, ServiceKind};
use crate::tree::RouteIndex;

/// Most routes: some for each of a few thousand sites.
pub const ROUTES_MAX: usize = 16_384;

/// Most services.
pub const SERVICES_MAX: usize = 1_024;

/// Most routes of one host and path, which are tried one after the other.
pub const ROUTES_OF_PATH_MAX: usize = 64;

/// Most hosts of one route.
pub const HOSTS_OF_ROUTE_MAX: usize = 256;

/// Most conditions on fields of one route.
pub const FIELD_CONDITIONS_MAX: usize = 16;

/// Compiles what was written.
///
/// # Errors
///
/// The operator's: everything that is wrong, in the order of services and routes.
pub fn compile(source: &GatewaySource) -> Result<RouteTable, Vec<SourceFault>> {
    let mut compiler = RouteCompiler { source, table: RouteTable::default(), faults: Vec::new() };
    compiler.compile_services();
    compiler.compile_kv_hosts();
    for (index, route) in source.routes.iter().enumerate() {
        if index == ROUTES_MAX {
            compiler.refuse(&route.path.place, "route", too_many(ROUTES_MAX, "routes"));
            break;
        }
        compiler.compile_route(route);
    }
    if compiler.faults.is_empty() { Ok(compiler.table) } else { Err(compiler.faults) }
}

fn too_many(most: usize, what: &str) -> FaultReason {
    FaultReason::invalid("one more", format!("at most {most} {what}"))
}

struct RouteCompiler<'s> {
    source: &'s GatewaySource,
    table: RouteTable,
    faults: Vec<SourceFault>,
}

impl RouteCompiler<'_> {
    fn refuse(&mut self, place: &SourcePlace, key: impl Into<String>, reason: FaultReason) {
        self.faults.push(SourceFault { place: place.clone(), key: key.into(), reason });
    }

    fn compile_services(&mut self) {
        for (index, service) in self.source.services.iter().enumerate() {
            if index == SERVICES_MAX {
                self.refuse(&service.name.place, "service", too_many(SERVICES_MAX, "services"));
                return;
            }
            let ServiceSource { name, answer } = service;
            let key = format!("service.{}.answer", name.value);
            if let Some(answer) = compile_answer(answer, &key, &name.place, &mut self.faults) {
                let (name, place) = (name.value.as_str().into(), name.place.clone());
                self.table.services.push(Service { name, place, kind: ServiceKind::Answer(answer) });
            }
        }
    }

    fn compile_kv_hosts(&mut self) {
        let Some(written) = &self.source.kv_hosts else { return };
        let hosts = self.hosts_of(written, "kv.hosts");
        self.table.kv_hosts = Some(HostSet::new(hosts));
    }

    fn compile_route(&mut self, route: &RouteSource) {
        let hosts = self.hosts(route);
        let conditions = self.conditions(route);
        let pattern = match PathPattern::parse(&route.path.value) {
            Ok(pattern) => pattern,
            Err(allowed) => {
                let reason = FaultReason::invalid(&route.path.value, allowed);
                self.refuse(&route.path.place, key_of(route, "path"), reason);
                // A bad path has no parameters that a redirect could be checked with.
                if route.redirect.is_none() {
                    self.destination(route, &[]);
                }
                return;
            }
        };
        let destination = self.destination(route, &pattern.names);
        // A route without one is a fault, and nobody gets this table; but it may tie with others, which is told of, too.
        let destination = destination.unwrap_or(Destination::Service(usize::MAX));
        let index = RouteIndex(u32::try_from(self.table.routes.len()).expect("their number is bounded"));
        let place = route.path.place.clone();
        let compiled = CompiledRoute::new(route.number, place, &route.path.value, conditions, destination);
        self.table.routes.push(compiled);
        for host in &hosts {
            self.add(host, &pattern, index, route);
        }
    }

    /// Adds the route to those of a host and path, unless it ties with one of them.
    fn add(&mut self, host: &HostPattern, pattern: &PathPattern, index: RouteIndex, route: &RouteSource) {
        let mut rivals = std::mem::take(self.table.tree_of(host).routes_of(&pattern.segments));
        let routes = &self.table.routes;
        let conditions = &routes[index.0 as usize].conditions;
        let ties = |rival: &&RouteIndex| {
            let rival = &routes[rival.0 as usize].conditions;
            rival.count() == conditions.count() && rival.may_both_hold(conditions)
        };
        let fault = if let Some(rival) = rivals.iter().find(ties) {
            let what = format!("{host}, {}", route.path.value);
            Some((
                format!("route[{}]", route.number),
                FaultReason::Tie { with: routes[rival.0 as usize].place.clone(), what },
            ))
        } else if rivals.len() == ROUTES_OF_PATH_MAX {
            Some((key_of(route, "path"), too_many(ROUTES_OF_PATH_MAX, "routes of one host and path")))
        } else {
            let at = rivals.partition_point(|rival| routes[rival.0 as usize].conditions.count() >= conditions.count());
            rivals.insert(at, index);
            None
        };
        *self.table.tree_of(host).routes_of(&pattern.segments) = rivals;
        if let Some((key, reason)) = fault {
            self.refuse(&route.path.place, key, reason);
        }
    }

    fn hosts(&mut self, route: &RouteSource) -> Vec<HostPattern> {
        let Some(written) = &route.host else { return vec![HostPattern::Any] };
        self.hosts_of(written, &key_of(route, "host"))
    }

    fn hosts_of(&mut self, Placed { value, place }: &Placed<Vec<String>>, key: &str) -> Vec<HostPattern> {
        let mut hosts = Vec::new();
        for text in value {
            match HostPattern::parse(text) {
                Ok(host) if !hosts.contains(&host) => hosts.push(host),
                Ok(_) => {}
                Err(allowed) => self.refuse(place, key, FaultReason::invalid(text, allowed)),
            }
        }
        if value.is_empty() || value.len() > HOSTS_OF_ROUTE_MAX {
            let found = format!("{} hosts", value.len());
            let allowed = format!("1 to {HOSTS_OF_ROUTE_MAX} hosts; without the key every host");
            self.refuse(place, key, FaultReason::invalid(found, allowed));
        }
        hosts
    }

    fn conditions(&mut self, route: &RouteSource) -> Conditions {
        let mut conditions = Conditions::default();
        if let Some(Placed { value, place }) = &route.method {
            for method in value {
                // A token, as the name of a field is.
                let is_token = FieldLine::new(method.as_bytes(), b"").is_some();
                if is_token && !method.bytes().any(|byte| byte.is_ascii_lowercase()) {
                    conditions.methods.push(method.as_bytes().into());
                } else {
                    self.refuse(place, key_of(route, "method"), FaultReason::invalid(method, "methods in capitals"));
                }
            }
            if value.is_empty() {
                self.refuse(
                    place,
                    key_of(route, "method"),
                    FaultReason::Shape("lists no method; without the key: every method"),
                );
            }
        }
        if let Some(Placed { value, place }) = &route.scheme {
            let known = [RequestScheme::Http, RequestScheme::Https].into_iter().find(|scheme| scheme.name() == value);
            conditions.scheme = known;
            if known.is_none() {
                let reason = FaultReason::invalid(value, "\"http\" or \"https\"");
                self.refuse(place, key_of(route, "scheme"), reason);
            }
        }
        if let Some(Placed { value, place }) = &route.header {
            for (name, text) in value {
                match FieldCondition::parse(name, text) {
                    Ok(condition) => conditions.fields.push(condition),
                    Err(allowed) => {
                        let reason = FaultReason::invalid(format!("{name}: {text}"), allowed);
                        self.refuse(place, key_of(route, "header"), reason);
                    }
                }
            }
            if value.len() > FIELD_CONDITIONS_MAX {
                self.refuse(place, key_of(route, "header"), too_many(FIELD_CONDITIONS_MAX, "conditions on fields"));
            }
        }
        conditions
    }

    fn destination(&mut self, route: &RouteSource, names: &[Box<str>]) -> Option<Destination> {
        match (&route.service, &route.redirect) {
            (Some(service), None) => self.service(route, service),
            (None, Some(redirect)) => {
                let status = RedirectTemplate::status_of(redirect.status.as_ref().map(|status| status.value));
                let status_place = redirect.status.as_ref().map_or(&redirect.to.place, |status| &status.place);
                let fallback = RedirectTemplate::status_of(None).ok()?;
                let template = RedirectTemplate::parse(status.clone().unwrap_or(fallback), &redirect.to.value, names);
                if let Err(reason) = status {
                    self.refuse(status_place, key_of(route, "redirect.status"), reason);
                }
                template
                    .map(Destination::Redirect)
                    .map_err(|reason| {
                        self.refuse(&redirect.to.place, key_of(route, "redirect.to"), reason);
                    })
                    .ok()
            }
            (Some(_), Some(redirect)) => {
                let reason = FaultReason::Shape("stands beside service; a route has one of them");
                self.refuse(&redirect.to.place, key_of(route, "redirect"), reason);
                None
            }
            (None, None) => {
                let reason =
                    FaultReason::Shape("leads nowhere; give it service = \"NAME\" or redirect = { to = \"…\" }");
                self.refuse(&route.path.place, format!("route[{}]", route.number), reason);
                None
            }
        }
    }

    fn service(&mut self, route: &RouteSource, wanted: &Placed<String>) -> Option<Destination> {
        if let Some(index) = self.table.services.iter().position(|service| *service.name == wanted.value) {
            return Some(Destination::Service(index));
        }
        // One that is there, but at fault itself, is told of once.
        if self.source.services.iter().all(|service| service.name.value != wanted.value) {
            let (found, near) = (quoted(&wanted.value), self.near(&wanted.value));
            self.refuse(&wanted.place, key_of(route, "service"), FaultReason::UnknownService { found, near });
        }
        None
    }

    /// The service that may have been meant, as a question.
    fn near(&self, wanted: &str) -> String {
        let slips = |name: &str| strsim::damerau_levenshtein(wanted, name);
        let close = self.source.services.iter().filter(|service| {
            let name = &service.name.value;
            wanted.len() <= 64 && slips(name) * 3 <= name.len().max(3)
        });
        let near = close.min_by_key(|service| slips(&service.name.value));
        near.map_or_else(String::new, |service| {
            format!("; did you mean \"{}\" ({})?", service.name.value, service.name.place)
        })
    }
}

fn key_of(route: &RouteSource, name: &str) -> String {
    format!("route[{}].{name}", route.number)
}
