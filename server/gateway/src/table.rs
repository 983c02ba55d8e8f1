//! Routes and services, compiled: which route a request takes.
//!
//! ```text
//!  host: exact ─▶ longest wildcard ─▶ … ─▶ every host
//!    path: text before parameter before rest, segment by segment
//!      conditions: more before fewer
//! ```
//!
//! The first in this order whose conditions hold wins. What an operator wrote first does not matter.
//!
//! **Not**: changing; another table replaces it whole.
//!
//! **Invariants**: no two routes that may both hold are equal in this order; a look-up takes no allocation.
//!
//! **Source**: docs/proxy.md, "Which route wins".

use std::collections::HashMap;
use std::ops::ControlFlow;

use corelane_http::field::Fields;

use crate::answer::FixedAnswer;
use crate::condition::{Conditions, UnmetCondition};
use crate::normal::RequestScheme;
use crate::pattern::{HOST_BYTES_MAX, HostPattern, HostSet};
use crate::redirect::RedirectTemplate;
use crate::source::SourcePlace;
use crate::tree::{PathParameters, PathTree, RouteIndex};

/// What is known of a request when it is routed; host and path in normal form.
#[derive(Clone, Debug)]
pub struct RouteRequest<'r> {
    /// How the client speaks to the listener.
    pub scheme: RequestScheme,
    /// The host, without its port; may be empty.
    pub host: &'r [u8],
    /// The path.
    pub path: &'r [u8],
    /// The method, as it was sent.
    pub method: &'r [u8],
    /// All fields.
    pub fields: Fields<'r>,
}

/// A route, checked.
#[derive(Clone, Debug)]
pub struct CompiledRoute {
    /// Its number in the order of the files, from 1.
    pub number: usize,
    /// Where it stands.
    pub place: SourcePlace,
    /// Its pattern of paths, as it was written.
    pub path: Box<str>,
    pub(crate) conditions: Conditions,
    destination: Destination,
}

#[derive(Clone, Debug)]
pub(crate) enum Destination {
    /// By its place in the table.
    Service(usize),
    Redirect(RedirectTemplate),
}

/// A service.
#[derive(Clone, Debug)]
pub struct Service {
    /// Its name.
    pub name: Box<str>,
    /// Where it stands.
    pub place: SourcePlace,
    /// What it does.
    pub kind: ServiceKind,
}

/// What a service does.
#[derive(Clone, Debug)]
pub enum ServiceKind {
    /// It gives every request the same answer.
    Answer(FixedAnswer),
}

/// Where a route leads.
#[derive(Clone, Copy, Debug)]
pub enum RouteTarget<'t> {
    /// To a service.
    Service(&'t Service),
    /// Elsewhere.
    Redirect(&'t RedirectTemplate),
}

/// The route of a request.
#[derive(Clone, Copy, Debug)]
pub struct RouteMatch<'t, 'r> {
    /// The route.
    pub route: &'t CompiledRoute,
    /// Where it leads.
    pub target: RouteTarget<'t>,
    /// The parameters of its path.
    pub parameters: PathParameters<'r>,
}

/// A route whose host and path match, and what became of it.
#[derive(Clone, Copy, Debug)]
pub struct RouteCandidate<'t, 'r> {
    /// The route.
    pub route: &'t CompiledRoute,
    /// The hosts by which it matches.
    pub host: CandidateHost<'t>,
    /// The condition that does not hold; `None` where all do.
    pub unmet: Option<UnmetCondition<'t>>,
    /// The parameters of its path.
    pub parameters: PathParameters<'r>,
}

/// The hosts by which a route matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CandidateHost<'t> {
    /// This one.
    Exact,
    /// All that end so.
    Below(&'t [u8]),
    /// Every host.
    Any,
}

/// Routes and services.
#[derive(Clone, Debug, Default)]
pub struct RouteTable {
    pub(crate) routes: Vec<CompiledRoute>,
    pub(crate) services: Vec<Service>,
    exact: HashMap<Box<[u8]>, PathTree>,
    below: HashMap<Box<[u8]>, PathTree>,
    any: PathTree,
    pub(crate) kv_hosts: Option<HostSet>,
}

impl CompiledRoute {
    pub(crate) fn new(
        number: usize,
        place: SourcePlace,
        path: &str,
        conditions: Conditions,
        destination: Destination,
    ) -> Self {
        Self { number, place, path: path.into(), conditions, destination }
    }
}

impl RouteTable {
    /// Whether there is no route.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    /// Whether the KV API is on some hosts only.
    #[must_use]
    pub fn narrows_kv(&self) -> bool {
        self.kv_hosts.is_some()
    }

    /// Whether the KV API is on a host, in normal form and without its port.
    #[must_use]
    pub fn has_kv_on(&self, host: &[u8]) -> bool {
        self.kv_hosts.as_ref().is_none_or(|hosts| hosts.contains(host))
    }

    /// The routes, in the order of the files.
    #[must_use]
    pub fn routes(&self) -> &[CompiledRoute] {
        &self.routes
    }

    /// The services, by name.
    #[must_use]
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// The patterns of these hosts; more may be added.
    pub(crate) fn tree_of(&mut self, host: &HostPattern) -> &mut PathTree {
        match host {
            HostPattern::Exact(host) => self.exact.entry(host.clone()).or_default(),
            HostPattern::Below(suffix) => self.below.entry(suffix.clone()).or_default(),
            HostPattern::Any => &mut self.any,
        }
    }

    /// Where a route of this table leads.
    #[must_use]
    pub fn target<'t>(&'t self, route: &'t CompiledRoute) -> RouteTarget<'t> {
        match &route.destination {
            Destination::Service(index) => RouteTarget::Service(&self.services[*index]),
            Destination::Redirect(redirect) => RouteTarget::Redirect(redirect),
        }
    }

    /// The route of a request; `None` where none matches.
    #[must_use]
    pub fn route<'t, 'r>(&'t self, request: &RouteRequest<'r>) -> Option<RouteMatch<'t, 'r>> {
        let found = self.candidates(request, &mut |candidate: RouteCandidate<'t, 'r>| match candidate.unmet {
            None => ControlFlow::Break(candidate),
            Some(_) => ControlFlow::Continue(()),
        });
        let RouteCandidate { route, parameters, .. } = found.break_value()?;
        Some(RouteMatch { route, target: self.target(route), parameters })
    }

    /// Shows `found` every route whose host and path match, the most specific first, until it breaks.
    pub fn candidates<'t, 'r, B>(
        &'t self,
        request: &RouteRequest<'r>,
        found: &mut impl FnMut(RouteCandidate<'t, 'r>) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let mut visit = |host: CandidateHost<'t>, tree: &PathTree| {
            tree.visit(request.path, &mut |routes: &[RouteIndex], parameters| {
                for index in routes {
                    let route = &self.routes[index.0 as usize];
                    let unmet = route.conditions.unmet(request.method, request.scheme, &request.fields);
                    found(RouteCandidate { route, host, unmet, parameters })?;
                }
                ControlFlow::Continue(())
            })
        };
        // A longer host is none that a pattern could name, and would only cost time.
        if request.host.len() <= HOST_BYTES_MAX {
            if let Some(tree) = self.exact.get(request.host) {
                visit(CandidateHost::Exact, tree)?;
            }
            if !self.below.is_empty() {
                for dot in memchr::memchr_iter(b'.', request.host).filter(|dot| *dot > 0) {
                    if let Some((suffix, tree)) = self.below.get_key_value(&request.host[dot..]) {
                        visit(CandidateHost::Below(suffix), tree)?;
                    }
                }
            }
        }
        visit(CandidateHost::Any, &self.any)
    }
}
